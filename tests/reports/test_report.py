"""A report says what results.json holds: in the right cells, beside the right publications, with the right images."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import build_reasonseg, build_revos
from PIL import Image

from saymask.errors import DataError
from saymask.evaluation.candidates import without_model
from saymask.evaluation.exam import open_exam
from saymask.evaluation.predictors import empty, predict_masks
from saymask.evaluation.run import predict, score
from saymask.exports.case_images import PREDICTION_COLOUR, TRUTH_COLOUR, draw_case
from saymask.records import Video
from saymask.reports.document import JpegImage, Table
from saymask.reports.report import build_report, choose_cases, open_cases, read_results, write_report
from saymask.samples import Expression, Sample, in_memory


def entry(name, j_and_f, **fields):
    scores = {"j": j_and_f, "f": j_and_f, "j_and_f": j_and_f, "has_target": True, "answered": True, "tags": {}}
    return {"name": name, "video": name.split("/")[0], "text": f"the fish of {name}", **scores, **fields}


def a_row(*entries, overall=None, **fields):
    failed = [{"name": scores["name"], "reason": scores["error"]} for scores in entries if "error" in scores]
    counts = {"expected": len(entries), "found": len(entries) - len(failed), "failed": failed}
    return {**counts, "overall": overall or {"j_and_f": 0.5, "j": 0.4, "f": 0.6}, "expressions": list(entries), **fields}


def results_of(dataset="toyworld", split="test", limit=None, **rows):
    return {
        "dataset": dataset,
        "split": split,
        "limit": limit,
        "model": "toy",
        "tracker": None,
        "sha256": {"toy/model.safetensors": "abc"},
        "protocol": "saymask",
        "left_out": [],
        "run": {"command": "saymask eval toyworld", "torch": "2.10"},
        "rows": rows,
    }


def section(document, heading):
    (blocks,) = [section.blocks for section in document.sections if section.heading == heading]
    return blocks


def lines(table):
    assert isinstance(table, Table)
    return [list(table.header), *([cell.text for cell in row.cells] for row in table.rows)]


EIGHT = [entry(f"v{i}/0", i / 10) for i in range(8)]


def test_scores_are_shown_with_interval_and_counts_beside_baselines():
    overall = {"expressions": 8, "j_and_f": 0.5614, "j": 0.5, "f": 0.6, "n_acc": 0.25, "f_decay": -0.03, "j_and_f_interval": [0.531, 0.594]}
    baseline = a_row(*EIGHT, overall={"j_and_f": 0.125, "j": 0.125, "f": 0.125, "n_acc": 1.0})
    document = build_report(results_of(model=a_row(*EIGHT, overall=overall), swapped=baseline), {})
    assert document.title == "toy on toyworld test"
    assert document.lead == "J&F 56.1 (95% interval 53.1 to 59.4) over 8 expressions. Every expected prediction was found."
    table, about = section(document, "Scores")
    assert lines(table) == [
        ["measure", "model", "swapped"],
        ["J&F", "56.1", "12.5"],
        ["95% interval of J&F", "53.1 to 59.4", ""],
        ["J", "50.0", "12.5"],
        ["F", "60.0", "12.5"],
        ["N-acc", "25.0", "100.0"],
        ["F decay", "-3.0", ""],
        ["expressions", "8", "8"],
        ["predictions found", "8", "8"],
    ]
    assert [row.highlighted for row in table.rows] == [True] + 7 * [False]
    assert [row.cells[1].share for row in table.rows] == [0.5614, None, 0.5, 0.6, 0.25, None, None, None]
    assert about.startswith("“swapped” is the same model, asked another video's question")


def test_groups_are_shown_for_every_row_and_one_alone_is_not():
    def grouped(motion, plural):
        families = {"motion": {"expressions": 3, "j_and_f": motion}, "plural": {"expressions": 5, "j_and_f": plural}}
        return a_row(*EIGHT, families=families, sources={"mose": {"expressions": 8, "j_and_f": 0.5}})

    (table,) = section(build_report(results_of(model=grouped(0.5, 0.25), empty=grouped(0, 1)), {}), "Strong and weak groups")
    assert table.caption == "J&F by kind of question, in per cent"
    assert lines(table) == [
        ["kind of question", "model", "empty", "expressions"],
        ["motion", "50.0", "0.0", "3"],
        ["plural", "25.0", "100.0", "5"],
    ]


def test_our_row_stands_at_its_place_among_published_ones():
    types = {"referring": {"expressions": 5, "j_and_f": 0.525}, "reasoning": {"expressions": 3, "j_and_f": 0.433}}
    benchmark = {**types, "overall": {"j_and_f": 0.479, "j": 0.45, "f": 0.508}}
    model = a_row(*EIGHT, types=types, benchmark=benchmark, overall={"j_and_f": 0.99, "j": 0.99, "f": 0.99, "r": 0.9})
    *said, table = section(build_report(results_of("revos", "valid", model=model), {}), "Beside published results")
    assert said[1].startswith("The published score of the whole is the mean of referring and reasoning.")
    assert lines(table)[0] == ["method", "size", "J&F", "J", "F", "R as printed", "referring J&F", "reasoning J&F", "source", "remark"]
    (place,) = [place for place, row in enumerate(table.rows) if row.highlighted]
    before, ours, after = lines(table)[place : place + 3]
    # The benchmark's own overall, 47.9, and not the mean of all expressions; R is not compared with what is printed as R.
    assert ours == ["toy", "", "47.9", "45.0", "50.8", "", "52.5", "43.3", "this run", ""]
    assert before == ["VISA (IT)", "Chat-UniVi-13B", "50.9", "48.8", "52.9", "14.5", "57.4", "44.3", "VISA, table of ReVOS", ""]
    assert after == ["VISA", "Chat-UniVi-13B", "47.5", "45.3", "49.7", "", "54.1", "40.9", "VISA, table of ReVOS", ""]
    ranks = [float(line[2] or -1) for line in lines(table)[1:]]
    assert ranks == sorted(ranks, reverse=True)


def test_images_are_ranked_by_giou_and_parts_by_length():
    overall = {"j_and_f": 0.1, "j": 0.1, "f": 0.1, "giou": 0.601, "ciou": 0.5, "giou_interval": [0.55, 0.65], "j_and_f_interval": [0, 0.2]}
    lengths = {"short": {"expressions": 3, "giou": 0.4, "ciou": 0.3}, "long": {"expressions": 5, "giou": 0.7, "ciou": 0.6}}
    document = build_report(results_of("reasonseg", "test", model=a_row(*EIGHT, overall=overall, lengths=lengths)), {})
    assert document.lead.startswith("gIoU 60.1 (95% interval 55.0 to 65.0) over 8 expressions.")
    (ours,) = [row for row in section(document, "Beside published results")[-1].rows if row.highlighted]
    assert [cell.text for cell in ours.cells] == ["toy", "", "60.1", "50.0", "40.0", "30.0", "70.0", "60.0", "this run", ""]
    assert lines(section(document, "Strong and weak groups")[0])[1] == ["short", "40.0", "3"]


def test_the_mean_of_annotators_is_what_ref_davis_compares():
    model = a_row(*EIGHT, benchmark={"mean of annotators": {"j_and_f": 0.6, "j": 0.5, "f": 0.7}})
    document = build_report(results_of("ref-davis17", "valid", model=model), {})
    (ours,) = [row for row in section(document, "Beside published results")[-1].rows if row.highlighted]
    assert [cell.text for cell in ours.cells][:5] == ["toy", "", "60.0", "50.0", "70.0"]
    assert lines(section(document, "Scores")[-1]) == [["part", "J&F", "J", "F"], ["mean of annotators", "60.0", "50.0", "70.0"]]


def test_a_part_of_a_split_is_said_not_to_compare():
    def said(**changes):
        return section(build_report(results_of(**changes, model=a_row(*EIGHT)), {}), "Beside published results")

    warning = "This run saw only the first 8 expressions of the split, so it does not compare with them."
    assert warning in said(dataset="mevis", split="valid_u", limit=8)
    assert warning not in said(dataset="mevis", split="valid_u")
    assert said(limit=8) == ("No published results are known for toyworld test.",)


def test_failures_are_counted_first_and_listed_with_their_reason():
    entries = [*EIGHT, entry("v8/1", 0.0, error="v8/1.json: no prediction; predict it with --resume")]
    document = build_report(results_of(model=a_row(*entries)), {})
    assert document.lead.endswith("1 of 9 predictions are missing or failed; they count as 0.")
    (table,) = section(document, "Failed predictions")
    assert lines(table)[1:] == [["v8/1", "v8/1.json: no prediction; predict it with --resume"]]
    assert table.caption == "Predictions that count as 0"
    assert section(build_report(results_of(model=a_row(*EIGHT)), {}), "Failed predictions") == (
        "None: every expected prediction was found.",
    )


def test_what_the_dataset_had_to_leave_out_is_counted_first_and_listed():
    content = {**results_of(model=a_row(*EIGHT)), "left_out": ["x.json: no polygon around the answer"]}
    document = build_report(content, {})
    assert document.lead.endswith("1 entries of the dataset cannot be scored and are left out.")
    assert lines(section(document, "Left out")[0])[1:] == [["x.json: no polygon around the answer"]]
    assert "Left out" not in [section.heading for section in build_report(results_of(model=a_row(*EIGHT)), {}).sections]


def test_all_expressions_do_not_stand_in_for_a_line_that_the_benchmark_lacks():
    """Without reasoning expressions ReVOS has no overall; the mean of everything, hallucinations too, is another measure."""
    benchmark = {"referring": {"j_and_f": 0.6, "j": 0.5, "f": 0.7}}
    document = build_report(results_of("revos", "valid", model=a_row(*EIGHT, benchmark=benchmark)), {})
    (ours,) = [row for row in section(document, "Beside published results")[-1].rows if row.highlighted]
    assert [cell.text for cell in ours.cells] == ["toy", "", "", "", "", "", "60.0", "", "this run", ""]


def test_a_protocol_that_leaves_failures_out_is_named():
    entries = [*EIGHT, entry("v8/1", 0.0, error="no prediction")]
    document = build_report({**results_of(model=a_row(*entries)), "protocol": "videolisa-release"}, {})
    assert document.lead == (
        "J&F 50.0 over 9 expressions. Computed under the protocol videolisa-release. "
        "1 of 9 predictions are missing or failed; they are left out of the means."
    )
    assert section(document, "Failed predictions")[0].caption == "Predictions that are left out of the means"


def test_how_it_was_run_is_complete():
    (table,) = section(build_report(results_of(model=a_row(*EIGHT)), {}), "How it was run")
    assert lines(table)[1:] == [
        ["dataset", "toyworld"],
        ["split", "test"],
        ["model", "toy"],
        ["sha256: toy/model.safetensors", "abc"],
        ["protocol", "saymask"],
        ["command", "saymask eval toyworld"],
        ["torch", "2.10"],
    ]


def test_cases_are_of_different_videos_never_failed_and_never_both():
    entries = [entry("a/0", 0.3), entry("a/1", 0.1), entry("b/0", 0.2), entry("c/0", 0.9), entry("c/1", 0.8), entry("d/0", 0.7)]
    entries.append(entry("e/0", 0.0, error="it broke"))
    assert choose_cases(results_of(model=a_row(*entries))) == (["a/1", "b/0"], ["c/0", "d/0"])
    assert choose_cases(results_of(model=a_row(*entries[:1]))) == (["a/0"], [])
    worst, best = choose_cases(results_of(model=a_row(*(entry(f"v{i:02}/0", i / 40) for i in range(40)))))
    assert (worst, best) == (["v00/0", "v01/0", "v02/0", "v03/0"], ["v39/0", "v38/0", "v37/0", "v36/0"])


def test_without_images_cases_are_described_and_the_reason_stands_there():
    document = build_report(results_of(model=a_row(*EIGHT)), {}, "nothing says where it lies")
    reason, first, *_ = section(document, "Best cases")
    assert (reason, first) == ("No images: nothing says where it lies", "“the fish of v7/0” J&F 70.0, J 70.0, F 70.0 (v7/0).")
    assert document.images() == []


@pytest.fixture
def revos(tmp_path):
    """Results of an evaluation that is perfect where nothing moves, with its predictions and its dataset."""
    root = build_revos(tmp_path)
    exam = open_exam("revos", "valid", root)
    predict(exam, without_model("first_frame_held"), tmp_path / "run")
    score(exam, tmp_path / "run")
    return tmp_path / "run" / "results.json", root


def test_a_whole_evaluation_becomes_a_report_with_an_image_for_each_case(revos, tmp_path):
    path, root = revos
    results = read_results(path)
    cases, why_none = open_cases(results, path.parent, root)
    assert why_none == ""
    worst, best = choose_cases(results)
    assert cases.keys() == {*worst, *best}
    document = build_report(results, cases)
    assert [image.name for image in document.images()] == [
        *(f"worst-{i + 1}" for i in range(len(worst))),
        *(f"best-{i + 1}" for i in range(len(best))),
    ]
    out = tmp_path / "report"
    out.mkdir()
    write_report(document, out)
    written = sorted(str(file.relative_to(out)) for file in out.rglob("*") if file.is_file())
    assert written == sorted(["report.html", "report.md", *(f"images/{image.name}.jpg" for image in document.images())])
    assert (out / "report.html").read_text(encoding="utf-8").count("data:image/jpeg;base64,") == len(document.images())


def test_images_have_their_meaning_in_words(revos):
    path, root = revos
    results = read_results(path)
    document = build_report(results, open_cases(results, path.parent, root)[0])
    captions = {image.caption.split("(")[1].split(")")[0]: image.caption for image in document.images()}
    assert captions["UVO/all/dog/2"] == (
        "“the zebra” J&F 100.0, J 100.0, F 100.0 (UVO/all/dog/2). Nothing in the video matches. Nothing was predicted."
    )
    assert captions["MOSE/4f/0"].endswith("(MOSE/4f/0). The target is outlined in blue. The prediction is filled in orange.")
    assert {image.alt for image in document.images()} == {
        f"Frames of {video} three times: plain, with the truth, with the prediction." for video in ("UVO/all/dog", "MOSE/4f")
    }


def test_a_dataset_that_is_not_there_costs_the_images_alone(revos, tmp_path):
    path, _ = revos
    cases, why_none = open_cases(read_results(path), path.parent, tmp_path / "gone")
    assert cases == {}
    assert why_none.startswith(f"{tmp_path / 'gone'}: no such folder")


def test_another_release_of_the_dataset_is_noticed(revos):
    path, root = revos
    results = read_results(path)
    expressions = results["rows"]["first_frame_held"]["expressions"]
    expressions.append(expressions.pop(0))
    cases, why_none = open_cases(results, path.parent, root)
    assert cases == {}
    assert "where the results have" in why_none


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; give the results.json that `saymask eval` has written"),
        ("{", "not valid JSON (Expecting property name"),
        ("[]", "holds a list, expected an object"),
        ("{}", "not the results of `saymask eval`, 'dataset' is missing"),
        (json.dumps({key: value for key, value in results_of().items() if key != "rows"}), "'rows' is missing"),
    ],
)
def test_what_is_not_results_is_refused(content, message, tmp_path: Path):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_results(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def near(image_HWC: np.ndarray, colour) -> np.ndarray:
    return np.abs(image_HWC - np.array(colour)).max(-1) < 60


def still_sample(num_frames: int) -> Sample:
    """Grey frames of 50 x 100; the target is the left half of the middle row of tens."""
    frames_THWC = np.full((num_frames, 50, 100, 3), 128, np.uint8)
    masks_TNHW = np.zeros((num_frames, 1, 50, 100), bool)
    masks_TNHW[..., 10:40, :50] = True
    return Sample(Video.from_frames(frames_THWC), Expression("0", "the left", (1,)), in_memory(masks_TNHW))


def test_a_case_shows_frame_truth_and_prediction_one_below_the_other():
    sample = still_sample(9)
    jpeg = draw_case(sample, predict_masks(sample, ~sample.masks_THW[None]))
    image_HWC = pixels(jpeg)
    views, width = 125 + 22, 250 + 8  # a view of 50 x 100 is shown 250 wide, with its label above it
    assert image_HWC.shape == (3 * views + 8, 4 * width + 8, 3)
    inside_y, left_x, right_x = 22 + 62, 8 + 60, 8 + 190  # middle of a view, in the target and outside it
    for column in range(4):
        frame, truth, prediction = (image_HWC[row * views + inside_y, column * width :] for row in range(3))
        assert np.abs(frame[left_x] - 128).max() < 10
        assert np.abs(truth[left_x] - 128).max() < 10, "the truth is an outline, so that one sees what it encloses"
        assert np.abs(prediction[left_x] - 128).max() < 10
        assert prediction[right_x][0] > 170 > prediction[right_x][2] + 60, "tinted orange"
    truth_HWC, prediction_HWC = image_HWC[views : 2 * views], image_HWC[2 * views :]
    assert near(truth_HWC, TRUTH_COLOUR).sum() > 500
    assert near(prediction_HWC, PREDICTION_COLOUR).sum() > 500
    assert near(image_HWC[:views], TRUTH_COLOUR).sum() == near(image_HWC[:views], PREDICTION_COLOUR).sum() == 0


def test_an_image_has_its_views_side_by_side():
    sample = still_sample(1)
    image_HWC = pixels(draw_case(sample, empty(sample)))
    assert image_HWC.shape == (125 + 22 + 8, 3 * 258 + 8, 3)
    outlined = near(image_HWC, TRUTH_COLOUR).any(axis=0)
    assert outlined[258:516].any()
    assert not outlined[:258].any()
    assert not near(image_HWC, PREDICTION_COLOUR).any()


def test_images_of_a_dataset_are_drawn_too(tmp_path):
    root = build_reasonseg(tmp_path)
    exam = open_exam("reasonseg", "val", root)
    predict(exam, without_model("empty"), tmp_path / "run")
    score(exam, tmp_path / "run")
    results = read_results(tmp_path / "run" / "results.json")
    cases, why_none = open_cases(results, tmp_path / "run", root)
    assert why_none == ""
    assert all(isinstance(image, JpegImage) for image in build_report(results, cases).images())
    assert len(build_report(results, cases).images()) == len(cases) > 0
