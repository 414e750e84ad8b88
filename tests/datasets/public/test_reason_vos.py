"""ReasonVOS: both forms of the file, masks by source, video and object."""

import json

import numpy as np
import pytest
from dataset_trees import block, blocks, build_reasonvos, write_json

from saymask.datasets.public.reason_vos import load_reasonvos
from saymask.errors import DataError


def test_questions_and_their_masks(tmp_path):
    samples = load_reasonvos(build_reasonvos(tmp_path), "test")
    found = [(item.video_name, item.expression.exp_id, item.expression.text, item.expression.is_sentence) for item in samples.items]
    assert found == [
        ("0a1b", "0", "the animal that barks", False),
        ("cat-7", "0", "Which one will fall?", True),
        ("cat-7", "1", "What leaves the picture?", True),
    ]
    assert [item.expression.tags["source"] for item in samples.items] == ["mose", "burst", "burst"]
    assert [item.expression.obj_ids for item in samples.items] == [(1,), (1,), (2,)]
    assert np.array_equal(samples[0].masks_THW, blocks([1], 2))
    assert np.array_equal(samples[1].masks_THW, blocks([1], 2))
    assert np.array_equal(samples[2].masks_THW, np.stack([block(2, 0), np.zeros_like(block(2))]))
    assert samples[1].video.frame_names == ("frame0002", "frame0010")


def test_expressions_in_a_list_are_the_same(tmp_path):
    root = build_reasonvos(tmp_path)
    expected = load_reasonvos(root, "test").items
    meta = json.loads((root / "meta_expressions.json").read_text())
    for video in meta["videos"].values():
        video["expressions"] = [entry | {"exp_id": int(exp_id)} for exp_id, entry in video["expressions"].items()]
    write_json(root / "meta_expressions.json", meta)
    assert load_reasonvos(root, "test").items == expected
    meta["videos"]["cat-7"]["expressions"][1]["exp_id"] = 0
    write_json(root / "meta_expressions.json", meta)
    with pytest.raises(DataError, match=r"meta_expressions\.json: two expressions are called cat-7/0"):
        load_reasonvos(root, "test")


def test_an_object_without_masks_is_named(tmp_path):
    root = build_reasonvos(tmp_path)
    (root / "Annotations" / "burst_cat-7_2").rename(root / "Annotations" / "burst_cat-7_3")
    with pytest.raises(DataError, match=r"Annotations/burst_cat-7_2/frame0002\.png: not found; reasonvos is laid out as <root>/\{JPEG"):
        _ = load_reasonvos(root, "test")[2].masks_THW
