"""Masks drawn by people: every usual kind of PNG is read, none is guessed at."""

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block
from PIL import Image

from saymask.data.folder_pictures import LabelPictures, ObjectPictures
from saymask.errors import DataError
from saymask.records import Video

VIDEO = Video.from_frames(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8), name="clip")
GREY = Image.fromarray(block(2).astype(np.uint8) * 255)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA"])
def test_black_and_white_comes_in_many_modes(mode, tmp_path):
    (tmp_path / "fish").mkdir()
    GREY.convert(mode).save(tmp_path / "fish" / "0.png")
    assert np.array_equal(ObjectPictures.find(tmp_path).mask(1, "0", VIDEO), block(2))


def test_zero_and_one_is_black_and_white_too(tmp_path):
    (tmp_path / "fish").mkdir()
    Image.fromarray(block(2).astype(np.uint8)).save(tmp_path / "fish" / "0.png")
    assert np.array_equal(ObjectPictures.find(tmp_path).mask(1, "0", VIDEO), block(2))


def test_one_soft_pixel_is_enough_to_refuse_a_mask(tmp_path):
    (tmp_path / "fish").mkdir()
    GREY.putpixel((0, 0), 1)
    GREY.save(tmp_path / "fish" / "0.png")
    GREY.putpixel((0, 0), 0)
    with pytest.raises(
        DataError, match=r"fish/0\.png: 2 values beside black, from 1 to 255, but a mask has one; .*black \(0\) and white \(255\)"
    ):
        ObjectPictures.find(tmp_path).mask(1, "0", VIDEO)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_maps_have_numbers(dtype, tmp_path):
    Image.fromarray((block(1) * 3 + block(2) * 200).astype(dtype)).save(tmp_path / "0.png")
    masks = LabelPictures.find(tmp_path)
    assert np.array_equal(masks.mask(3, "0", VIDEO), block(1)) and np.array_equal(masks.mask(200, "0", VIDEO), block(2))
    assert masks.painted(["0"], VIDEO) == {3: 1, 200: 1}
