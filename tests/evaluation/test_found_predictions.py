"""Predictions of other people's scripts are found and scored; what is missing or does not fit is named by its path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dataset_trees import HEIGHT, TREES, WIDTH, block, write_label_maps
from PIL import Image

from saymask.errors import DataError
from saymask.evaluation.candidates import without_model
from saymask.evaluation.exam import Exam, open_exam
from saymask.evaluation.found_predictions import find_predictions
from saymask.evaluation.predictors import predict_masks
from saymask.evaluation.run import predict, score, score_rows
from saymask.records import Prediction


@pytest.fixture
def reasonvos(tmp_path) -> Exam:
    return open_exam("reasonvos", "test", TREES["reasonvos"].build(tmp_path))


def write_masks(exam: Exam, folder: Path, inside: int) -> None:
    """Every true mask as a script writes it, `inside` being the value of the object's pixels."""
    for index in range(len(exam)):
        sample = exam.samples[index]
        (folder / exam.name(index)).mkdir(parents=True)
        for name, mask_HW in zip(sample.video.frame_names, sample.masks_THW, strict=True):
            Image.fromarray(mask_HW.astype(np.uint8) * inside).save(folder / exam.name(index) / f"{name}.png")


def j_and_f(exam: Exam, folder: Path) -> dict[str, float]:
    row = score_rows(exam, {"found": find_predictions(folder, exam)})["found"]
    return {entry["name"]: entry["j_and_f"] for entry in row["expressions"]}


PERFECT = {"0a1b/0": 1.0, "cat-7/0": 1.0, "cat-7/1": 1.0}


@pytest.mark.parametrize("subfolder", [".", "Annotations"])
@pytest.mark.parametrize("inside", [1, 255])
def test_black_and_white_masks(reasonvos, tmp_path, inside, subfolder):
    write_masks(reasonvos, tmp_path / "theirs" / subfolder, inside)
    assert j_and_f(reasonvos, tmp_path / "theirs") == PERFECT


def test_masks_in_colour_and_with_transparency_are_black_and_white_too(reasonvos, tmp_path):
    write_masks(reasonvos, tmp_path / "theirs", 255)
    for number, path in enumerate(sorted((tmp_path / "theirs").rglob("*.png"))):
        with Image.open(path) as image:
            image.convert(("RGB", "LA", "P", "1")[number % 4]).save(path)
    assert j_and_f(reasonvos, tmp_path / "theirs") == PERFECT


def test_our_own_files_without_what_lies_beside_them(reasonvos, tmp_path):
    predict(reasonvos, without_model("oracle"), tmp_path / "ours")
    assert j_and_f(reasonvos, tmp_path / "ours") == j_and_f(reasonvos, tmp_path / "ours/predictions") == PERFECT


def test_label_maps_of_annotators(tmp_path):
    exam = open_exam("ref-davis17", "valid", TREES["ref-davis17"].build(tmp_path))
    for annotator in range(4):
        labels = (1, 2) if annotator else (1,)  # annotator 0 gets no answer about object 2
        write_label_maps(tmp_path / f"theirs/anno_{annotator}/judo", ["00000", "00001"], labels)
    found = j_and_f(exam, tmp_path / "theirs")
    assert {name for name, share in found.items() if share == 0.0} == {"judo/4"}
    assert sum(found.values()) == 7.0


def test_label_maps_with_the_datasets_own_numbers(tmp_path):
    """Category "giant_panda" are objects 1 and 3, of which the masks have the first: J 16/32, F less than 1."""
    exam = open_exam("youtube-vos", "train", TREES["youtube-vos"].build(tmp_path))
    write_label_maps(tmp_path / "theirs/0062f687f1", ["00000", "00005"], (1, 2))
    row = score_rows(exam, {"found": find_predictions(tmp_path / "theirs", exam)})["found"]
    assert {entry["name"]: entry["j"] for entry in row["expressions"]} == {"0062f687f1/giant_panda": 0.5, "0062f687f1/person": 1.0}


def test_numbers_that_do_not_fit_into_a_byte_are_no_labels(tmp_path):
    root = TREES["mevis"].build(tmp_path)
    meta = root / "valid_u/meta_expressions.json"
    write_label_maps(tmp_path / "theirs/coin", ["00000", "00001"], (1,))
    assert find_predictions(tmp_path / "theirs", open_exam("mevis", "valid_u", root))
    meta.write_text(meta.read_text().replace('"anno_id": [13]', '"anno_id": [1013]'))
    with pytest.raises(DataError, match="no prediction for any"):
        find_predictions(tmp_path / "theirs", open_exam("mevis", "valid_u", root))


