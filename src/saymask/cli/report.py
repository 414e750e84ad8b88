"""`saymask report RESULTS.json`: what an evaluation found, as a page to read and to send to somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import free_folder, note, output_folder, say, shown


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", help="What `saymask eval` has written.")],
    predictions: Annotated[
        Path | None, typer.Option(help="Folder of the predictions, for pictures; that of RESULTS.json if not given.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the dataset, for pictures; as in `saymask eval`.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Output folder; report/ beside RESULTS.json if not given.")] = None,
) -> None:
    """Write report.html and report.md: scores beside published ones, strong and weak groups, best and worst cases."""
    from saymask.evaluation.report import build_report, open_cases, read_results, write_report

    content = read_results(results)
    folder = free_folder(out or results.parent / "report")
    cases, why_none = open_cases(content, predictions or results.parent, root)
    if why_none:
        note(f"no pictures: {why_none}")
    with output_folder(folder) as draft:
        write_report(build_report(content, cases, why_none), draft)
    say(f"wrote {shown(folder / 'report.html')} and {shown(folder / 'report.md')}")
