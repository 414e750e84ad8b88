"""Ref-YouTube-VOS and Ref-DAVIS17: label maps, hidden masks, four annotators."""

import json

import numpy as np
import pytest
from dataset_trees import blocks, build_ref_davis17, build_ref_youtube_vos, write_json
from PIL import Image

from saymask.datasets.doctor import check_dataset
from saymask.datasets.public.ref_youtube import load_ref_davis17, load_ref_youtube_vos
from saymask.errors import DataError


def test_a_sentence_means_the_pixels_of_its_number(tmp_path):
    samples = load_ref_youtube_vos(build_ref_youtube_vos(tmp_path), "train")
    assert [(item.video_name, item.expression.exp_id, item.expression.obj_ids) for item in samples.items] == [
        ("003234408d", "0", (1,)),
        ("003234408d", "1", (2,)),
        ("0043f083b5", "0", (1,)),
    ]
    for sample, obj_id in zip(samples, (1, 2, 1), strict=True):
        assert np.array_equal(sample.masks_THW, blocks([obj_id], 2))


def test_videos_of_test_are_taken_out_of_valid(tmp_path):
    samples = load_ref_youtube_vos(build_ref_youtube_vos(tmp_path), "valid")
    assert [item.video_name for item in samples.items] == ["valid-1"]
    with pytest.raises(DataError, match=r"^ref-youtube-vos valid: no public masks, valid-1/0 cannot be scored here"):
        _ = samples[0].masks_THW


def test_a_valid_that_cannot_be_told_from_test_is_refused(tmp_path):
    root = build_ref_youtube_vos(tmp_path)
    test, valid = (root / "meta_expressions" / split / "meta_expressions.json" for split in ("test", "valid"))
    test.unlink()
    videos = {f"v{i}": {"frames": ["00000"], "expressions": {"0": {"exp": "it"}}} for i in range(203)}
    write_json(valid, {"videos": videos})
    with pytest.raises(DataError, match=r"test/meta_expressions\.json: not found, but .* lists 203 videos, .* the 202 videos of valid"):
        load_ref_youtube_vos(root, "valid")
    del videos["v202"]
    write_json(valid, {"videos": videos})
    assert len(load_ref_youtube_vos(root, "valid")) == 202


@pytest.mark.parametrize("has_obj_id", [True, False])
def test_four_people_describe_each_object(has_obj_id, tmp_path):
    root = build_ref_davis17(tmp_path)
    path = root / "meta_expressions" / "valid" / "meta_expressions.json"
    if not has_obj_id:
        meta = json.loads(path.read_text())
        for entry in meta["videos"]["judo"]["expressions"].values():
            del entry["obj_id"]
        write_json(path, meta)
    samples = load_ref_davis17(root, "valid")
    tags = [(item.expression.tags["annotator"], item.expression.tags["obj"]) for item in samples.items]
    assert tags == [("0", "1"), ("1", "1"), ("2", "1"), ("3", "1"), ("0", "2"), ("1", "2"), ("2", "2"), ("3", "2")]
    assert np.array_equal(samples[3].masks_THW, blocks([1], 2))
    assert np.array_equal(samples[4].masks_THW, blocks([2], 2))


def test_void_pixels_of_davis_do_not_count_and_are_no_fault(tmp_path):
    root = build_ref_davis17(tmp_path)
    path = root / "valid" / "Annotations" / "judo" / "00001.png"
    with Image.open(path) as image:
        labels_HW = np.array(image)
    labels_HW[0, 0] = 255
    Image.fromarray(labels_HW).save(path)
    sample = load_ref_davis17(root, "valid")[0]
    assert np.argwhere(sample.ignore_THW).tolist() == [[1, 0, 0]]
    assert np.array_equal(sample.masks_THW, blocks([1], 2))
    assert [problem.text for problem in check_dataset("ref-davis17", root, "valid").problems if "255" in problem.text] == []


def test_an_object_that_one_person_left_out_is_named(tmp_path):
    root = build_ref_davis17(tmp_path)
    for split in ("valid", "train"):
        path = root / "meta_expressions" / split / "meta_expressions.json"
        meta = json.loads(path.read_text())
        del meta["videos"]["judo"]["expressions"]["6"]
        write_json(path, meta)
    with pytest.raises(DataError, match=r"video judo: object 2 has 3 expressions, but each of 4 annotators describes every object once"):
        load_ref_davis17(root, "valid")
    assert len(load_ref_davis17(root, "train")) == 7  # nothing is merged there
