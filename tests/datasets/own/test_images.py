"""Masks drawn by people: every usual kind of PNG is read, none is guessed at."""

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block
from PIL import Image

from saymask.datasets.own.images import LabelImages, ObjectImages
from saymask.errors import DataError
from saymask.records import Video

VIDEO = Video.from_frames(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8), name="clip")
GREY = Image.fromarray(block(2).astype(np.uint8) * 255)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA"])
def test_black_and_white_comes_in_many_modes(mode, tmp_path):
    (tmp_path / "fish").mkdir()
    GREY.convert(mode).save(tmp_path / "fish" / "0.png")
    assert np.array_equal(ObjectImages.find(tmp_path).masks([1], "0", VIDEO)[0], block(2))


def test_zero_and_one_is_black_and_white_too(tmp_path):
    (tmp_path / "fish").mkdir()
    Image.fromarray(block(2).astype(np.uint8)).save(tmp_path / "fish" / "0.png")
    assert np.array_equal(ObjectImages.find(tmp_path).masks([1], "0", VIDEO)[0], block(2))


def test_one_soft_pixel_is_enough_to_refuse_a_mask(tmp_path):
    (tmp_path / "fish").mkdir()
    GREY.putpixel((0, 0), 1)
    GREY.save(tmp_path / "fish" / "0.png")
    GREY.putpixel((0, 0), 0)
    with pytest.raises(
        DataError, match=r"fish/0\.png: 2 values beside black, from 1 to 255, but a mask has one; .*black \(0\) and white \(255\)"
    ):
        ObjectImages.find(tmp_path).masks([1], "0", VIDEO)[0]


def test_a_palette_says_which_number_is_black(tmp_path):
    """Here 0 is white and 1 black."""
    (tmp_path / "fish").mkdir()
    image = Image.fromarray((~block(2)).astype(np.uint8))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "fish" / "0.png")
    assert np.array_equal(ObjectImages.find(tmp_path).masks([1], "0", VIDEO)[0], block(2))


def test_what_is_in_colour_or_transparent_is_refused(tmp_path):
    """Red and green are equally bright, and would be one object; transparent black is background."""
    (tmp_path / "fish").mkdir()
    shape_HW1 = (block(1) | block(2))[..., None]
    red_green_HWC = np.where(block(1)[..., None], [255, 0, 0], [0, 255, 0]) * shape_HW1
    clear_HWC = np.where(shape_HW1, [255, 255, 255, 128], 0)
    for pixels_HWC, message in [
        (red_green_HWC, r"fish/0\.png: an image in colour, but the mask of one object is black and white; save it as a PNG of black"),
        (clear_HWC, r"fish/0\.png: what is drawn is transparent, .*; save it as a PNG of black .*, without transparency"),
    ]:
        Image.fromarray(pixels_HWC.astype(np.uint8)).save(tmp_path / "fish" / "0.png")
        with pytest.raises(DataError, match=message):
            ObjectImages.find(tmp_path).masks([1], "0", VIDEO)[0]
    clear_HWC[..., 3] = 255 * shape_HW1[..., 0]
    Image.fromarray(clear_HWC.astype(np.uint8)).save(tmp_path / "fish" / "0.png")
    assert np.array_equal(ObjectImages.find(tmp_path).masks([1], "0", VIDEO)[0], shape_HW1[..., 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_maps_have_numbers(dtype, tmp_path):
    Image.fromarray((block(1) * 3 + block(2) * 200).astype(dtype)).save(tmp_path / "0.png")
    masks = LabelImages.find(tmp_path)
    assert np.array_equal(masks.masks([200, 3], "0", VIDEO), [block(2), block(1)])
    assert masks.painted(["0"], VIDEO) == {3: 1, 200: 1}
