"""`saymask report RESULTS.json`: what an evaluation found, as a page; `saymask submission`: predictions as a server wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import free_folder, note, output_folder, progress_bar, say, shown


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", help="What `saymask eval` has written, or its folder.")],
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="Folder of the predictions, for images; that of RESULTS.json if not given."
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the dataset, for images; as in `saymask eval`.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Output folder; report/ beside RESULTS.json if not given.")] = None,
) -> None:
    """Write report.html and report.md: scores beside published ones, strong and weak groups, best and worst cases."""
    from saymask.reports.report import build_report, open_cases, read_results, write_report

    file = results / "results.json" if results.is_dir() else results
    content = read_results(file)
    folder = free_folder(out or file.parent / "report")
    cases, why_none = open_cases(content, predictions or file.parent, root)
    if why_none:
        note(f"no images: {why_none}; --root names the dataset's folder, --predictions that of the predictions")
    with output_folder(folder) as draft:
        write_report(build_report(content, cases, why_none), draft)
    say(f"wrote {shown(folder / 'report.html')} and {shown(folder / 'report.md')}")


def submission(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="ref-youtube-vos, mevis or mevis-v2.")],
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDICTIONS", exists=True, file_okay=False, help="Output folder of `saymask eval`, or of another tool."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.zip", help="What to write.")],
    root: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the dataset; as in `saymask eval`.")] = None,
) -> None:
    """Check predictions against the dataset, then pack them for the server that scores it."""
    from saymask.evaluation.exam import open_exam
    from saymask.evaluation.found_predictions import find_predictions
    from saymask.evaluation.submission import server_of, write_submission

    server = server_of(dataset)
    exam = open_exam(dataset, server.split, root)
    predictor = find_predictions(predictions, exam)
    with progress_bar(f"{dataset} {server.split}") as progress:
        contents = write_submission(out, server, exam.samples, predictor, progress)
    say(f"{contents.expressions} expressions of {contents.videos} videos, {contents.masks} masks; send it to {server.url}")
    say(f"wrote {shown(out.absolute())}")
