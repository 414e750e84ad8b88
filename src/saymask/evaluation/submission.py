"""Zip files for the servers that keep the masks of Ref-YouTube-VOS and MeViS to themselves.

A server answers a wrong file with a failed run and little else. So every expression of the split is checked first: that it has a
prediction, with a mask for each frame that the dataset lists, at the size of the frames. Only then the zip is written:
`[Annotations/]<video>/<exp_id>/<frame>.png`, grey, 255 inside the object and 0 outside.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from saymask.datasets.layouts import LAYOUTS
from saymask.errors import DataError, SaymaskError, UnknownName
from saymask.evaluation.predictors import Predictor
from saymask.evaluation.scoring import predicted_masks
from saymask.lookup import suggest
from saymask.samples import Sample, Server
from saymask.storage.atomic import new_file

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Contents:
    """What was written."""

    videos: int
    expressions: int
    masks: int


def server_of(dataset: str) -> Server:
    """Return where a dataset is scored.

    Raises:
        UnknownName: its masks are public, or there is no such dataset.
    """
    servers = {name: layout.benchmark.server for name, layout in LAYOUTS.items() if layout.benchmark.server}
    if dataset not in servers:
        raise UnknownName(f"no server takes submissions for {dataset!r}; {suggest(dataset, servers)}")
    return servers[dataset]


def write_submission(
    path: Path, server: Server, samples: Sequence[Sample], predictor: Predictor, progress: Progress | None = None
) -> Contents:
    """Check the predictions for all samples, then write them as one zip.

    Args:
        path: the zip, which does not exist yet.
        server: whose layout it gets.
        samples: the whole split; their true masks are not looked at.
        predictor: gives, or reads, the prediction for a sample; asked twice for each, once to check and once to write.
        progress: called with the number of samples done and to do, of both passes together.

    Raises:
        DataError: a prediction is missing or does not fit its video; names the first one and counts the others. Nothing is written.
        VideoError: `path` exists or cannot be written.
    """
    report = progress or _unwatched
    videos, masks = set(), 0
    with new_file(path) as draft:
        _check(samples, predictor, report)
        with zipfile.ZipFile(draft, "w") as archive:
            for index in range(len(samples)):
                sample = samples[index]
                masks_NTHW = predicted_masks(predictor, sample)
                for t, frame_name in enumerate(sample.video.frame_names):
                    # The entry's default time is fixed, so the same masks make the same file.
                    entry = zipfile.ZipInfo(f"{server.prefix}{sample.name}/{frame_name}.png")
                    archive.writestr(entry, _to_png(np.logical_or.reduce(masks_NTHW[:, t])))
                videos.add(sample.video.name)
                masks += sample.video.num_frames
                report(len(samples) + index + 1, 2 * len(samples))
    return Contents(len(videos), len(samples), masks)


def _check(samples: Sequence[Sample], predictor: Predictor, report: Progress) -> None:
    """Go through everything, so that the error can say how much is wrong."""
    problems = []
    for index in range(len(samples)):
        try:
            predicted_masks(predictor, samples[index])
        except SaymaskError as error:
            problems.append(str(error))
        report(index + 1, 2 * len(samples))
    if problems:
        raise DataError(f"{problems[0]} ({len(problems)} of {len(samples)} predictions cannot be submitted; nothing was written)")


def _unwatched(done: int, total: int) -> None:
    """Report progress to nobody."""


def _to_png(mask_HW: np.ndarray) -> bytes:
    """A mask as a grey PNG."""
    file = BytesIO()
    Image.fromarray(mask_HW.astype(np.uint8) * 255).save(file, "PNG")
    return file.getvalue()
