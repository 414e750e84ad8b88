"""MeViS, in both versions, and ReVOS: targets by anno_id, several at once, or none."""

import numpy as np
import pytest
from dataset_trees import block, blocks, build_mevis, build_mevis_v2, build_revos

from saymask.datasets.public.ref_video import load_mevis, load_mevis_v2, load_revos
from saymask.errors import DataError


@pytest.mark.parametrize("split", ["train", "valid_u"])
def test_mevis_unites_the_targets_of_a_sentence(split, tmp_path):
    samples = load_mevis(build_mevis(tmp_path), split)
    found = [(item.video_name, item.expression.exp_id, item.expression.text, item.expression.obj_ids) for item in samples.items]
    assert found == [
        ("bird", "0", "the bird flying away", (10,)),
        ("bird", "1", "two birds that stay", (11, 12)),
        ("coin", "0", "the coin that rolls", (13,)),
    ]
    assert np.array_equal(samples[0].masks_THW, blocks([1], 3))
    expected_THW = blocks([2, 3], 3)
    expected_THW[0] = block(2)  # object 3 is absent from frame 0
    assert np.array_equal(samples[1].masks_THW, expected_THW)
    assert np.array_equal(samples[2].masks_THW, blocks([1], 2))


def test_the_masks_of_mevis_valid_are_with_the_server(tmp_path):
    sample = load_mevis(build_mevis(tmp_path), "valid")[1]
    assert (sample.expression.text, sample.expression.obj_ids) == ("two birds that stay", ())
    assert sample.video.frames([2]).shape == (1, 12, 20, 3)
    with pytest.raises(DataError, match=r"^mevis valid: no public masks, bird/1 cannot be scored here"):
        _ = sample.masks_THW


def test_version_2_has_sentences_that_nothing_matches(tmp_path):
    samples = load_mevis_v2(build_mevis_v2(tmp_path), "valid_u")
    assert (len(samples), samples[3].expression.text, samples[3].expression.obj_ids) == (4, "a coin that flies", ())
    assert not samples[3].masks_THW.any()


def test_the_versions_are_told_apart_by_name_only_where_both_can_be_meant(tmp_path):
    root = build_mevis_v2(tmp_path)
    with pytest.raises(DataError, match=r"valid_u/meta_expressions\.json: not found; mevis is laid out as"):
        load_mevis(root, "valid_u")
    path = root / "valid_u" / "meta_expressions_v2.json"
    path.rename(path.with_name("meta_expressions.json"))
    assert len(load_mevis_v2(root, "valid_u")) == len(load_mevis(root, "valid_u")) == 4


def test_revos_knows_types_and_sources_and_ids_with_slashes(tmp_path):
    samples = load_revos(build_revos(tmp_path), "valid")
    assert [(item.video_name, item.expression.tags["type"], item.expression.tags["source"]) for item in samples.items] == [
        ("UVO/all/dog", "referring", "UVO"),
        ("UVO/all/dog", "reasoning", "UVO"),
        ("UVO/all/dog", "hallucination", "UVO"),
        ("MOSE/4f", "referring", "MOSE"),
    ]
    assert samples[0].video.name == "UVO/all/dog"
    assert [sample.masks_THW.sum() for sample in samples] == [32, 64, 0, 16]  # object 3 is absent from frame 0


def test_revos_names_a_sentence_without_a_type_or_of_an_unknown_one(tmp_path):
    root = build_revos(tmp_path)
    path = root / "meta_expressions_valid_.json"
    sound = path.read_text()
    for damage, message in (('"kind": 2', "'type_id' is missing; "), ('"type_id": 3', "'type_id' is 3, expected 0 to 2; ")):
        path.write_text(sound.replace('"type_id": 2', damage))
        with pytest.raises(DataError, match=rf"_valid_\.json: video UVO/all/dog, expression 2: {message}"):
            load_revos(root, "valid")