def test_what_is_missing_or_does_not_fit_counts_as_0_and_is_named(reasonvos, tmp_path):
    theirs = tmp_path / "theirs"
    write_masks(reasonvos, theirs, 255)
    (theirs / "0a1b/0/00001.png").unlink()
    Image.fromarray(np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)).save(theirs / "cat-7/0/frame0002.png")
    damaged = theirs / "cat-7/1/frame0010.png"
    damaged.write_bytes(damaged.read_bytes()[:40])

    results = score(reasonvos, theirs, tmp_path / "out")
    row = results["rows"]["files"]
    assert (results["model"], row["expected"], row["found"], row["overall"]["j_and_f"]) == ("theirs", 3, 0, 0.0)
    reasons = {failure["name"]: failure["reason"] for failure in row["failed"]}
    assert reasons["0a1b/0"] == f"{theirs / '0a1b/0/00001.png'}: no mask; 1 of 2 frames have none, write one for each"
    assert reasons["cat-7/0"] == (
        f"{theirs / 'cat-7/0/frame0002.png'}: the mask is 10x6, but the frames of cat-7 are 20x12; enlarge masks to the size of the frames"
    )
    assert reasons["cat-7/1"].startswith(f"{damaged}: the mask is damaged or cut off (")


def test_values_that_are_neither_black_nor_white_are_named(reasonvos, tmp_path):
    write_masks(reasonvos, tmp_path / "theirs", 220)
    row = score(reasonvos, tmp_path / "theirs", tmp_path / "out")["rows"]["files"]
    assert (row["expected"], row["found"]) == (3, 0)
    assert all("values 220" in failure["reason"] and ".png" in failure["reason"] for failure in row["failed"])


def test_a_label_map_in_colour_is_refused(tmp_path):
    exam = open_exam("youtube-vos", "train", TREES["youtube-vos"].build(tmp_path))
    write_label_maps(tmp_path / "theirs/0062f687f1", ["00000", "00005"], (1, 2))
    path = tmp_path / "theirs/0062f687f1/00005.png"
    Image.fromarray(np.stack([block(1).astype(np.uint8)] * 3, axis=-1)).save(path)
    with pytest.raises(DataError, match=rf"^{path}: an image in colour, but a label map has one number per pixel"):
        find_predictions(tmp_path / "theirs", exam)(exam.samples[0])


def test_a_folder_with_nothing_of_the_exam_says_what_was_expected(reasonvos, tmp_path):
    (tmp_path / "theirs/other").mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        find_predictions(tmp_path / "theirs", reasonvos)
    facts = [
        f"{tmp_path / 'theirs'}",
        "3 expressions of reasonvos test",
        "0a1b/0.json",
        "0a1b/0/<frame>.png",
        "0a1b/<frame>.png",
        "0a1b.xml",
    ]
    assert [fact for fact in facts if fact not in str(caught.value)] == []


def export(exam: Exam, folder: Path, form: str) -> None:
    """The true masks of each video as a tool exports them, with the sentences as labels."""
    by_video: dict[str, list[Prediction]] = {}
    for index in range(len(exam)):
        sample = exam.samples[index]
        by_video.setdefault(sample.video.name, []).append(predict_masks(sample, sample.masks_THW[None]))
    for name, predictions in by_video.items():
        whole = Prediction(predictions[0].video, tuple(result for one in predictions for result in one.results))
        whole.save(folder / name, form)


@pytest.mark.parametrize("form", ["cvat", "labelstudio", "labelme", "coco", "ytvis"])
def test_exports_of_annotation_tools(reasonvos, tmp_path, form):
    export(reasonvos, tmp_path / "theirs", form)
    assert j_and_f(reasonvos, tmp_path / "theirs") == PERFECT


def test_a_sentence_that_no_object_bears_is_named(reasonvos, tmp_path):
    export(reasonvos, tmp_path / "theirs", "labelme")
    text = reasonvos.item(0).expression.text
    for path in (tmp_path / "theirs" / reasonvos.item(0).video_name / "labelme").iterdir():
        path.write_text(path.read_text().replace(text, "another"))
    with pytest.raises(DataError) as error:
        find_predictions(tmp_path / "theirs", reasonvos)(reasonvos.samples[0])
    assert text in str(error.value) and "another" in str(error.value)


def test_frames_that_an_export_lacks_are_counted(reasonvos, tmp_path):
    export(reasonvos, tmp_path / "theirs", "labelme")
    first = reasonvos.samples[0].video
    (tmp_path / "theirs" / first.name / "labelme" / f"{first.frame_names[-1]}.json").unlink()
    with pytest.raises(DataError, match=f"1 of {first.num_frames} frames are not in it, such as {first.frame_names[-1]}"):
        find_predictions(tmp_path / "theirs", reasonvos)(reasonvos.samples[0])
