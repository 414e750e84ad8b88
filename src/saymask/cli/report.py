"""`saymask report RESULTS.json`: what an evaluation found, as a page to read and to send to somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import free_folder, note, output_folder, say, shown


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
