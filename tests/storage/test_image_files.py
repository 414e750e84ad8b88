"""Images are opened as far as their file goes."""

import os

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from saymask.storage.image_files import opened_image


def test_nothing_is_read_behind_the_end_of_the_file(tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (8, 8)).save(path)
    with opened_image(path, ("PNG",)) as image:
        image.fp.seek(0)
        assert image.fp.read(2**62) == path.read_bytes()  # the system has no buffer of that size
        assert image.fp.read(1) == b""
        image.fp.seek(-4, 2)
        assert image.fp.read() == path.read_bytes()[-4:]


def test_a_whole_image_is_the_same(tmp_path):
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for name, form in (("a.png", "PNG"), ("a.tif", "TIFF"), ("a.bmp", "BMP")):
        Image.fromarray(pixels_HWC).save(tmp_path / name)
        with opened_image(tmp_path / name, (form,)) as image:
            assert (np.asarray(image) == pixels_HWC).all()


def test_other_formats_and_pipes_are_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "image.bmp")
    with pytest.raises(UnidentifiedImageError), opened_image(tmp_path / "image.bmp", ("PNG",)):
        pass
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="not a regular file"), opened_image(tmp_path / "pipe.png", ("PNG",)):
        pass
