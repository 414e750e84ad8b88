"""Own data as samples: what our writers write is read back, and frames that nobody looked at are not there."""

import csv

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, blocks, build_folder, coco_masks, write_frames, write_json, write_label_maps, write_mp4
from PIL import Image

from saymask.datasets.mask_images import read_pixels
from saymask.datasets.own import images
from saymask.datasets.own.folder import load_folder_dataset
from saymask.errors import DataError
from saymask.records import Masklet, Prediction, QueryResult, Rle
from saymask.video.reader import open_source

FRAMES = ["00000", "00001", "00002"]


def write_sentences(root, *rows, header=("video", "objects", "sentence")):
    with (root / "sentences.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_masks(folder, masks):
    """Black-and-white pictures by frame name."""
    folder.mkdir(parents=True)
    for name, mask_HW in masks.items():
        Image.fromarray(mask_HW.astype(np.uint8) * 255).save(folder / f"{name}.png")


@pytest.fixture
def root(tmp_path):
    """One folder of three frames called "walk"."""
    write_frames(tmp_path / "videos" / "walk", FRAMES)
    return tmp_path


def predicted(video):
    """The red one is object 1; the others are 2 and 3, of which 3 is gone on frame 1."""

    def masklet(obj_id, number):
        masks = [block(number, t) & (number != 3 or t != 1) for t in range(video.num_frames)]
        return Masklet(obj_id, tuple(map(Rle.encode, masks)), np.ones(video.num_frames))

    return Prediction(
        video, (QueryResult("The red one", "", (masklet(1, 1),)), QueryResult("the others", "", (masklet(1, 2), masklet(2, 3))))
    )


NAMES = {
    "png": ["the-red-one/1", "the-others/1;the-others/2", "the-others"],
    "davis": ["1", "2 3", "2;3"],
    "coco": ["1", "2;3", "the others"],
    "ytvis": ["1", "2 3", "the others"],
}


@pytest.mark.parametrize("source", ["walk", "clip.mp4"])
@pytest.mark.parametrize("form", NAMES)
def test_what_segment_writes_is_read_back(form, source, tmp_path):
    write_frames(tmp_path / "videos" / "walk", FRAMES)
    write_mp4(tmp_path / "videos" / "clip.mp4", 3)
    name = source.removesuffix(".mp4")
    predicted(open_source(tmp_path / "videos" / source)).save(tmp_path / "masks" / name, [form, "sheet"])
    red, others, others_in_one_name = NAMES[form]
    write_sentences(tmp_path, (name, red, "the red one"), (name, others, "the others"), (source, others_in_one_name, "the rest"))
    first, second, third = load_folder_dataset(tmp_path, "train")
    truth = blocks([2, 3], 3)
    truth[1] &= ~block(3, 1)
    assert np.array_equal(first.masks_THW, blocks([1], 3))
    assert np.array_equal(second.masks_THW, truth) and np.array_equal(third.masks_THW, truth)
    assert np.array_equal(second.instances_NTHW[0], blocks([2], 3)) and second.instances_NTHW[1, 1].sum() == 0
    assert first.video.name == name and first.video.frame_names == tuple(FRAMES)


def test_one_file_of_our_coco_format_beside_the_videos_knows_its_video(root):
    written = predicted(open_source(root / "videos" / "walk")).save(root, "coco")
    written[0].rename(root / "masks.json")
    write_sentences(root, ("walk", "1", "the red one"))
    assert np.array_equal(load_folder_dataset(root, "train")[0].masks_THW, blocks([1], 3))


def test_a_sample_has_the_annotated_frames_alone_with_their_own_pictures_and_times(tmp_path):
    write_mp4(tmp_path / "videos" / "clip.mp4", 6)
    write_masks(tmp_path / "masks" / "clip" / "fish", {"4": block(1, 4), "00002": block(1, 2)})
    write_sentences(tmp_path, ("clip", "fish", "the fish"), ("clip", "", "a bird"))
    samples = list(load_folder_dataset(tmp_path, "train"))
    assert [sample.expression.text for sample in samples] == ["the fish", "a bird"]
    for sample in samples:
        assert sample.video.frame_names == ("00002", "00004")
        assert sample.video.timestamps_T.tolist() == [0, 0.25] and sample.video.duration == pytest.approx(4 / 8)
        greys = sample.video.frames([1, 0]).mean(axis=(1, 2, 3))
        assert greys == pytest.approx([40 + 40 * 4, 40 + 40 * 2], abs=3)
    present, absent = load_folder_dataset(tmp_path, "train")
    assert np.array_equal(present.masks_THW, np.stack([block(1, 2), block(1, 4)]))
    assert absent.expression.obj_ids == () and not absent.masks_THW.any()


def test_frames_count_on_which_all_named_objects_were_looked_for(root):
    """The hat has no mask on frame 0, the fish none on frame 2; nobody speaks of the coin."""
    write_masks(root / "masks" / "walk" / "fish", {name: block(1) for name in FRAMES[:2]})
    write_masks(root / "masks" / "walk" / "hat", {name: block(2) for name in FRAMES[1:]})
    write_masks(root / "masks" / "walk" / "coin", {FRAMES[0]: block(3)})
    write_sentences(root, ("walk", "fish", "the fish"), ("walk", "hat", "the hat"))
    assert [sample.video.frame_names for sample in load_folder_dataset(root, "train")] == [("00001",), ("00001",)]


def test_a_video_without_masks_is_whole_and_nothing_in_it_matches(root):
    write_sentences(root, ("walk", "", "a fish"))
    (sample,) = load_folder_dataset(root, "train")
    assert sample.masks_THW.shape == (3, HEIGHT, WIDTH) and not sample.masks_THW.any()


def test_an_image_is_a_video_of_one_frame_and_its_label_map_may_lie_beside_the_others(tmp_path):
    (tmp_path / "videos" / "sub").mkdir(parents=True)
    (tmp_path / "masks" / "sub").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "videos" / "sub" / "photo.jpg")
    Image.fromarray(block(2).astype(np.uint8) * 7).save(tmp_path / "masks" / "sub" / "photo.png")
    write_sentences(tmp_path, ("sub\\photo.jpg", "7", "the cup"))
    (sample,) = load_folder_dataset(tmp_path, "train")
    assert sample.video.name == "sub/photo" and np.array_equal(sample.masks_THW[0], block(2))


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Stems of the mask files whose pixels are read, in order."""
    stems = []
    monkeypatch.setattr(images, "read_pixels", lambda path, *more: stems.append(path.stem) or read_pixels(path, *more))
    return stems


def test_a_label_map_is_read_once_for_all_objects_and_only_if_it_is_asked_for(root, read):
    write_label_maps(root / "masks" / "walk", FRAMES, [1, 2])
    write_sentences(root, ("walk", "1 2", "the cup and the hat"))
    (both,) = load_folder_dataset(root, "train")
    assert np.array_equal(both.masks([2, 0]), blocks([1, 2], 3)[[2, 0]])
    assert read == ["00000", "00002"]


def test_masks_that_are_empty_on_every_frame_are_not_trained_on(root):
    write_label_maps(root / "masks" / "walk", FRAMES, [1])
    write_sentences(root, ("walk", "1", "the cup"), ("walk", "2", "the hat"), ("walk", "1 2", "both"))
    cup, hat, both = load_folder_dataset(root, "train")
    assert cup.masks_THW.any()
    for sample in (hat, both):
        for frame_idx in ([1], range(3)):
            with pytest.raises(DataError, match=r"masks/walk: object 2: every mask of walk is empty; .* leave the column objects empty"):
                sample.masks(frame_idx)


def test_an_object_that_is_gone_on_the_frames_asked_for_is_looked_for_once(root, read):
    """The fish is on frame 1 alone."""
    write_masks(root / "masks" / "walk" / "fish", {name: block(1) & (name == FRAMES[1]) for name in FRAMES})
    write_sentences(root, ("walk", "fish", "the fish"))
    samples = load_folder_dataset(root, "train")
    assert not samples[0].masks([2]).any()
    assert read == ["00002", "00000", "00001"]
    assert not samples[0].masks([2]).any()
    assert read[3:] == ["00002"]


def test_splits_come_from_their_column(tmp_path):
    root = build_folder(tmp_path)
    assert [sample.expression.text for sample in load_folder_dataset(root, "train")] == ["the block to the right"]
    assert [(item.video_name, item.expression.exp_id) for item in load_folder_dataset(root, "val").items] == [
        ("clip", "0"),
        ("clip", "1"),
        ("clip", "2"),
    ]


def test_without_the_column_everything_is_train_and_val_says_how_to_make_one(root):
    write_sentences(root, ("walk", "", "a fish"))
    assert len(load_folder_dataset(root, "train")) == 1
    with pytest.raises(DataError, match=r"sentences\.csv: no sentence is of the split 'val'; add a column 'split' that says train or val"):
        load_folder_dataset(root, "val")


def test_loading_stops_at_the_first_problem_and_counts_the_others(root):
    write_sentences(root, ("wolk", "", "a fish"), ("walk", "fish", "the fish"), ("walk", "", ""))
    with pytest.raises(DataError, match=r"line 4: the sentence is empty; .*\(2 more: saymask data check folder .*\)$"):
        load_folder_dataset(root, "train")


def test_a_file_whose_frames_name_no_folder_says_whose_they_are(root):
    write_json(root / "masks.json", coco_masks({"00000.jpg": (0, 1)}))
    write_sentences(root, ("walk", "1", "it"))
    with pytest.raises(DataError, match=r"masks\.json \(whose frames, by the folder in their file_name, are those of 00000\); draw them"):
        load_folder_dataset(root, "train")


def test_masks_of_several_videos_stand_in_one_file(tmp_path):
    for name in ("a", "b"):
        write_frames(tmp_path / "videos" / name, FRAMES[:2])
    write_json(tmp_path / "masks.json", coco_masks({"a/00000.jpg": (0, 1), "b/00001.png": (1, 3)}))
    write_sentences(tmp_path, ("a", "1", "it"), ("b", "block 3", "it"))
    of_a, of_b = load_folder_dataset(tmp_path, "train")
    assert (of_a.video.frame_names, of_b.video.frame_names) == (("00000",), ("00001",))
    assert np.array_equal(of_a.masks_THW, block(1, 0)[None]) and np.array_equal(of_b.masks_THW, block(3, 1)[None])
