"""Names of objects and of frames mean one thing, or are an error."""

from pathlib import Path

import numpy as np
import pytest
from dataset_trees import block, coco_masks, write_json
from PIL import Image

from saymask.datasets.own.images import LabelImages, ObjectImages
from saymask.datasets.own.masks import MaskFinder, find_objects, place_frames
from saymask.datasets.own.outlines import Outlines
from saymask.errors import DataError
from saymask.records import Video


def video(*names):
    whole = Video.from_frames(np.zeros((len(names), 4, 4, 3), np.uint8), name="clip")
    return Video(**{**vars(whole), "frame_names": names})


@pytest.mark.parametrize(
    "frame_names, masks, expected",
    [
        (("00000", "00001", "00002"), ["2", "00000"], {0: "00000", 2: "2"}),  # a video file, or a folder numbered from 0
        (("00005", "00010"), ["10", "00005"], {0: "00005", 1: "10"}),  # a folder numbered otherwise: never by position
        (("img_a", "img_b"), ["img_b", "0"], {0: "0", 1: "img_b"}),
        (("photo",), ["photo"], {0: "photo"}),
    ],
)
def test_masks_find_their_frames(frame_names, masks, expected):
    found = place_frames(masks, video(*frame_names), Path("masks"))
    assert found == expected and list(found) == sorted(found)


@pytest.mark.parametrize(
    "frame_names, masks, message",
    [
        (("00005", "00010"), ["1", "2"], "masks of frame 1 and 1 more, but the 2 frames of memory are called 00005 to 00010; "),
        (("img_a", "img_b"), ["2"], "masks of frame 2, but"),
        (("img_a",), ["img_c"], "masks of frame img_c, but"),
        (("00000", "00001"), ["1", "00001"], "1 and 00001 are the same frame of clip; "),
    ],
)
def test_masks_without_a_frame_of_their_own_are_an_error(frame_names, masks, message):
    with pytest.raises(DataError, match=message):
        place_frames(masks, video(*frame_names), Path("masks"))


FILES = {"fish/1": {}, "fish/2": {}, "fishbone": {}, "red hat": {}}


@pytest.mark.parametrize(
    "cell, obj_ids",
    [
        ("fish/2", (2,)),
        ("fish", (1, 2)),
        ("red hat", (4,)),
        ("fishbone fish/1", (3, 1)),
        ("red hat; fish;", (4, 1, 2)),
        ("fish fish/1", (1, 2)),
    ],
)
def test_objects_are_separated_by_semicolons_or_spaces(cell, obj_ids):
    assert find_objects(ObjectImages(Path("masks"), FILES), cell) == obj_ids


def test_objects_of_a_file_go_by_number_or_category():
    masks = Outlines(Path("masks.json"), by_object={3: {}, 12: {}, 20: {}}, by_category={"fish": [3, 20], "12": [3]})
    assert [find_objects(masks, cell) for cell in ("12", "3 20", "fish", "fish; 12")] == [(12,), (3, 20), (3, 20), (3, 20, 12)]


def test_an_object_that_is_not_there_is_an_error_with_those_that_are():
    with pytest.raises(DataError, match=r"no object 'fisch' in masks; did you mean 'fish/[12]'\?"):
        find_objects(ObjectImages(Path("masks"), FILES), "fisch")
    for cell in ("0", "-1", "1.5", "one"):
        with pytest.raises(DataError, match="a number above 0"):
            find_objects(LabelImages(Path("masks"), {}), cell)


def test_frames_of_a_shared_file_belong_to_the_video_of_their_folder_or_name(tmp_path):
    write_json(tmp_path / "masks.json", coco_masks({"a/b/0.jpg": (0, 1), "photo.png": (0, 1), "sub/other.png": (0, 1)}))
    finder = MaskFinder.of(tmp_path, ["a/b", "photo", "sub/other"])
    assert {name: masks.frames for name, masks in finder.shared.items()} == {"a/b": ["0"], "photo": ["photo"], "sub/other": ["other"]}
    assert set(MaskFinder.of(tmp_path, []).shared) == {"a/b", "photo", "sub"}


def test_a_picture_to_look_at_is_no_mask(tmp_path):
    """`saymask segment` writes overlay.png beside the masks of an image."""
    folder = tmp_path / "masks" / "photo"
    (folder / "png" / "cup" / "1").mkdir(parents=True)
    Image.fromarray(block(1)).save(folder / "png" / "cup" / "1" / "photo.png")
    Image.fromarray(block(1)).save(folder / "overlay.png")
    masks = MaskFinder(tmp_path, {}).find("photo")
    assert isinstance(masks, ObjectImages) and masks.names == ["cup/1"]
    (tmp_path / "masks" / "photo.png").mkdir()
    assert MaskFinder(tmp_path, {}).find("photo") == masks
    assert MaskFinder(tmp_path, {}).find("nothing") is None


@pytest.mark.parametrize(
    "place", ["photo/saucer/photo.png", "photo/photo.png", "photo/davis/photo.png", "photo.png", "photo/coco.json", "photo.json"]
)
def test_no_form_hides_another_one(place, tmp_path):
    for path in (tmp_path / "masks" / "photo" / "png" / "cup" / "1" / "photo.png", tmp_path / "masks" / place):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(block(1)).save(path, format="PNG")
    with pytest.raises(DataError, match=r"masks of photo are in .* and .*; keep one of them"):
        MaskFinder(tmp_path, {}).find("photo")
