"""ReVOS and MeViS tables equal the released scripts' under their protocols, and hand-computed values under ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saymask.evaluation.expressions import REVOS_TYPES, expression_scores, mean_scores, presence_accuracies, revos_table
from saymask.metrics.protocols import SAYMASK, VIDEOLISA_RELEASE, VISA_RELEASE, Protocol

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
REVOS = json.loads((GOLDEN / "revos.json").read_text())
MEVIS = json.loads((GOLDEN / "mevis.json").read_text())
MASKS = np.load(GOLDEN / "revos.npz")
EXPRESSIONS = [
    (video, exp_id, expression["anno_id"], expression["type_id"])
    for video, entry in REVOS["meta_expressions"]["videos"].items()
    for exp_id, expression in entry["expressions"].items()
]
PREDICTED = [entry for entry in EXPRESSIONS if entry[0] != "not_predicted"]
EXACT = {"rel": 0, "abs": 1e-9}

BINARY_VISA = replace(VISA_RELEASE, mask_value=1)
"""The script given pictures of 0 and 1; it writes 0 and 255 itself."""
FOLDERS = [("0_1", "p1", BINARY_VISA, "r"), ("0_255", "p255", VISA_RELEASE, "r_x255")]


def scores_of(video: str, exp_id: str, anno_ids: list[int], protocol: Protocol, frames: slice = slice(None)) -> dict[str, float] | None:
    if f"pred__{video}__{exp_id}" not in MASKS:
        return None
    instances_NTHW = np.stack([MASKS[f"anno__{anno_id}"] for anno_id in anno_ids])[:, frames]
    masks_THW = MASKS[f"pred__{video}__{exp_id}"][frames]
    return expression_scores(masks_THW, instances_NTHW, foreground_THW=MASKS[f"foreground__{video}"][frames], protocol=protocol)


@pytest.mark.parametrize(("folder", "suffix", "protocol", "r_name"), FOLDERS)
@pytest.mark.parametrize(("video", "exp_id", "anno_ids", "type_id"), PREDICTED)
def test_every_frame_equals_the_visa_script(video, exp_id, anno_ids, type_id, folder, suffix, protocol, r_name):
    expected = REVOS["per_frame_unrounded"][f"{video}__{exp_id}__{suffix}"]
    unrounded = replace(protocol, percent_decimals=None)
    for t in range(len(expected["J"])):
        scores = scores_of(video, exp_id, anno_ids, unrounded, slice(t, t + 1))
        assert scores is not None
        assert [scores[name] for name in ("j", "f", "accuracy", r_name)] == pytest.approx([expected[name][t] for name in "JFAR"], **EXACT)


@pytest.mark.parametrize(("folder", "suffix", "protocol", "r_name"), FOLDERS)
def test_every_expression_and_the_table_equal_the_visa_script(folder, suffix, protocol, r_name):
    """The script's numbers are per cent, expressions rounded to two decimals; a missing video is a row of zeros."""
    names = {"J": "j", "F": "f", "JF": "j_and_f", "A": "accuracy", "R": r_name}
    scores = [scores_of(video, exp_id, anno_ids, protocol) for video, exp_id, anno_ids, _ in EXPRESSIONS]
    recorded = {row["videxp"]: row for row in REVOS[f"per_expression_{folder}"]}
    assert len(recorded) == len(EXPRESSIONS) == 15
    for (video, exp_id, _, type_id), found in zip(EXPRESSIONS, scores, strict=True):
        row = recorded[f"{video}_{exp_id}"]
        text = REVOS["meta_expressions"]["videos"][video]["expressions"][exp_id]["exp"]
        assert (row["video_name"], str(row["exp_id"]), row["exp"], row["type_id"]) == (video, exp_id, text, type_id)
        for theirs, ours in names.items():
            assert 100 * (found[ours] if found else 0.0) == pytest.approx(row[theirs], **EXACT)

    table = revos_table(scores, [REVOS_TYPES[type_id] for *_, type_id in EXPRESSIONS], protocol)
    expected = REVOS[f"expected_predictions_{folder}"]
    for ours, theirs in (("referring", "referring"), ("reasoning", "reason"), ("overall", "overall")):
        assert {name: 100 * table[ours][names[name]] for name in names} == pytest.approx(expected[theirs], **EXACT)


def test_mevis_equals_the_visa_script():
    """It prints two decimals of a per cent, and the missing video counts as zeros."""
    means = mean_scores([scores_of(video, exp_id, anno_ids, VISA_RELEASE) for video, exp_id, anno_ids, _ in EXPRESSIONS], VISA_RELEASE)
    printed = {"J": means["j"], "F": means["f"], "J&F": means["j_and_f"]}
    assert {name: round(100 * share, 2) for name, share in printed.items()} == MEVIS["visa_script"]


def test_mevis_equals_the_videolisa_script_which_skips_what_is_missing():
    scores = [scores_of(video, exp_id, anno_ids, VIDEOLISA_RELEASE) for video, exp_id, anno_ids, _ in EXPRESSIONS]
    by_name = {f"{video}_{exp_id}": found for (video, exp_id, _, _), found in zip(EXPRESSIONS, scores, strict=True) if found}
    assert by_name.keys() == MEVIS["videolisa_per_expression_J_F"].keys()
    for name, (j, f) in MEVIS["videolisa_per_expression_J_F"].items():
        assert (by_name[name]["j"], by_name[name]["f"]) == pytest.approx((j, f), **EXACT)
    means = mean_scores(scores, VIDEOLISA_RELEASE)
    found = [means["j"], means["f"], means["j_and_f"]]
    assert found == pytest.approx([MEVIS[f"videolisa_{name}"] for name in ("J", "F", "J&F")], **EXACT)
    assert found == pytest.approx([float(line.split(": ")[1]) for line in MEVIS["videolisa_script_stdout"]], **EXACT)


