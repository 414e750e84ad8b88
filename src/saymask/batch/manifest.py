"""The manifest of a batch: every job is done, failed (why, and after how many tries) or to do.

    batch.json              what is the same for all jobs
    jobs.jsonl              the jobs
    results/<id>/           of a job that is done: the formats asked for, and result.json, which says what they are
    failed/<id>.json        of one that is not: why, and how often it was tried

The files themselves are the manifest: a result appears whole or not at all, so whatever is killed and whenever, what lies there is true,
and any number of machines may write to one place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from saymask.batch.jobs import Job, job_of
from saymask.batch.places import Place
from saymask.batch.settings import BatchSettings
from saymask.batch.sources import SourceFacts, digest, nbytes
from saymask.errors import ConfigError, DataError
from saymask.exports.feed import Feed, OpenFolder
from saymask.records import Prediction
from saymask.runtime import Shard

RESULT = "result.json"
_SETTINGS, _JOBS = "batch.json", "jobs.jsonl"
State = Literal["done", "failed", "to do"]


@dataclass(frozen=True)
class Failure:
    """Why a job has no result, and how often it was tried."""

    why: str
    tries: int


@dataclass(frozen=True)
class Record:
    """What result.json says.

    Args:
        job, settings: what was asked, as plain values.
        model: which model has answered.
        source: what was segmented.
        found: of each query its text, its number of objects, and on how many frames any of them has a pixel.
        files: SHA-256 of every other file of the result, by its name in the folder.
    """

    job: Mapping[str, Any]
    settings: Mapping[str, Any]
    model: str
    source: SourceFacts
    found: Sequence[Mapping[str, Any]]
    files: Mapping[str, str]

    @classmethod
    def read(cls, content: bytes, where: str) -> Record:
        """Read a result.json.

        Raises:
            DataError: it is damaged or of another kind.
        """
        try:
            values = json.loads(content)
            values["source"] = SourceFacts(**values["source"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{where}: not the record of a result ({error!r}); remove its folder and run the batch again") from None

    def to_text(self) -> str:
        return json.dumps({**vars(self), "source": self.source.to_json()}, indent=1) + "\n"


@dataclass(frozen=True)
class Manifest:
    """The jobs of a batch, and what has become of them."""

    place: Place
    settings: BatchSettings
    jobs: tuple[Job, ...] = field(repr=False)

    @classmethod
    def begin(cls, place: Place, settings: BatchSettings, jobs: Sequence[Job]) -> Manifest:
        """Note what is to be done, or compare it with what an earlier run has noted there. Jobs may be added, never changed.

        Raises:
            ConfigError: the place is of another batch: other settings, or a job of an earlier run that is gone or has changed.
        """
        text = settings.model_dump_json(indent=1) + "\n"
        if not place.create(_SETTINGS, text):
            earlier = _read_settings(place)
            for name, value in settings.model_dump().items():
                if value != (was := getattr(earlier, name)):
                    raise ConfigError(
                        f"{place.address}: was begun with {name} = {was!r}, now it is {value!r}; repeat the earlier command, or choose "
                        "another folder with -o"
                    )
        lines = "".join(json.dumps(job.to_json(), ensure_ascii=False) + "\n" for job in jobs)
        if not place.create(_JOBS, lines):
            earlier_jobs = {job.id: job for job in _read_jobs(place)}
            now = {job.id: job for job in jobs}
            for job_id, job in earlier_jobs.items():
                if now.get(job_id) != job:
                    what = "has changed" if job_id in now else "is gone from the list"
                    raise ConfigError(f"{place.address}: the job {job_id!r} {what} since it was begun; choose another folder with -o")
            if len(now) > len(earlier_jobs):
                place.replace(_JOBS, lines)
        return cls(place, settings, tuple(jobs))

    @classmethod
    def open(cls, place: Place) -> Manifest:
        """Read the manifest of an earlier run.

        Raises:
            ConfigError: there is none.
        """
        return cls(place, _read_settings(place), tuple(_read_jobs(place)))

    def states(self) -> dict[str, State]:
        """What has become of each job, by id."""
        done = {name.split("/")[1] for name in self.place.find(f"results/*/{RESULT}")}
        failed = {name.removeprefix("failed/").removesuffix(".json") for name in self.place.find("failed/*.json")}
        return {job.id: "done" if job.id in done else "failed" if job.id in failed else "to do" for job in self.jobs}

    def counts(self) -> Counter[State]:
        """How many jobs are in each state."""
        return Counter(self.states().values())

    def todo(self, shard: Shard | None = None, retry_failed: bool = False) -> list[Job]:
        """Jobs that are to be done, the largest source first: what takes longest must not be left for the end.

        Args:
            shard: only those of this part; parts follow from the list alone, so that all machines agree on them.
            retry_failed: those that have failed as well.
        """
        states = self.states()
        wanted = ("to do", "failed") if retry_failed else ("to do",)
        part = shard.of(self.jobs) if shard else self.jobs
        return sorted((job for job in part if states[job.id] in wanted), key=lambda job: -nbytes(job.source))

    def record(self, job: Job) -> Record | None:
        """What is said about a job's result, None if it has none.

        Raises:
            DataError: the record is damaged.
        """
        name = f"results/{job.id}/{RESULT}"
        content = self.place.read(name)
        return None if content is None else Record.read(content, f"{self.place.address}/{name}")

    def failure(self, job: Job) -> Failure | None:
        """Why a job has failed, None if it has not."""
        content = self.place.read(f"failed/{job.id}.json")
        return None if content is None else Failure(**json.loads(content))

    def scratch(self, job: Job) -> OpenFolder:
        """Where a job's result may be prepared; `tidy` removes what a killed worker leaves there."""
        return partial(self.place.scratch, f"results/{job.id}")

    def keep(self, job: Job, prediction: Prediction, feed: Feed) -> None:
        """Write a job's result, which replaces the note that it has failed; a result that is there already stays.

        Raises:
            VideoError: the disk refuses, or a format cannot hold the result.
        """

        def fill(folder: Path) -> None:
            feed.finish(prediction, folder)
            files = {path.relative_to(folder).as_posix(): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
            asked = self.settings.model_dump(mode="json")
            record = Record(job.to_json(), asked, _model(prediction), SourceFacts.of(prediction.video), _found(prediction), files)
            (folder / RESULT).write_text(record.to_text(), encoding="utf-8")

        self.place.keep(f"results/{job.id}", fill, RESULT)
        self.place.remove(f"failed/{job.id}.json")

    def fail(self, job: Job, why: str) -> None:
        """Note that a job has failed once more, unless somebody has done it meanwhile."""
        if self.place.read(f"results/{job.id}/{RESULT}") is None:
            earlier = self.failure(job)
            failure = Failure(why, earlier.tries + 1 if earlier else 1)
            self.place.replace(f"failed/{job.id}.json", json.dumps(vars(failure)) + "\n")

    def tidy(self) -> None:
        """Remove what killed workers have left of jobs that are done by now."""
        for job_id, state in self.states().items():
            if state == "done":
                self.place.tidy(f"results/{job_id}")


def _model(prediction: Prediction) -> str:
    return next((str(result.notes["model"]) for result in prediction.results if "model" in result.notes), "")


def _found(prediction: Prediction) -> list[dict[str, Any]]:
    """Of each query what the record says."""
    frames = range(prediction.video.num_frames)
    return [
        {
            "query": result.query,
            "objects": len(result.masklets),
            "frames": sum(any(masklet.rle_T[i].area for masklet in result.masklets) for i in frames),
        }
        for result in prediction.results
    ]


def _read_settings(place: Place) -> BatchSettings:
    content = place.read(_SETTINGS)
    if content is None:
        raise ConfigError(f"{place.address}: no batch ({_SETTINGS} is missing); give the folder that -o named")
    try:
        values = json.loads(content)
    except ValueError as error:
        raise ConfigError(f"{place.address}/{_SETTINGS}: not valid JSON ({error}); begin again in another folder") from None
    return BatchSettings.parse(values, f"{place.address}/{_SETTINGS}")


def _read_jobs(place: Place) -> list[Job]:
    content = place.read(_JOBS)
    if content is None:
        raise ConfigError(f"{place.address}: no batch ({_JOBS} is missing); give the folder that -o named")
    rows = [json.loads(line) for line in content.decode("utf-8").splitlines()]
    return [job_of(row, f"{place.address}/{_JOBS} line {number}", Path()) for number, row in enumerate(rows, start=1)]
