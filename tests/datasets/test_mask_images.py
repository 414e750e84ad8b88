"""Masks stored as PNG in any usual mode are read; one that is damaged or of another size is named."""

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, write_label_maps
from PIL import Image

from saymask.datasets.mask_images import read_binary_mask, read_label_map
from saymask.errors import DataError
from saymask.records import Video

VIDEO = Video.from_frames(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8), "dog")


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
    with pytest.raises(DataError, match=r"colour\.png: an image in colour, but a label map has one number per pixel"):
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