def test_by_default_a_missing_prediction_lowers_the_mean():
    found = {"j": 0.8, "f": 0.6, "j_and_f": 0.7}
    assert mean_scores([found, None]) == pytest.approx({"j": 0.4, "f": 0.3, "j_and_f": 0.35})
    assert mean_scores([found, None], VIDEOLISA_RELEASE) == pytest.approx(found)
    assert mean_scores([None, None]) == {"j": 0.0, "f": 0.0, "j_and_f": 0.0}
    for nothing, protocol in (([], SAYMASK), ([None], VIDEOLISA_RELEASE)):
        with pytest.raises(ValueError, match=r"^no expressions to average$"):
            mean_scores(nothing, protocol)


def two_instances() -> np.ndarray:
    """20x20 frames, two 10x10 instances that share 5 columns: 150 pixels together, 50 of them in both."""
    instances_NTHW = np.zeros((2, 1, 20, 20), dtype=bool)
    instances_NTHW[0, :, 5:15, 0:10] = True
    instances_NTHW[1, :, 5:15, 5:15] = True
    return instances_NTHW


def test_by_default_overlapping_instances_are_united():
    """Adding them as bytes makes the 50 shared pixels worth 2, wrong in accuracy and, 255 times each, in R."""
    instances_NTHW = two_instances()
    right_THW = instances_NTHW.any(axis=0)
    scores = expression_scores(right_THW, instances_NTHW, foreground_THW=right_THW)
    assert scores == {"j": 1.0, "f": 1.0, "j_and_f": 1.0, "accuracy": 1.0, "r": 1.0}
    summed = expression_scores(right_THW, instances_NTHW, foreground_THW=right_THW, protocol=BINARY_VISA)
    assert (summed["j"], summed["accuracy"], summed["r"]) == (1.0, 0.875, 0.0)


def test_r_and_the_published_scale_have_different_names():
    """One false pixel against a foreground of 150: 1 - 1/150, or below 0 when it weighs 255."""
    instances_NTHW = two_instances()[:1]
    masks_THW = instances_NTHW[0].copy()
    masks_THW[0, 0, 0] = True
    foreground_THW = two_instances().any(axis=0)
    scores = expression_scores(masks_THW, instances_NTHW, foreground_THW=foreground_THW)
    assert scores["r"] == 1 - 1 / 150 and "r_x255" not in scores
    published = expression_scores(255 * masks_THW.astype(np.uint8), instances_NTHW, foreground_THW=foreground_THW, protocol=VISA_RELEASE)
    assert published["r_x255"] == 0.0 and "r" not in published


def test_nothing_to_find():
    """No instance: silence is right on both frames, a pixel on one of them makes it half right."""
    nothing = np.zeros((0, 2, 8, 8), dtype=bool)
    masks_THW = np.zeros((2, 8, 8), dtype=bool)
    steady = {"j_recall": 1.0, "j_decay": 0.0, "f_recall": 1.0, "f_decay": 0.0}
    assert expression_scores(masks_THW, nothing) == {"j": 1.0, "f": 1.0, "j_and_f": 1.0, **steady}
    masks_THW[0, 3, 3] = True  # so the scores rise from 0 to 1
    rising = {"j_recall": 0.5, "j_decay": -1.0, "f_recall": 0.5, "f_decay": -1.0}
    assert expression_scores(masks_THW, nothing) == {"j": 0.5, "f": 0.5, "j_and_f": 0.5, **rising}


def test_void_pixels_do_not_count():
    instances_NTHW = two_instances()[:1]
    masks_THW = two_instances().any(axis=0)
    assert expression_scores(masks_THW, instances_NTHW)["j"] == pytest.approx(100 / 150)
    assert expression_scores(masks_THW, instances_NTHW, void_THW=masks_THW & ~instances_NTHW[0])["j_and_f"] == 1.0


def test_the_revos_table_keeps_hallucinations_apart():
    rows = [{"j": share, "f": share, "j_and_f": share} for share in (0.2, 0.4, 0.9, 0.1)]
    table = revos_table([*rows, None], ["referring", "referring", "reasoning", "hallucination", "reasoning"])
    assert {name: row["j"] for name, row in table.items()} == pytest.approx(
        {"referring": 0.3, "reasoning": 0.45, "hallucination": 0.1, "overall": 0.375}
    )
    assert list(revos_table(rows[:2], ["referring"] * 2)) == ["referring"]
    with pytest.raises(ValueError, match="'compare'"):
        revos_table(rows[:1], ["compare"])


def test_presence_accuracies_by_hand():
    """Three expressions without a target, one of them answered; two with a target, one unanswered."""
    has_target, answered = [False, False, False, True, True], [False, True, False, True, False]
    assert presence_accuracies(has_target, answered) == {"n_acc": 2 / 3, "t_acc": 1 / 2}
    assert presence_accuracies([True], [True]) == {"t_acc": 1.0}
    assert presence_accuracies([False], [True]) == {"n_acc": 0.0}
    with pytest.raises(ValueError, match=r"^2 expressions but 1 answers$"):
        presence_accuracies([True, False], [True])
