"""Both DAVIS tasks and Ref-DAVIS17 equal the benchmark's scripts under their protocols, and hand-computed values under ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saymask.errors import DataError
from saymask.metrics.davis import (
    ObjectScores,
    instances,
    merge_expressions,
    ref_davis,
    semi_supervised,
    series_statistics,
    summarise,
    summarise_annotators,
    unsupervised,
)
from saymask.metrics.protocols import DAVIS2017, VIDEOLISA_RELEASE

GOLDEN = Path(__file__).parents[1] / "golden"
DAVIS = json.loads((GOLDEN / "metrics/davis.json").read_text())
DAVIS_MAPS = np.load(GOLDEN / "metrics/davis.npz")
REF_DAVIS = json.loads((GOLDEN / "metrics/refdavis.json").read_text())
REF_DAVIS_MASKS = np.load(GOLDEN / "metrics/refdavis.npz")
STATISTICS = json.loads((GOLDEN / "metrics/statistics.json").read_text())["cases"]
SERIES = np.load(GOLDEN / "metrics/statistics.npz")
VIDEOLISA = np.load(GOLDEN / "videolisa/metrics.npz")
EXACT = {"rel": 0, "abs": 1e-9, "nan_ok": True}

TASKS = {"semi_supervised": (semi_supervised, "semi"), "unsupervised": (unsupervised, "unsup")}
THEIR_NAMES = {
    "j_and_f": "J&F-Mean",
    "j": "J-Mean",
    "j_recall": "J-Recall",
    "j_decay": "J-Decay",
    "f": "F-Mean",
    "f_recall": "F-Recall",
    "f_decay": "F-Decay",
}


def check_summary(ours: dict[str, float], theirs: dict[str, float]) -> None:
    assert ours == pytest.approx({name: theirs[their_name] for name, their_name in THEIR_NAMES.items()}, **EXACT)


def without_none(values: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


@pytest.mark.parametrize("case", STATISTICS, ids=lambda case: str(case["length"]))
def test_statistics_equal_the_benchmark(case):
    """Its byte positions wrap: from 256 frames on decay is NaN or another number altogether."""
    found = series_statistics(SERIES[f"v{case['length']}" if isinstance(case["length"], int) else f"v_{case['length']}"], DAVIS2017)
    expected = without_none([case[name] for name in ("mean", "recall", "decay")])
    assert [found[name] for name in ("mean", "recall", "decay")] == pytest.approx(expected, **EXACT)


@pytest.mark.parametrize("case", [case for case in STATISTICS if case["length"] not in (256, 257, 258, 300, 512, 700)], ids=str)
def test_statistics_of_up_to_255_frames_do_not_depend_on_the_protocol(case):
    values_T = SERIES[f"v{case['length']}" if isinstance(case["length"], int) else f"v_{case['length']}"]
    assert series_statistics(values_T) == pytest.approx(series_statistics(values_T, DAVIS2017), **EXACT)


@pytest.mark.parametrize("i", range(7))
def test_statistics_equal_the_videolisa_scripts(i):
    found = series_statistics(VIDEOLISA[f"stat{i}_in"], VIDEOLISA_RELEASE)
    assert [found[name] for name in ("mean", "recall", "decay")] == pytest.approx(VIDEOLISA[f"stat{i}_mrd"].tolist(), **EXACT)


def test_decay_of_a_long_video_by_hand():
    """1001 frames falling from 1 to 0 in equal steps: the quarters' means are 0.875 and 0.125 (frames 0-250 and 750-1000)."""
    assert series_statistics(np.linspace(1, 0, 1001))["decay"] == pytest.approx(0.75, abs=1e-12)
    assert series_statistics(np.array([1.0, 0.5, 0.51, 0.0])) == {"mean": 0.5025, "recall": 0.5, "decay": 0.495}
    with pytest.raises(ValueError, match=r"^expected a score for each of at least one frame, got shape \(0,\)$"):
        series_statistics(np.array([]))


@pytest.mark.parametrize("task", TASKS)
def test_every_frame_and_the_summary_equal_the_benchmark(task):
    """Rows of the unsupervised task come in the order of the proposals; the order of the names shows only how many there are."""
    score, prefix = TASKS[task]
    objects, names = [], []
    for sequence in DAVIS["sequence_order"]:
        found = score(DAVIS_MAPS[f"{prefix}__{sequence}"], DAVIS_MAPS[f"gt__{sequence}"], DAVIS2017)
        frames = DAVIS[task]["per_sequence"][sequence]
        for j, scores in zip(frames["J_per_object_per_frame"], found, strict=True):
            assert scores.j_T.tolist() == pytest.approx(j, **EXACT)
        for f, scores in zip(frames["F_per_object_per_frame"], found, strict=True):
            assert scores.f_T.tolist() == pytest.approx(f, **EXACT)
        objects += found
        names += [f"{sequence}_{place}" for place in range(1, len(found) + 1)]
    assert names == DAVIS[task]["object_order"]
    check_summary(summarise(objects, DAVIS2017), DAVIS[task]["global_"])
    for measure, series in (("J", [scores.j_T for scores in objects]), ("F", [scores.f_T for scores in objects])):
        for letter, name in (("M", "mean"), ("R", "recall"), ("D", "decay")):
            found = [series_statistics(values_T, DAVIS2017)[name] for values_T in series]
            assert found == pytest.approx(DAVIS[task][measure][letter], **EXACT)


