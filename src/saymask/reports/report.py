"""A report on a `results.json`: scores, published results beside them, strong and weak groups, worst and best cases, how it was run.

The same document is written as one HTML page and as Markdown. It shows what `results.json` holds and scores nothing anew; for images
it needs the dataset, and the predictions that lie beside `results.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saymask.errors import DataError, SaymaskError
from saymask.evaluation.exam import open_exam
from saymask.evaluation.found_predictions import find_predictions
from saymask.exports.case_images import draw_case
from saymask.metrics.protocols import SAYMASK
from saymask.records import Prediction
from saymask.reports.document import Document, JpegImage, Section
from saymask.reports.document_html import to_html
from saymask.reports.document_markdown import IMAGES, to_markdown
from saymask.reports.report_tables import (
    MEASURES,
    Results,
    benchmark_tables,
    describe_baselines,
    failed_table,
    fate_of_failures,
    group_tables,
    interval_text,
    left_out_table,
    main_measure,
    own_row,
    percent,
    presence_blocks,
    published_table,
    run_table,
    score_table,
)
from saymask.samples import Sample
from saymask.storage.json_files import read_json_object

NUM_CASES = 4

Cases = Mapping[str, tuple[Sample, Prediction]]
"""Samples and predictions by the names that `results.json` gives them."""

_FIELDS = {"dataset", "split", "limit", "model", "protocol", "left_out", "run", "rows"}


def read_results(path: Path) -> Results:
    """Read a `results.json`.

    Raises:
        DataError: it is not there, or `saymask eval` has not written it.
    """
    remedy = "give the results.json that `saymask eval` has written"
    results = read_json_object(path, DataError, remedy)
    if absent := sorted(_FIELDS - results.keys()):
        raise DataError(f"{path}: not the results of `saymask eval`, {absent[0]!r} is missing; {remedy}")
    return results


def choose_cases(results: Results) -> tuple[list[str], list[str]]:
    """Return the names of the worst and of the best expressions, worst first and best first.

    They are at most `NUM_CASES` each, and of different videos within each list. None is in both, and none failed: of these there is
    nothing to see.
    """
    ranked = sorted((entry for entry in own_row(results)["expressions"] if "error" not in entry), key=lambda entry: entry["j_and_f"])
    half = (len(ranked) + 1) // 2
    return _of_different_videos(ranked[:half]), _of_different_videos(ranked[half:][::-1])


def open_cases(results: Results, folder: Path, root: Path | None = None) -> tuple[Cases, str]:
    """Open what `choose_cases` names.

    Args:
        results: content of a `results.json`.
        folder: where it lies, with the predictions.
        root: of the dataset; None to use what the user's settings say.

    Returns:
        The cases, and if they cannot be opened none of them and the reason.
    """
    place_of = {entry["name"]: place for place, entry in enumerate(own_row(results)["expressions"])}
    cases = {}
    try:
        exam = open_exam(results["dataset"], results["split"], root)
        predictor = find_predictions(folder, exam)
        for name in [name for names in choose_cases(results) for name in names]:
            sample = exam.samples[place_of[name]]
            if sample.name != name:
                raise DataError(f"{exam.dataset} {exam.split} has {sample.name} where the results have {name}; it has changed since")
            cases[name] = (sample, predictor(sample))
    except SaymaskError as error:
        return {}, str(error)
    return cases, ""


def build_report(results: Results, cases: Cases, why_no_images: str = "") -> Document:
    """Say everything there is to say; arguments as read by `read_results` and `open_cases`."""
    own = own_row(results)
    worst, best = choose_cases(results)
    note = [f"No images: {why_no_images}"] if why_no_images else []
    failed = failed_table(results) if own["failed"] else "None: every expected prediction was found."
    sections = [
        Section("Scores", (score_table(results), *describe_baselines(results), *benchmark_tables(results))),
        Section("Beside published results", published_table(results)),
        Section("Strong and weak groups", tuple(group_tables(results))),
        Section("How sure the model is", tuple(presence_blocks(results))),
        Section("Worst cases", (*note, *_case_blocks("worst", worst, own, cases))),
        Section("Best cases", (*note, *_case_blocks("best", best, own, cases))),
        Section("Failed predictions", (failed,)),
        Section("Left out", (left_out_table(results),) if results["left_out"] else ()),
        Section("How it was run", (run_table(results),)),
    ]
    title = f"{results['model']} on {results['dataset']} {results['split']}"
    return Document(title, _lead(results), tuple(section for section in sections if section.blocks))


def write_report(document: Document, folder: Path) -> None:
    """Write `report.html`, `report.md` and the latter's `images/` into a folder that is there and empty."""
    (folder / "report.html").write_text(to_html(document), encoding="utf-8")
    (folder / "report.md").write_text(to_markdown(document), encoding="utf-8")
    for image in document.images():
        (folder / IMAGES).mkdir(exist_ok=True)
        (folder / IMAGES / f"{image.name}.jpg").write_bytes(image.jpeg)


def _of_different_videos(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the first few entries, one per video."""
    first_of_video: dict[str, str] = {}
    for entry in entries:
        first_of_video.setdefault(entry["video"], entry["name"])
    return list(first_of_video.values())[:NUM_CASES]


def _lead(results: Results) -> str:
    """The result in a few short sentences."""
    own = own_row(results)
    measure, interval = main_measure(own), interval_text(own)
    uncertain = f" (95% interval {interval})" if interval else ""
    said = [f"{MEASURES[measure]} {percent(own['overall'].get(measure))}{uncertain} over {own['expected']} expressions."]
    if results["protocol"] != SAYMASK.name:
        said.append(f"Computed under the protocol {results['protocol']}.")
    if own["failed"]:
        said.append(f"{len(own['failed'])} of {own['expected']} predictions are missing or failed; they {fate_of_failures(results)}.")
    else:
        said.append("Every expected prediction was found.")
    if results["left_out"]:
        said.append(f"{len(results['left_out'])} entries of the dataset cannot be scored and are left out.")
    return " ".join(said)


def _case_blocks(kind: str, names: Sequence[str], own: Mapping[str, Any], cases: Cases) -> list[str | JpegImage]:
    """An image for each case, or its caption alone where there is none."""
    entries = {entry["name"]: entry for entry in own["expressions"]}
    blocks: list[str | JpegImage] = []
    for number, name in enumerate(names, start=1):
        entry = entries[name]
        truth = "The target is outlined in blue." if entry["has_target"] else "Nothing in the video matches."
        answer = "The prediction is filled in orange." if entry["answered"] else "Nothing was predicted."
        j_and_f, j, f = (percent(entry[measure]) for measure in ("j_and_f", "j", "f"))
        caption = f"\u201c{entry['text']}\u201d J&F {j_and_f}, J {j}, F {f} ({name})."
        if name in cases:
            alt = f"Frames of {entry['video']} three times: plain, with the truth, with the prediction."
            blocks.append(JpegImage(f"{kind}-{number}", draw_case(*cases[name]), alt, f"{caption} {truth} {answer}"))
        else:
            blocks.append(caption)
    return blocks
