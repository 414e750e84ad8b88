"""Frames and the masks beside them are paired by name, and a pair that does not fit is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import block, blocks, write_frames, write_label_maps

from saymask.datasets import mask_files
from saymask.datasets.clips import ClipReader
from saymask.datasets.layout import Layout
from saymask.datasets.mask_files import LabelMaps, NoPublicMasks
from saymask.datasets.mask_images import read_label_map
from saymask.errors import DataError
from saymask.samples import Expression, Item

LAYOUT = Layout("mevis", ("train",), "tree", (".",))
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
    sample = ClipReader(LAYOUT, reader.images, {}, reader.masks)(ITEM)
    assert sample.video.frame_names == ("00000", "00001", "00002")
    assert np.array_equal(sample.masks_THW, blocks([2], 3))


def test_masks_are_not_read_before_they_are_asked_for(reader, tmp_path):
    sample = ClipReader(LAYOUT, reader.images, reader.frame_names, LabelMaps(LAYOUT, tmp_path / "gone"))(ITEM)
    with pytest.raises(DataError, match=r"gone/UVO/dog/00002\.png: not found; mevis is laid out as <root>/tree"):
        _ = sample.masks_THW


def test_one_label_map_serves_all_objects(reader, monkeypatch):
    read = []
    monkeypatch.setattr(mask_files, "read_label_map", lambda path, video: read.append(path.stem) or read_label_map(path, video))
    both = reader(replace(ITEM, expression=Expression("1", "the two", (1, 2))))
    assert np.array_equal(both.masks([1, 1]), [block(1, 1) | block(2, 1)] * 2)
    assert np.array_equal(both.instances([0]), [[block(1, 2)], [block(2, 2)]])
    assert read == ["00001", "00002"]


def test_frames_that_are_missing_are_counted_and_the_first_is_named(reader, tmp_path):
    listed = {"UVO/dog": ("00000", "00007", "00008")}
    with pytest.raises(DataError, match=r"UVO/dog/00007\.jpg: no such frame; 2 of the 3 frames of UVO/dog are missing, unpack"):
        ClipReader(LAYOUT, reader.images, listed, reader.masks)(ITEM)
    with pytest.raises(DataError, match=r"frames/cat: not found"):
        reader(Item("cat", ITEM.expression))


def test_masks_that_a_server_keeps_are_an_error(reader):
    sample = ClipReader(LAYOUT, reader.images, {}, NoPublicMasks("mevis", "valid"))(ITEM)
    with pytest.raises(DataError, match=r"^mevis valid: no public masks, UVO/dog/0 cannot be scored here; write a submission"):
        _ = sample.masks_THW