@pytest.mark.parametrize(("prefix", "num_proposals"), [("dav", 3), ("dav1", 1)])
def test_matched_instances_equal_the_videolisa_scripts(prefix, num_proposals):
    """Two objects, three proposals or one."""
    found = instances(VIDEOLISA["dav_pred"][:num_proposals] > 0, VIDEOLISA["dav_gt"] > 0, protocol=VIDEOLISA_RELEASE)
    np.testing.assert_allclose([scores.j_T for scores in found], VIDEOLISA[f"{prefix}_J"], rtol=0, atol=1e-9)
    np.testing.assert_allclose([scores.f_T for scores in found], VIDEOLISA[f"{prefix}_F"], rtol=0, atol=1e-9)


def ref_davis_masks(video: str) -> np.ndarray:
    num_expressions = sum(name.startswith(f"pred__{video}__") for name in REF_DAVIS_MASKS)
    masks = np.stack([REF_DAVIS_MASKS[f"pred__{video}__{exp_id}"] for exp_id in range(num_expressions)])
    return (masks > 0).reshape(-1, 4, *masks.shape[1:])


def test_ref_davis_equals_the_videolisa_scripts():
    videos = []
    for video in REF_DAVIS["videos"]:
        masks_NATHW = ref_davis_masks(video)
        for annotator in range(4):
            merged = merge_expressions(masks_NATHW[:, annotator])
            np.testing.assert_array_equal(merged, REF_DAVIS_MASKS[f"merged__anno{annotator}__{video}"])
        videos.append(ref_davis(masks_NATHW, REF_DAVIS_MASKS[f"gt__{video}"], VIDEOLISA_RELEASE))
    for annotator, expected in enumerate(REF_DAVIS["per_annotator"]):
        objects = {
            f"{video}_{place}": scores
            for video, of_video in zip(REF_DAVIS["videos"], videos, strict=True)
            for place, scores in enumerate(of_video[annotator], 1)
        }
        check_summary(summarise(list(objects.values()), VIDEOLISA_RELEASE), expected)
        assert {name: scores.j_T.mean() for name, scores in objects.items()} == pytest.approx(expected["per_object_J"], **EXACT)
        assert {name: scores.f_T.mean() for name, scores in objects.items()} == pytest.approx(expected["per_object_F"], **EXACT)
    check_summary(summarise_annotators(videos, VIDEOLISA_RELEASE), REF_DAVIS["average_over_annotators"])


def test_merging_equals_the_videolisa_scripts():
    masks_NATHW = VIDEOLISA["davpost_masks_exp_frame"].reshape(3, 4, 3, 20, 30)
    for annotator in range(4):
        np.testing.assert_array_equal(merge_expressions(masks_NATHW[:, annotator]), VIDEOLISA["davpost_merged_anno_frame"][annotator])


def block(label: int, left: int, num_frames: int = 4) -> np.ndarray:
    """Label map of 30x60 frames with a 10x10 block at a column."""
    ids_THW = np.zeros((num_frames, 30, 60), dtype=np.uint8)
    ids_THW[:, 10:20, left : left + 10] = label
    return ids_THW


def means(objects: list[ObjectScores]) -> list[float]:
    return [round(float(scores.j_T.mean()), 9) for scores in objects]


def test_by_default_all_frames_all_objects_and_void_count():
    """Object 2 comes after the first frame and is never found; the end frames are wrong; void covers what object 1 has too much."""
    truth = block(1, 5)
    truth[1:] += block(2, 40)[1:]
    truth[:, 10:20, 15:20] = 255
    ids = block(1, 5)
    ids[:, 10:20, 15:20] = 1
    ids[0], ids[3] = 0, 0
    assert means(semi_supervised(ids, truth)) == [0.5, 0.25]
    # The benchmark leaves out the end frames and object 2, and takes void for background: 100 of 150 pixels.
    assert means(semi_supervised(ids, truth, DAVIS2017)) == [round(100 / 150, 9)]


def test_a_label_that_no_object_has_is_an_error():
    with pytest.raises(DataError, match=r"^the prediction has label 3, but the objects are 1 to 1; remove or renumber it$"):
        semi_supervised(block(3, 5), block(1, 5))


