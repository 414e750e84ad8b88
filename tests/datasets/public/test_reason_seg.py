"""ReasonSeg: polygons filled to the pixel, ignored regions apart, and images that cannot be scored left out by name."""

import json

import numpy as np
import pytest
from dataset_trees import block, build_reasonseg, corners, write_json

from saymask.datasets.public.reason_seg import load_reasonseg
from saymask.errors import DataError


@pytest.fixture
def root(tmp_path):
    return build_reasonseg(tmp_path)


def edit(path, **changes):
    write_json(path, json.loads(path.read_text()) | changes)


def test_questions_of_an_image_share_its_answer(root):
    samples = load_reasonseg(root, "val")
    assert [(item.video_name, item.expression.exp_id, item.expression.tags["length"]) for item in samples.items] == [
        ("a_phrase", "0", "short"),
        ("b_questions", "0", "long"),
        ("b_questions", "1", "long"),
    ]
    assert [item.expression.is_sentence for item in samples.items] == [False, True, True]
    assert samples[1].expression.text == "What would you open in the rain?"
    assert samples[1].video.num_frames == 1
    for sample in (samples[1], samples[2]):
        assert np.array_equal(sample.masks_THW[0], block(2) | block(3))
        assert sample.ignore_THW is None


def test_ignored_regions_are_no_target_and_flags_have_no_meaning(root):
    sample = load_reasonseg(root, "val")[0]
    assert np.array_equal(sample.masks_THW[0], block(1))
    assert sample.ignore_THW is not None and np.array_equal(sample.ignore_THW[0], block(2))


def test_a_small_region_inside_a_large_one_stays(root):
    everything = [[0, 0], [19, 0], [19, 11], [0, 11]]
    shapes = [{"label": "target", "points": corners(1)}, {"label": "Ignore this", "points": everything}]
    for order in (shapes, shapes[::-1]):
        edit(root / "val" / "a_phrase.json", shapes=order)
        sample = load_reasonseg(root, "val")[0]
        assert np.array_equal(sample.masks_THW[0], block(1))
        assert sample.ignore_THW is not None and np.array_equal(sample.ignore_THW[0], ~block(1))


def test_an_image_without_an_answer_is_left_out_by_name(root):
    assert load_reasonseg(root, "test").left_out == (f"{root / 'test' / 'c_forgotten.json'}: no polygon around the answer",)


def test_a_file_written_on_windows_is_read(root):
    path = root / "val" / "a_phrase.json"
    path.write_bytes(path.read_bytes().replace(b"that rings", b"that\x92s ringing"))
    assert load_reasonseg(root, "val")[0].expression.text == "the thing that\u2019s ringing"


@pytest.mark.parametrize(("gone", "named"), [("a_phrase.json", "a_phrase.json"), ("b_questions.jpg", "b_questions.jpg")])
def test_images_and_annotations_come_in_pairs(root, gone, named):
    (root / "val" / gone).unlink()
    with pytest.raises(DataError, match=f"val/{named}: not found; reasonseg is laid out as <root>/"):
        load_reasonseg(root, "val")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": [{"label": "target", "points": [[1, 2, 3]]}]}, r"a_phrase\.json: points of a shape are \[\[1, 2, 3\]\]"),
        ({"shapes": [{"points": []}]}, r"a_phrase\.json: a shape: 'label' is missing"),
        ({"text": "one string"}, r"a_phrase\.json: 'text' is 'one string', expected list"),
        ({"is_sentence": "no"}, r"a_phrase\.json: 'is_sentence' is 'no', expected int"),
    ],
)
def test_damaged_annotations_are_named(root, changes, message):
    edit(root / "val" / "a_phrase.json", **changes)
    with pytest.raises(DataError, match=message):
        load_reasonseg(root, "val")


def test_in_training_a_known_answer_comes_alone_beside_the_mask_or_not_at_all(root):
    """A tenth of the questions about the explained image in words alone, half of the rest with words as well."""
    samples = load_reasonseg(root, "train")
    rng = np.random.default_rng(0)
    drawn = [sample for sample in (samples.draw(rng) for _ in range(1500)) if sample.video.name == "b_questions"]
    alone = [sample for sample in drawn if not sample.expression.obj_ids]
    beside = [sample for sample in drawn if sample.expression.obj_ids and sample.expression.answer]
    assert len(alone) / len(drawn) == pytest.approx(0.1, abs=0.03)
    assert len(beside) / len(drawn) == pytest.approx(0.45, abs=0.05)
    assert {sample.expression.answer for sample in alone + beside} == {"The umbrella, for it is waterproof."}
    assert not alone[0].masks_THW.any()
    assert np.array_equal(beside[0].masks_THW[0], block(2) | block(3))


def test_images_nobody_explained_and_samples_in_their_place_have_no_answer_in_words(root):
    samples = load_reasonseg(root, "train")
    rng = np.random.default_rng(0)
    assert {sample.expression.answer for sample in samples} == {None}
    phrases = [sample for sample in (samples.draw(rng) for _ in range(50)) if sample.video.name == "a_phrase"]
    assert {sample.expression.answer for sample in phrases} == {None}


def test_the_explanations_of_train_must_be_there_and_those_of_val_need_not(root):
    path = root / "explanatory" / "train.json"
    write_json(path, {"b_questions.jpg": "no list"})
    with pytest.raises(DataError, match=r"train\.json: holds a dict, expected a list of explanations; download it again"):
        load_reasonseg(root, "train")
    path.unlink()
    with pytest.raises(DataError, match=r"explanatory/train\.json: not found; reasonseg is laid out as"):
        load_reasonseg(root, "train")
    assert len(load_reasonseg(root, "val")) == 3
