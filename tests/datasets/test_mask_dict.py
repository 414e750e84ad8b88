"""Masks are taken out of a large file one object at a time, and whatever does not fit is named by object and frame."""

import json
import pickle

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, blocks, rle, write_json, write_mask_dict

from saymask.datasets import mask_dict
from saymask.datasets.mask_dict import MaskDict
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import Expression, Item

VIDEO = Video.from_frames(np.zeros((2, HEIGHT, WIDTH, 3), np.uint8), "bird")


def load(path, *anno_ids, frame_idx=(0, 1)):
    """bool masks_KNHW"""
    loaded = list(MaskDict(path)(Item("bird", Expression("0", "it", anno_ids)), VIDEO, frame_idx))
    return np.stack(loaded)


@pytest.fixture
def path(tmp_path):
    write_mask_dict(tmp_path / "mask_dict.json", {4: (1, 2), 15: (2, 2), 6: (3, 2)})
    return tmp_path / "mask_dict.json"


def test_each_target_has_its_mask_and_null_is_absence(path):
    assert np.array_equal(load(path, 4)[:, 0], blocks([1], 2))
    nothing_HW = np.zeros((HEIGHT, WIDTH), bool)  # object 3 is null on frame 0
    assert np.array_equal(load(path, 6, 4), [[nothing_HW, block(1)], [block(3, 1), block(1, 1)]])


def test_no_target_is_no_mask_and_reads_nothing(tmp_path):
    assert load(tmp_path / "need-not-exist.json").shape == (2, 0, HEIGHT, WIDTH)


def test_only_the_frames_asked_for_are_decoded(tmp_path):
    """Frame 0 is damaged, frame 1 is not."""
    write_json(tmp_path / "m.json", {"7": [{"size": [HEIGHT, WIDTH], "counts": "1"}, rle(block(1, 1))]})
    assert np.array_equal(load(tmp_path / "m.json", 7, frame_idx=[1]), block(1, 1)[None, None])
    with pytest.raises(DataError, match="frame 00000: bad RLE"):
        load(tmp_path / "m.json", 7, frame_idx=[0])


def test_only_the_objects_asked_for_are_parsed(path, monkeypatch):
    parsed = []
    decode = json.JSONDecoder.raw_decode
    monkeypatch.setattr(mask_dict.json.JSONDecoder, "raw_decode", lambda self, text: parsed.append(len(text)) or decode(self, text))
    load(path, 15)
    assert len(parsed) == 1 and parsed[0] < path.stat().st_size / 2


@pytest.mark.parametrize("layout", [{"indent": 2}, {"separators": (",", ":")}])
def test_spaces_and_line_breaks_do_not_matter(path, layout):
    path.write_text(json.dumps(json.loads(path.read_text()), **layout) + "\n\n")
    assert list(MaskDict(path).spans) == [4, 15, 6]
    assert np.array_equal(load(path, 15)[:, 0], blocks([2], 2))


def test_it_travels_to_worker_processes_with_its_index(path):
    masks = MaskDict(path)
    spans = masks.spans
    assert pickle.loads(pickle.dumps(masks)).__dict__["spans"] == spans


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([rle(block(1))], r"m\.json: anno_id 7 of bird: 1 masks for 2 frames; "),
        (
            [rle(block(1)), {"size": [HEIGHT, WIDTH], "counts": "1"}],
            r"anno_id 7 of bird, frame 00001: bad RLE: its runs cover 1 pixels of 240; ",
        ),
        ([rle(block(1)[:, :10]), None], r"frame 00000: the mask is 10x12, but the frame is 20x12; "),
        ([rle(block(1)), 5], r"frame 00001: not an RLE"),
    ],
)
def test_masks_that_do_not_fit_are_named(tmp_path, masks, message):
    write_json(tmp_path / "m.json", {"7": masks})
    with pytest.raises(DataError, match=message):
        load(tmp_path / "m.json", 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"m\.json: the file is empty; "),
        ('{"7": [null, null], "8": [nu', r"m\.json: the file is cut off; "),
        ('{"7": [null, null], "8": [], "7": [null, null]}', r"m\.json: anno_id 7 occurs twice; "),
        ('{"bird": []}', r"m\.json: holds no masks by anno_id; "),
        ('{"7": [null, nul]}', r"anno_id 7 of bird: not valid JSON"),
        ('{"8": [null, null]}', r"anno_id 7 of bird: not in the file; "),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "m.json", 7)
