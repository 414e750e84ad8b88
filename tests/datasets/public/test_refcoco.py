"""refCOCO: phrases of one split, outlines filled as COCO fills them, and pickles that cannot run anything."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import block, build_refclef, build_refcoco, build_refcocog, square, write_json

from saymask.datasets.public.refcoco import load_refclef, load_refcoco, load_refcocog
from saymask.errors import DataError


@pytest.fixture
def root(tmp_path):
    return build_refcoco(tmp_path)


def test_a_sample_is_one_phrase_of_the_split(root):
    samples = load_refcoco(root, "testA")
    assert [(item.video_name, item.expression.exp_id, item.expression.text, item.expression.obj_ids) for item in samples.items] == [
        ("COCO_train2014_000000000002", "20", "left cup", (102,)),
        ("COCO_train2014_000000000002", "21", "red one", (102,)),
        ("COCO_train2014_000000000002", "22", "left cup", (202,)),
    ]
    assert samples[0].video.num_frames == 1


def test_polygons_and_run_lengths_are_filled(root):
    samples = load_refcoco(root, "val")
    assert np.array_equal(samples[0].masks_THW[0], block(1))
    assert np.array_equal(samples[2].masks_THW[0], block(2))


def test_two_polygons_of_one_thing_that_overlap_count_once(root):
    path = root / "refcoco" / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] *= 2
    write_json(path, content)
    assert np.array_equal(load_refcoco(root, "train")[0].masks_THW[0], block(1))


def test_refcocog_is_split_by_umd(tmp_path):
    root = build_refcocog(tmp_path)
    assert len(load_refcocog(root, "test")) == 3
    with pytest.raises(DataError, match=r"^refcocog has no split 'testA'; use one of: train, val, test$"):
        load_refcocog(root, "testA")


def test_refclef_numbers_regions_whose_ids_are_texts_and_joins_their_pieces(tmp_path):
    samples = load_refclef(build_refclef(tmp_path), "train")
    assert [(item.video_name, item.expression.text, item.expression.obj_ids) for item in samples.items] == [
        ("8756", "the rocks", (1,)),
        ("8756", "grey stones", (1,)),
    ]
    assert np.array_equal(samples[1].masks_THW[0], block(1) | block(2))


def test_a_phrase_of_refclef_can_belong_to_two_tests(tmp_path):
    root = build_refclef(tmp_path)
    for split in ("testA", "testB"):
        (sample,) = load_refclef(root, split)
        assert (sample.expression.text, sample.expression.obj_ids) == ("sky", (2,))
        assert np.array_equal(sample.masks_THW[0], block(3))
    for split in ("testC", "val"):
        with pytest.raises(DataError, match="lists no expressions"):
            load_refclef(root, split)


@pytest.mark.parametrize("place", ["images/train2014", "train2014", "../coco/train2014"])
def test_photographs_are_found_where_copies_have_them(root, place):
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(root / "images/mscoco/images/train2014", root / place)
    assert load_refcoco(root, "val")[0].video.frames([0]).shape == (1, 12, 20, 3)


def test_the_folder_of_the_phrases_can_be_given_as_well(root):
    assert load_refcoco(root / "refcoco", "val").items == load_refcoco(root, "val").items


class Attack:
    """Pickled as a call that creates a file."""

    def __reduce__(self):
        return Path.touch, (Path("attacked"),)


@pytest.mark.parametrize("content", [Attack(), [Attack()], [{"ref_id": np.int64(3)}]])
def test_a_pickle_that_wants_to_run_something_is_refused(root, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (root / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(content))
    with pytest.raises(
        DataError, match=r"refs\(unc\)\.p: not a list of phrases \(it wants to load .*download it again from a source you trust"
    ):
        load_refcoco(root, "val")
    assert not (tmp_path / "attacked").exists()


def test_damage_to_a_pickle_does_not_escape(root):
    path = root / "refcoco" / "refs(unc).p"
    content = path.read_bytes()
    far_too_long = b"\x80\x04\x8d" + b"\xff" * 8 + b"."
    for damaged in [content[:length] for length in range(0, len(content), 5)] + [b"GIF89a", far_too_long, b"garbage\n.", b"N."]:
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"refs\(unc\)\.p: .*; download it again"):
            load_refcoco(root, "val")


def test_phrases_and_outlines_must_belong_together(root):
    path = root / "refcoco" / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"] = [entry for entry in content["annotations"] if entry["id"] != 101]
    write_json(path, content)
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: ref 2: .*instances\.json has no annotation 101 of image 1; download both"):
        load_refcoco(root, "val")
    assert len(load_refcoco(root, "train")) == 3


def test_categories_that_are_no_list_are_named(root):
    path = root / "refcoco" / "instances.json"
    write_json(path, json.loads(path.read_text()) | {"categories": None})
    with pytest.raises(DataError, match=r"instances\.json: 'categories' is None, expected list; "):
        load_refcoco(root, "val")


@pytest.mark.parametrize(
    ("outline", "message"),
    [
        ([], "its polygons need three corners or more"),
        ([[1, 2, 3, 4]], "its polygons need three corners or more"),
        ([square(1), [1, 2, 3, 4, 5, 6, 7]], "a corner has two numbers, but one of its polygons has 7 in all"),
        ([[1, 2, 3, 4, 5, None]], "a corner is no number within reach of the frame, which is 20x12: None"),
        ([[1, 2, 3, 4, 5, float("nan")]], "a corner is no number within reach of the frame, which is 20x12: nan"),
        ([[1, 2, 3, 4, 5, -1e10]], "a corner is no number within reach of the frame, which is 20x12: -10000000000"),
        ([[1, 2, 3, 4, 5, [6]]], r"a corner is no number within reach of the frame, which is 20x12: \[6\]"),
        ([{"size": [12, 20], "counts": [240]}, {"size": [2, 2], "counts": [4]}], "its parts are of different sizes"),
        ({"size": [12, 20], "counts": "1"}, "bad RLE: its runs cover 1 pixels of 240"),
        ({"size": [2, 2], "counts": "4"}, r"the mask is 2x2, but .*000000001\.jpg is 20x12"),
    ],
)
def test_an_outline_that_does_not_fit_is_named(root, outline, message):
    path = root / "refcoco" / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"][2]["segmentation"] = outline
    write_json(path, content)
    with pytest.raises(DataError, match=f"instances.json: annotation 101: {message}"):
        _ = load_refcoco(root, "val")[0].masks_THW
