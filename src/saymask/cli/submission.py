"""`saymask submission DATASET PREDICTIONS -o FILE.zip`: the zip file that a benchmark's server scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import progress_bar, say, shown


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
