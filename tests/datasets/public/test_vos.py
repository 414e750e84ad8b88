"""Categories as sentences: all objects of one category are one target."""

import json

import numpy as np
import pytest
from dataset_trees import blocks, build_lv_vis, build_youtube_vos, write_json

from saymask.datasets.public.vos import load_lv_vis, load_youtube_vos
from saymask.errors import DataError


def test_a_category_of_youtube_vos_means_all_its_objects(tmp_path):
    samples = load_youtube_vos(build_youtube_vos(tmp_path), "train")
    assert [(item.expression.exp_id, item.expression.text, item.expression.obj_ids) for item in samples.items] == [
        ("giant_panda", "giant panda", (1, 3)),
        ("person", "person", (2,)),
    ]
    assert np.array_equal(samples[0].masks_THW, blocks([1, 3], 2))
    assert np.array_equal(samples[1].masks_THW, blocks([2], 2))


def test_youtube_vos_misses_a_frame_by_its_label_map(tmp_path):
    root = build_youtube_vos(tmp_path)
    frame = root / "train" / "JPEGImages" / "0062f687f1" / "00005.jpg"
    frame.unlink()
    with pytest.raises(DataError, match=r"JPEGImages/0062f687f1/00005\.jpg: not found"):
        _ = load_youtube_vos(root, "train")[0].masks_THW


def test_an_object_must_be_a_number(tmp_path):
    root = build_youtube_vos(tmp_path)
    meta = json.loads((root / "train" / "meta.json").read_text())
    meta["videos"]["0062f687f1"]["objects"]["x"] = {"category": "person"}
    write_json(root / "train" / "meta.json", meta)
    with pytest.raises(DataError, match=r"meta\.json: video 0062f687f1: object 'x' is no number of a label map"):
        load_youtube_vos(root, "train")


def test_a_category_of_lv_vis_reads_like_words(tmp_path):
    samples = load_lv_vis(build_lv_vis(tmp_path), "train")
    assert [item.expression.text for item in samples.items] == ["traffic cone", "goat"]
    assert np.array_equal(samples[0].masks_THW, blocks([1, 2], 2))
    assert samples[1].masks_THW.sum(axis=(1, 2)).tolist() == [0, 16]  # object 3 is absent from frame 0
