"""Frames and the masks beside them are paired by name, and a pair that does not fit is named."""

from pathlib import Path

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, blocks, write_frames, write_label_maps
from PIL import Image

from saymask.datasets.clips import ClipReader, LabelMaps, NoPublicMasks, read_binary_mask, read_label_map
from saymask.datasets.layout import Layout
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Expression, Item

LAYOUT = Layout("mevis", ("train",), "tree", (".",))
VIDEO = Video.from_frames(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8), "dog")
ITEM = Item("UVO/dog", Expression("0", "the dog", (2,)))


@pytest.fixture
def reader(tmp_path: Path) -> ClipReader:
    """Three frames of object 1 and 2; the index lists the last two, in reverse."""
    write_frames(tmp_path / "frames" / "UVO" / "dog", ["00000", "00001", "00002"])
    write_label_maps(tmp_path / "labels" / "UVO" / "dog", ["00000", "00001", "00002"], [1, 2])
    return ClipReader(LAYOUT, tmp_path / "frames", {"UVO/dog": ("00002", "00001")}, LabelMaps(LAYOUT, tmp_path / "labels"))


def test_the_listed_frames_come_in_the_listed_order(reader):
    sample = reader(ITEM)
    assert (sample.video.name, sample.video.frame_names) == ("UVO/dog", ("00002", "00001"))
    frames_THWC = sample.video.frames([0, 1, 0])
    assert frames_THWC[:, 5, 5, 0] == pytest.approx([120, 80, 120], abs=2)  # JPEG
    assert np.array_equal(sample.masks_THW, np.stack([block(2, 2), block(2, 1)]))
    assert (sample.video.duration, sample.video.timestamps_T.tolist()) == (pytest.approx(2 / 24), pytest.approx([0, 1 / 24]))


def test_a_video_that_nobody_lists_has_all_its_frames(reader):
    sample = ClipReader(LAYOUT, reader.images, {}, reader.load_masks)(ITEM)
    assert sample.video.frame_names == ("00000", "00001", "00002")
    assert np.array_equal(sample.masks_THW, blocks([2], 3))


def test_masks_are_not_read_before_they_are_asked_for(reader, tmp_path):
    sample = ClipReader(LAYOUT, reader.images, reader.frame_names, LabelMaps(LAYOUT, tmp_path / "gone"))(ITEM)
    with pytest.raises(DataError, match=r"gone/UVO/dog/00002\.png: not found; mevis is laid out as <root>/tree"):
        _ = sample.masks_THW


def test_frames_that_are_missing_are_counted_and_the_first_is_named(reader, tmp_path):
    listed = {"UVO/dog": ("00000", "00007", "00008")}
    with pytest.raises(DataError, match=r"UVO/dog/00007\.jpg: no such frame; 2 of the 3 frames of UVO/dog are missing, unpack"):
        ClipReader(LAYOUT, reader.images, listed, reader.load_masks)(ITEM)
    with pytest.raises(DataError, match=r"frames/cat: not found"):
        reader(Item("cat", ITEM.expression))


def test_masks_that_a_server_keeps_are_an_error(reader):
    sample = ClipReader(LAYOUT, reader.images, {}, NoPublicMasks("mevis", "valid"))(ITEM)
    with pytest.raises(DataError, match=r"^mevis valid: no public masks, UVO/dog/0 cannot be scored here; write a submission"):
        _ = sample.masks_THW


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "RGBA", "LA"])
def test_everything_that_is_not_black_is_the_object(mode, tmp_path):
    grey = Image.fromarray(block(1).astype(np.uint8) * 255)
    if mode == "P":
        grey.putpalette([0] * 768)  # the number counts, not the colour it is shown in
    else:
        grey = grey.convert(mode)
    grey.save(tmp_path / "mask.png")
    assert np.array_equal(read_binary_mask(tmp_path / "mask.png", VIDEO), block(1))


def test_a_single_bright_channel_is_not_black(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[0, 0, 2] = 1
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert read_binary_mask(tmp_path / "mask.png", VIDEO).sum() == 1


def test_label_maps_keep_their_numbers(tmp_path):
    write_label_maps(tmp_path / "a", ["00000"], [1, 3])
    assert np.unique(read_label_map(tmp_path / "a" / "00000.png", VIDEO)).tolist() == [0, 1, 3]
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match=r"colour\.png: a picture in colour, but a label map has one number per pixel"):
        read_label_map(tmp_path / "colour.png", VIDEO)


def test_a_mask_of_another_size_is_named(tmp_path):
    Image.new("L", (HEIGHT, WIDTH)).save(tmp_path / "turned.png")
    with pytest.raises(DataError, match=r"turned\.png: the mask is 12x20, but the frames of dog are 20x12; .* download both again"):
        read_label_map(tmp_path / "turned.png", VIDEO)


def test_a_damaged_mask_is_named(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n1234")
    with pytest.raises(DataError, match=r"mask\.png: the mask is damaged or cut off \(.*\); unpack or download it again"):
        read_binary_mask(tmp_path / "mask.png", VIDEO)


def test_a_mask_of_absurd_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"mask\.png: the mask is far larger than any frame \(.*\); replace it with a mask of"):
        read_binary_mask(tmp_path / "mask.png", VIDEO)
