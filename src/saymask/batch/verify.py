"""Proof that a batch is complete: each job has exactly one result, whose digest, frame count and size are those of its source now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from saymask.batch.jobs import Job
from saymask.batch.manifest import RESULT, Manifest, Record
from saymask.batch.sources import SourceFacts
from saymask.errors import DataError, SaymaskError
from saymask.video.limits import ReadLimits
from saymask.video.reader import open_source


@dataclass(frozen=True)
class Verification:
    """What a verification has found.

    Args:
        num_jobs: of the batch.
        num_complete: of those, with a result that fits its source.
        problems: everything that is wrong, each with its job.
    """

    num_jobs: int
    num_complete: int
    problems: tuple[str, ...]


def verify(manifest: Manifest, progress: Callable[[int, int], None] = lambda done, total: None) -> Verification:
    """Read every result and every source of a batch whole.

    Raises:
        DataError: never; what is wrong is among the problems.
    """
    known = {job.id for job in manifest.jobs}
    found = [name.split("/")[1] for name in manifest.place.find(f"results/*/{RESULT}")]
    problems = [f"results/{job_id}: no job of the batch has this id" for job_id in found if job_id not in known]
    complete = 0
    for done, job in enumerate(manifest.jobs, start=1):
        of_job = list(_problems_of(job, manifest))
        complete += not of_job
        problems += of_job
        progress(done, len(manifest.jobs))
    return Verification(len(manifest.jobs), complete, tuple(problems))


def _problems_of(job: Job, manifest: Manifest) -> Iterator[str]:
    try:
        record = manifest.record(job)
    except DataError as error:
        yield f"{job.id}: {error}"
        return
    if record is None:
        failure = manifest.failure(job)
        yield f"{job.id}: failed after {failure.tries} tries: {failure.why}" if failure else f"{job.id}: has no result"
        return
    if record.job != job.to_json() or record.settings != manifest.settings.model_dump(mode="json"):
        yield f"{job.id}: its result answers another job or was made with other settings"
    yield from _of_source(job, record, manifest)
    yield from _of_files(job, record, manifest)


def _of_source(job: Job, record: Record, manifest: Manifest) -> Iterator[str]:
    """How the source differs from what was segmented."""
    limits = ReadLimits(manifest.settings.max_pixels, manifest.settings.max_frames)
    try:
        now = SourceFacts.of(open_source(Path(job.source), limits))
    except (OSError, SaymaskError) as error:
        yield f"{job.id}: its source cannot be read any more: {error}"
        return
    for name, value in now.to_json().items():
        if value != (was := getattr(record.source, name)):
            yield f"{job.id}: {name} of {job.source} is {value}, the result is of one with {was}"


def _of_files(job: Job, record: Record, manifest: Manifest) -> Iterator[str]:
    """Which files of the result are missing, changed or nobody's."""
    folder = f"results/{job.id}"
    there = {name.removeprefix(f"{folder}/") for name in [*manifest.place.find(f"{folder}/*"), *manifest.place.find(f"{folder}/**/*")]}
    for name, sha256 in record.files.items():
        content = manifest.place.read(f"{folder}/{name}")
        if content is None:
            yield f"{job.id}: {folder}/{name} is missing"
        elif hashlib.sha256(content).hexdigest() != sha256:
            yield f"{job.id}: {folder}/{name} is not what was written"
    for name in sorted(there - record.files.keys() - {RESULT}):
        yield f"{job.id}: {folder}/{name} was not written by the batch"
