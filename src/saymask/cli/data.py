"""`saymask data check NAME [ROOT]`: is a dataset on this disk complete and sound?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import progress_bar, say

SHOWN_PROBLEMS = 20
"""Of one split; what goes wrong in one video often does in hundreds."""

app = typer.Typer(help="Check datasets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `check` a word of its own: typer merges an only command into its group."""


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A dataset of `saymask list`.")],
    root: Annotated[
        Path | None, typer.Argument(metavar="ROOT", help="Its folder; from the environment or the settings file if not given.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this split; all of them if not given.")] = None,
    all_masks: Annotated[bool, typer.Option("--all-masks", help="Read every frame and mask, not only those of some videos.")] = False,
) -> None:
    """Find what is missing, damaged or in the wrong place; exits with 1 if anything is."""
    from saymask.datasets.doctor import check_dataset

    with progress_bar(name) as update:
        report = check_dataset(name, root, split, all_masks, lambda done, total, part: update(done, total, f"{name} {part}"))
    for part in dict.fromkeys(finding.split for finding in report.findings):
        findings = [finding for finding in report.findings if finding.split == part]
        problems = [finding.text for finding in findings if finding.is_problem]
        for text in (finding.text for finding in findings if not finding.is_problem):
            say(f"ok       {part}: {text}")
        for text in problems[:SHOWN_PROBLEMS]:
            say(f"problem  {part}: {text}")
        if len(problems) > SHOWN_PROBLEMS:
            say(f"problem  {part}: … and {len(problems) - SHOWN_PROBLEMS} more; mend these first")
    read_in_part = any(size.num_examined < size.num_opened for size in report.sizes.values())
    scope = "; some videos were only opened, --all-masks reads everything" if read_in_part else ""
    count = len(report.problems)
    say(f"{count} problem{'' if count == 1 else 's'} found{scope}" if count else f"no problem found{scope}")
    if count:
        raise typer.Exit(1)
