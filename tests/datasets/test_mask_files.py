"""Mask images whose values show that they were converted are told from sound ones."""

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, write_label_maps
from PIL import Image

from saymask.datasets.layout import Layout
from saymask.datasets.mask_dict import MaskDict
from saymask.datasets.mask_files import LabelMaps
from saymask.datasets.public.reason_vos import ObjectFolders
from saymask.records import Video
from saymask.samples import Expression, Item

LAYOUT = Layout("mevis", ("train",), "tree", (".",))
VIDEO = Video.from_frames(np.zeros((2, HEIGHT, WIDTH, 3), np.uint8), "dog")
NAMES = VIDEO.frame_names
ITEMS = [Item("dog", Expression(str(obj_id), "it", (obj_id,), tags={"source": "mose"})) for obj_id in (1, 2)]


def write_values(path, *values):
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[0, : len(values)] = values
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("value, impossible", [(2, False), (3, False), (4, True), (38, True), (255, True)])
def test_a_number_to_which_nothing_leads_up_is_no_object(value, impossible, tmp_path):
    write_label_maps(tmp_path / "dog", NAMES, [1, 2])
    write_values(tmp_path / "dog" / f"{NAMES[1]}.png", value)
    found = list(LabelMaps(LAYOUT, tmp_path).impossible_values(ITEMS, VIDEO))
    path = tmp_path / "dog" / f"{NAMES[1]}.png"
    expected = (
        f"{path}: a pixel has the number {value}, but the objects of dog are 1, 2; it was compressed, resized or converted; unpack or "
    )
    assert found == ([expected + "download the annotations again"] if impossible else [])


def test_an_object_without_a_sentence_may_be_painted_with_those_before_it(tmp_path):
    write_values(tmp_path / "dog" / f"{NAMES[0]}.png", 3, 4)
    write_values(tmp_path / "dog" / f"{NAMES[1]}.png", 1)
    assert list(LabelMaps(LAYOUT, tmp_path).impossible_values(ITEMS, VIDEO)) == []
    assert "the number 3" in next(LabelMaps(LAYOUT, tmp_path).impossible_values(ITEMS[:1], VIDEO))


def test_a_black_and_white_mask_has_one_value(tmp_path):
    masks = ObjectFolders(LAYOUT, tmp_path)
    for item in ITEMS:
        for name in NAMES:
            Image.fromarray(block(1).astype(np.uint8) * 255).save(_made(masks.place(item)) / f"{name}.png")
    assert list(masks.impossible_values(ITEMS, VIDEO)) == []
    blurred = tmp_path / "mose_dog_2" / f"{NAMES[0]}.png"
    write_values(blurred, 3, 200, 255)
    assert [text.split("; ")[0] for text in masks.impossible_values(ITEMS, VIDEO)] == [
        f"{blurred}: 3 values that are not black, expected one"
    ]


def test_images_that_cannot_be_read_are_left_to_the_loader(tmp_path):
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / f"{NAMES[0]}.png").write_bytes(b"")
    Image.new("RGB", (WIDTH, HEIGHT), (9, 200, 9)).save(tmp_path / "dog" / f"{NAMES[1]}.png")
    assert list(LabelMaps(LAYOUT, tmp_path).impossible_values(ITEMS, VIDEO)) == []


def test_the_place_of_masks_is_that_of_their_file_or_folder(tmp_path):
    assert MaskDict(tmp_path / "m.json").place(ITEMS[0]) == tmp_path / "m.json"
    assert LabelMaps(LAYOUT, tmp_path).place(ITEMS[0]) == tmp_path / "dog"
    assert ObjectFolders(LAYOUT, tmp_path).place(ITEMS[1]) == tmp_path / "mose_dog_2"


def _made(folder):
    folder.mkdir(exist_ok=True)
    return folder
