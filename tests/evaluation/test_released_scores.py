"""From the folders that released scripts write to the numbers that released scripts compute: the whole way through `score`.

The golden annotations are laid out as the datasets are, the golden predictions as the scripts write them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import rle, write_json
from PIL import Image

from saymask.evaluation.exam import open_exam
from saymask.evaluation.run import score
from saymask.metrics.protocols import VIDEOLISA_RELEASE, VISA_RELEASE

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
REVOS, REVOS_MASKS = json.loads((GOLDEN / "revos.json").read_text()), np.load(GOLDEN / "revos.npz")
REF_DAVIS, REF_DAVIS_MASKS = json.loads((GOLDEN / "refdavis.json").read_text()), np.load(GOLDEN / "refdavis.npz")
EXACT = {"rel": 0, "abs": 1e-9}


def write_pngs(folder: Path, frame_names: list[str], pixels_THW: np.ndarray, suffix: str = "png") -> None:
    folder.mkdir(parents=True)
    for name, pixels_HW in zip(frame_names, pixels_THW, strict=True):
        Image.fromarray(pixels_HW).save(folder / f"{name}.{suffix}")


@pytest.fixture(scope="module")
def revos(tmp_path_factory) -> Path:
    """ReVOS/ and, as VISA writes them, predictions/ of 0 and 255; nothing is predicted for the video "not_predicted"."""
    folder = tmp_path_factory.mktemp("revos")
    videos = dict(REVOS["meta_expressions"]["videos"])
    videos["not_predicted"] = {**videos["not_predicted"], "frames": videos["vidA"]["frames"]}  # as many as its object has masks
    write_json(folder / "ReVOS/meta_expressions_valid_.json", {"videos": videos})
    annotations = {name.removeprefix("anno__"): REVOS_MASKS[name] for name in REVOS_MASKS if name.startswith("anno__")}
    write_json(folder / "ReVOS/mask_dict.json", {anno_id: [rle(mask > 0) for mask in masks] for anno_id, masks in annotations.items()})
    for video, entry in videos.items():
        frames_THW = np.zeros_like(annotations[str(entry["expressions"]["0"]["anno_id"][0])], dtype=np.uint8)
        write_pngs(folder / "ReVOS/JPEGImages" / video, entry["frames"], frames_THW, "jpg")
        for exp_id in entry["expressions"]:
            if f"pred__{video}__{exp_id}" in REVOS_MASKS:
                masks_THW = (REVOS_MASKS[f"pred__{video}__{exp_id}"] > 0).astype(np.uint8) * 255
                write_pngs(folder / "predictions" / video / exp_id, entry["frames"], masks_THW)
    return folder


def test_revos_of_visa(revos, tmp_path):
    row = score(open_exam("revos", "valid", revos), revos / "predictions", tmp_path, VISA_RELEASE)["rows"]["files"]
    names = {"J": "j", "F": "f", "JF": "j_and_f", "A": "accuracy", "R": "r_x255"}
    for ours, theirs in (("referring", "referring"), ("reasoning", "reason"), ("overall", "overall")):
        found = {name: 100 * row["benchmark"][ours][measure] for name, measure in names.items()}
        assert found == pytest.approx(REVOS["expected_predictions_0_255"][theirs], **EXACT)
    assert [failure["name"] for failure in row["failed"]] == ["not_predicted/0"]


@pytest.fixture(scope="module")
def ref_davis(tmp_path_factory) -> Path:
    """ref-davis/ and both folders that VideoLISA writes: single/ with a mask per expression, merged/ with label maps per annotator."""
    folder = tmp_path_factory.mktemp("ref-davis")
    videos = REF_DAVIS["meta_expressions"]["videos"]
    write_json(folder / "ref-davis/meta_expressions/valid/meta_expressions.json", {"videos": videos})
    for video, entry in videos.items():
        truth_THW = REF_DAVIS_MASKS[f"gt__{video}"]
        write_pngs(folder / "ref-davis/valid/Annotations" / video, entry["frames"], truth_THW)
        write_pngs(folder / "ref-davis/valid/JPEGImages" / video, entry["frames"], np.zeros_like(truth_THW), "jpg")
        for exp_id in entry["expressions"]:
            write_pngs(folder / "single" / video / exp_id, entry["frames"], REF_DAVIS_MASKS[f"pred__{video}__{exp_id}"])
        for annotator in range(4):
            merged_THW = REF_DAVIS_MASKS[f"merged__anno{annotator}__{video}"]
            write_pngs(folder / f"merged/anno_{annotator}" / video, entry["frames"], merged_THW)
    return folder


@pytest.mark.parametrize("predictions", ["single", "merged"])
def test_ref_davis_of_videolisa(ref_davis, predictions, tmp_path):
    row = score(open_exam("ref-davis17", "valid", ref_davis), ref_davis / predictions, tmp_path, VIDEOLISA_RELEASE)["rows"]["files"]
    published = row["benchmark"]["mean of annotators"]
    expected = REF_DAVIS["average_over_annotators"]
    names = {"j_and_f": "J&F-Mean", "j_recall": "J-Recall", "j_decay": "J-Decay", "f_recall": "F-Recall", "f_decay": "F-Decay"}
    assert {ours: published[ours] for ours in names} == pytest.approx({ours: expected[theirs] for ours, theirs in names.items()}, **EXACT)
