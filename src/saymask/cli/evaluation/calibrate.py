"""`saymask calibrate RESULTS.json MODEL`: make a model as sure as it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import say, shown


def calibrate(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json", help="What `saymask eval` wrote on a split for validation.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", exists=True, file_okay=False, help="Folder of the model that was evaluated.")],
) -> None:
    """Fit the temperature of the model's presence on a validation split, and store it in the model's config.json."""
    from saymask.evaluation.presence import calibrate as fit
    from saymask.reports.report import read_results

    found = fit(read_results(results / "results.json" if results.is_dir() else results), model)
    say(f"temperature                 {found.old_temperature:.3f} -> {found.temperature:.3f}")
    say(f"expected calibration error  {100 * found.old_error:.1f} % -> {100 * found.error:.1f} %")
    say(f"wrote {shown(model / 'config.json')}")