def test_a_truth_without_objects_is_an_error():
    truth = block(1, 5)
    truth[0] = 0
    with pytest.raises(DataError, match=r"^the truth has no object on its first frame; check its label maps$"):
        semi_supervised(block(1, 5), truth, DAVIS2017)
    with pytest.raises(DataError, match=r"^the truth has no object; check its label maps$"):
        unsupervised(block(1, 5), block(0, 5))


def test_a_video_of_two_frames_has_no_middle():
    truth = block(1, 5, num_frames=2)
    assert means(semi_supervised(truth, truth)) == [1.0]
    with pytest.raises(DataError, match=r"^2 frames leave none to score: protocol davis2017 drops the first and the last$"):
        semi_supervised(truth, truth, DAVIS2017)


def test_labels_of_proposals_mean_nothing():
    truth = block(1, 5) + block(2, 40)
    assert means(unsupervised(block(7, 5) + block(3, 40), truth)) == [1.0, 1.0]
    # Half beside its object; the benchmark lists it first, because its label is lower.
    ids = block(7, 5) + block(3, 45)
    assert means(unsupervised(ids, truth)) == [1.0, round(1 / 3, 9)]
    assert means(unsupervised(ids, truth, DAVIS2017)) == [round(1 / 3, 9), 1.0]


def test_too_many_proposals_are_an_error_of_the_benchmark_only():
    truth = block(1, 5)
    assert means(unsupervised(block(21, 5), truth)) == [1.0]
    with pytest.raises(DataError, match=r"^proposal 21, but protocol davis2017 allows 20; keep and number the best ones$"):
        unsupervised(block(21, 5), truth, DAVIS2017)


def test_by_default_the_number_of_instances_counts():
    """Missing and surplus instances score 0; the benchmark forgives surplus, and silence where a missing object is absent."""
    first, second = block(1, 5) > 0, block(1, 40) > 0
    second[:2] = False
    assert means(instances(np.stack([second, first]), np.stack([first, second]))) == [1.0, 1.0]
    assert means(instances(np.stack([first]), np.stack([first, second]))) == [1.0, 0.0]
    assert means(instances(np.stack([second, first]), np.stack([first]))) == [1.0, 0.0]
    assert means(instances(np.stack([first]), np.stack([first, second]), protocol=DAVIS2017)) == [1.0, 0.5]
    assert means(instances(np.stack([second, first]), np.stack([first]), protocol=DAVIS2017)) == [1.0]


def test_an_instance_without_a_pixel_is_none():
    first = block(1, 5) > 0
    assert means(instances(np.stack([np.zeros_like(first), first]), np.stack([first]))) == [1.0]
    assert means(instances(np.zeros((0, *first.shape), dtype=bool), np.stack([first]))) == [0.0]


def test_the_assignment_is_the_best_for_all_and_not_for_the_first():
    """Prediction 0 fits object 0 a little better than object 1, but prediction 1 fits object 0 alone."""
    truth = np.stack([block(1, 10), block(1, 18)]) > 0
    masks = np.stack([block(1, 13), block(1, 7)]) > 0
    # Overlaps in columns of 10: 13 with 10 -> 7, 13 with 18 -> 5, 7 with 10 -> 7, 7 with 18 -> 0.
    assert means(instances(masks, truth)) == [round(7 / 13, 9), round(5 / 15, 9)]


def test_void_does_not_count_for_instances():
    truth = block(1, 5) > 0
    wide = truth | (block(1, 15) > 0)
    assert means(instances(np.stack([wide]), np.stack([truth]))) == [0.5]
    assert means(instances(np.stack([wide]), np.stack([truth]), void_THW=wide & ~truth)) == [1.0]


def test_by_default_ref_davis_compares_every_answer_with_its_own_object():
    """Answers swapped between two objects are both wrong; drawn into one map and matched anew they become right."""
    truth = block(1, 5) + block(2, 40)
    swapped_NATHW = np.stack([truth == 2, truth == 1])[:, None]
    (objects,) = ref_davis(swapped_NATHW, truth)
    assert means(objects) == [0.0, 0.0]
    (objects,) = ref_davis(swapped_NATHW, truth, VIDEOLISA_RELEASE)
    assert means(objects) == [1.0, 1.0]


def test_annotators_are_averaged_over_the_objects_of_all_videos():
    """Annotator 0: J 1, 0.5, 0; annotator 1: 0, 0, 0. Objects of two videos weigh alike."""

    def constant(share: float) -> ObjectScores:
        return ObjectScores(np.full(3, share), np.zeros(3))

    videos = [[[constant(1.0), constant(0.5)], [constant(0.0), constant(0.0)]], [[constant(0.0)], [constant(0.0)]]]
    summary = summarise_annotators(videos)
    assert (summary["j"], summary["f"], summary["j_and_f"]) == (0.25, 0.0, 0.125)
    assert summary["j_recall"] == pytest.approx(1 / 6)
    with pytest.raises(ValueError, match=r"^no objects to summarise$"):
        summarise([])
