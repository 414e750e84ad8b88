"""What every dataset promises: the same valid samples each time, and an error that names whatever is missing or damaged."""

import pickle

import numpy as np
import pytest
from dataset_trees import TREES

from saymask.errors import DataError, SaymaskError
from saymask.evaluation.summaries import GROUPINGS
from saymask.lookup import DATASETS, resolve
from saymask.metrics.protocols import PROTOCOLS
from saymask.models.videolisa.prompts import RELEASED
from saymask.samples import Sample, SampleSet


@pytest.fixture(params=DATASETS)
def dataset(request, tmp_path):
    """Loader, root and a split with public masks of each dataset; what is read from disk needs a builder in tests/support."""
    name = request.param
    if name.startswith("toyworld"):
        return resolve(name, "dataset"), None, "test"
    assert name in TREES, f"{name} needs a builder in tests/support/dataset_trees.py that writes a miniature of its true layout"
    return resolve(name, "dataset"), TREES[name].build(tmp_path), TREES[name].split


def test_a_dataset_gives_the_same_valid_samples_each_time(dataset):
    load, root, split = dataset
    first, again = load(root, split), load(root, split)
    assert len(first) == len(again) > 0
    for idx in (0, len(first) - 1):
        sample, same = first[idx], again[idx]
        assert isinstance(sample, Sample)
        assert sample.expression == same.expression
        assert sample.masks_THW.any() == bool(sample.expression.obj_ids)
        assert np.array_equal(sample.masks_THW, same.masks_THW)
        frames_THWC = sample.video.frames(range(sample.video.num_frames))
        assert frames_THWC.dtype == np.uint8 and frames_THWC.shape == (*sample.masks_THW.shape, 3)
        assert np.array_equal(frames_THWC, same.video.frames(range(same.video.num_frames)))
    with pytest.raises(IndexError):
        first[len(first)]


def test_masks_of_some_frames_are_those_among_all(dataset):
    load, root, split = dataset
    for sample in load(root, split) if root else [load(root, split)[6]]:
        wanted = [t % sample.video.num_frames for t in (3, 1, 3)]
        assert np.array_equal(sample.masks(wanted), sample.masks_THW[wanted])
        assert np.array_equal(sample.instances(wanted), sample.instances_NTHW[:, wanted])
        assert np.array_equal(sample.instances_NTHW.any(axis=0), sample.masks_THW)
        assert len(sample.instances(wanted)) == len(sample.expression.obj_ids)
        assert (sample.ignore(wanted) is None) == (sample.ignore_THW is None)
        if sample.ignore_THW is not None:
            assert np.array_equal(sample.ignore(wanted), sample.ignore_THW[wanted])


def test_a_set_says_what_its_samples_are_called_and_ask(dataset):
    load, root, split = dataset
    samples = load(root, split)
    assert isinstance(samples, SampleSet)
    vocabulary = {word for text in samples.texts() for word in text.split()}
    for index in range(min(len(samples), 8)):
        item, sample = samples.items[index], samples[index]
        assert (item.video_name, item.expression) == (sample.video.name, sample.expression)
        assert samples.read(item).expression == item.expression
        assert sample.name == f"{item.video_name}/{item.expression.exp_id}"
        # The words of a text, but for punctuation and upper case.
        assert {word.strip("?,.").lower() for word in sample.expression.text.split()} <= {word.strip("?,.").lower() for word in vocabulary}
        assert all(tag in sample.expression.tags for tag in samples.benchmark.groups)
        if samples.knows_sentences:
            assert sample.expression.text in samples.sentences(sample.video.name)
    drawn = [samples.draw(np.random.default_rng(seed)) for seed in (1, 1)]
    assert drawn[0].name == drawn[1].name and drawn[0].expression == drawn[1].expression
    assert samples.any_expression(np.random.default_rng(1)) == samples.any_expression(np.random.default_rng(1))
    assert load(root, split).version == samples.version


def test_what_a_benchmark_names_exists(dataset):
    load, root, split = dataset
    benchmark = load(root, split).benchmark
    assert set(benchmark.groups) <= set(GROUPINGS.values())
    assert set(benchmark.templates) <= set(PROTOCOLS)
    assert set(benchmark.templates.values()) <= set(RELEASED)
    assert not benchmark.keeps_masks_of(split)


@pytest.mark.parametrize("name", ["reasonvos", "ref-davis17", "ref-youtube-vos", "youtube-vos"])
def test_only_the_mask_files_of_the_frames_asked_for_are_read(name, tmp_path):
    """With the files of all other frames gone, a frame's masks are the same."""
    root = TREES[name].build(tmp_path)
    sample = resolve(name, "dataset")(root, TREES[name].split)[0]
    last = sample.video.num_frames - 1
    expected_KHW = sample.masks([last])
    for path in root.rglob("*.png"):
        if path.stem != sample.video.frame_names[last]:
            path.unlink()
    assert np.array_equal(sample.masks([last]), expected_KHW)
    with pytest.raises(DataError, match=f"{sample.video.frame_names[0]}.png: not found"):
        sample.masks([0])


def test_a_dataset_tells_its_samples_apart_and_travels_to_worker_processes(dataset):
    load, root, split = dataset
    samples = load(root, split)
    names = [f"{sample.video.name}/{sample.expression.exp_id}" for sample in (samples[idx] for idx in range(min(len(samples), 20)))]
    assert len(set(names)) == len(names)
    arrived = pickle.loads(pickle.dumps(samples))
    assert len(arrived) == len(samples) and arrived[0].expression == samples[0].expression


def test_a_dataset_names_the_splits_it_has(dataset):
    load, root, split = dataset
    with pytest.raises(DataError, match=f"'no-such-split'.*{split}"):
        load(root, "no-such-split")


@pytest.mark.parametrize("name", TREES)
def test_a_dataset_is_found_in_its_own_folder_and_among_others(name, tmp_path):
    root, split = TREES[name].build(tmp_path), TREES[name].split
    load = resolve(name, "dataset")
    assert _asked(load(tmp_path, split)) == _asked(load(root, split))


@pytest.mark.parametrize("name", TREES)
def test_whatever_file_of_a_dataset_is_missing_or_damaged_is_named(name, tmp_path):
    root, split = TREES[name].build(tmp_path), TREES[name].split
    load = resolve(name, "dataset")

    def use_everything():
        for sample in load(root, split):
            sample.video.frames(range(sample.video.num_frames))
            assert sample.masks_THW is not None

    used = [path for path in sorted(root.rglob("*")) if path.is_file() and _fails(use_everything, path, b"")]
    assert used, "no file of the tree is needed?"
    for path in used:
        content = path.read_bytes()
        for damage in (None, b"", content[: len(content) // 2]):
            error = _fails(use_everything, path, damage)
            assert isinstance(error, SaymaskError), f"{path} {damage}: {error!r}"
            assert str(path) in str(error), error
            assert "; " in str(error), "names no remedy"
    use_everything()


def _asked(samples):
    return [(sample.video.name, sample.expression) for sample in samples]


def _fails(work, path, damage):
    """The error that `work` raises while a file is missing (None) or holds `damage` instead, or None."""
    content = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    try:
        work()
    except Exception as error:
        return error
    finally:
        path.write_bytes(content)
    return None
