"""`saymask batch JOBS -o DIR`: thousands of videos, resumable; `saymask batch verify DIR`: the proof that all are done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from saymask.cli.output import note, progress_bar, report_error, say
from saymask.cli.segment import (
    AnswerOption,
    DeviceOption,
    DtypeOption,
    EveryOption,
    MinPresenceOption,
    ModelOption,
    SetOption,
    TemplateOption,
    TrackerOption,
    TrackerWeightsOption,
    VisionTowerOption,
    parse_formats,
)
from saymask.errors import ConfigError, SaymaskError
from saymask.models import choice
from saymask.runtime import Shard
from saymask.trackers.references import MIN_STABILITY
from saymask.video.limits import ReadLimits

MAX_PROBLEMS = 20
"""So many are listed; a disk that is away gives thousands."""
_RUN = "run"


class _RunUnlessNamed(TyperGroup):
    """`saymask batch JOBS` is `saymask batch run JOBS`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [_RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_RunUnlessNamed, help="Segment many videos, resumably; `batch JOBS` is `batch run JOBS`.", no_args_is_help=True)


@app.command(_RUN)
def run(
    jobs: Annotated[
        Path, typer.Argument(metavar="JOBS", help="CSV, JSONL or Parquet with id, source, query or queries; or a folder of videos.")
    ],
    queries: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]...", help="With a folder: what to look for.")] = None,
    out: Annotated[
        str, typer.Option("-o", "--out", metavar="DIR", help="Where results go; the same again resumes. With ray also an address (s3://).")
    ] = "",
    model: ModelOption = choice.AUTO,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated names of `saymask list`.")] = "json,sheet",
    retry: Annotated[Literal["failed"] | None, typer.Option(help="failed: try jobs again that have failed.")] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only this part of the jobs; give all parts the same DIR.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per CUDA device, or one, if not given.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of each process; the cores, shared out, if not given.")] = None,
    backend: Annotated[Literal["local", "ray"], typer.Option(help="local: this machine; ray: a cluster (docs/batch.md).")] = "local",
    address: Annotated[str | None, typer.Option(help="With ray: the cluster's address; a local one is started if not given.")] = None,
    gpus_per_worker: Annotated[float, typer.Option(min=0, help="With ray: GPUs of each worker, such as 1 or 0.5.")] = 0,
    template: TemplateOption = None,
    answer: AnswerOption = None,
    min_presence: MinPresenceOption = None,
    settings: SetOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    vision_tower: VisionTowerOption = None,
    tracker: TrackerOption = None,
    tracker_weights: TrackerWeightsOption = None,
    min_stability: Annotated[float, typer.Option(min=0, max=1, help="As for `saymask segment`.")] = MIN_STABILITY,
    every: EveryOption = None,
    max_frames: Annotated[int, typer.Option(min=1, help="Refuse longer videos.")] = ReadLimits.max_frames,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger frames.")] = ReadLimits.max_pixels,
) -> None:
    """Segment every job's video; what is done stays done, whatever happens."""
    if not out:
        raise ConfigError("-o is missing; name the folder of the results, the same one again to resume")
    if backend == "local" and (address or gpus_per_worker):
        raise ConfigError("--address and --gpus-per-worker are of ray; add --backend ray, or leave them out")
    from saymask.batch.jobs import read_jobs
    from saymask.batch.local import place_workers, run_local
    from saymask.batch.manifest import Manifest
    from saymask.batch.places import LocalPlace, open_place
    from saymask.batch.settings import BatchSettings
    from saymask.storage.lock import LOCK, lock_folder

    part = Shard.parse(shard) if shard else None
    wanted = BatchSettings(
        model=model,
        tracker=tracker,
        tracker_weights=_absolute(tracker_weights),
        vision_tower=_absolute(vision_tower),
        dtype=dtype,
        min_stability=min_stability,
        every=every,
        template=template,
        answer=answer,
        min_presence=min_presence,
        settings=tuple(settings or ()),
        formats=tuple(parse_formats(formats)),
        max_frames=max_frames,
        max_pixels=max_pixels,
    )
    place = open_place(out)
    if backend == "local" and not isinstance(place, LocalPlace):
        raise ConfigError(f"-o {out}: this machine writes to a folder; name one, or add --backend ray")
    listed = read_jobs(jobs, queries or ())
    name = f"{LOCK}-{part.number}-of-{part.count}" if part else LOCK
    with lock_folder(place.root, "a batch", name) if isinstance(place, LocalPlace) else nullcontext():
        manifest = Manifest.begin(place, wanted, listed)
        todo = manifest.todo(part, retry_failed=retry == "failed")
        if todo:
            placements = place_workers(workers, device, threads)
            if backend == "ray":
                from saymask.batch.cluster import Cluster, run_ray

                cluster = Cluster(address, workers or len(placements), placements[0].threads or 1, gpus_per_worker, device)
                work = partial(run_ray, manifest=manifest, cluster=cluster)
            else:
                work = partial(run_local, manifest=manifest, placements=placements, tell=note)
            _work(todo, work)
        _conclude(manifest, len(todo))


@app.command("verify")
def verify(out: Annotated[str, typer.Argument(metavar="DIR", help="Folder or address of a batch's results.")]) -> None:
    """Prove that each job has exactly one result, whose digest, frame count and size match the source's; exits with 1 if not."""
    from saymask.batch.manifest import Manifest
    from saymask.batch.places import open_place
    from saymask.batch.verify import verify as verify_all

    manifest = Manifest.open(open_place(out))
    with progress_bar("verifying") as progress:
        found = verify_all(manifest, progress)
    for problem in found.problems[:MAX_PROBLEMS]:
        say(f"problem  {problem}")
    if len(found.problems) > MAX_PROBLEMS:
        say(f"problem  … and {len(found.problems) - MAX_PROBLEMS} more")
    say(f"{found.num_complete} of {found.num_jobs} jobs have exactly one result that fits its source")
    if found.problems:
        raise typer.Exit(1)


def _work(todo: Sequence[Any], work: Any) -> None:
    """Let a backend do the jobs, with a bar; failures are said as they happen."""
    from saymask.batch.pace import Pace

    pace = Pace(todo)
    with progress_bar(f"{len(todo)} jobs: loading the model", counted=False) as update:

        def ended(job: Any, why: str | None) -> None:
            pace.ended(job, why)
            if why is not None:
                report_error(f"{job.id}: {why}")
            update(pace.weight_done, pace.total, pace.label())

        work(todo, ended=ended)


def _conclude(manifest: Any, num_tried: int) -> None:
    """Write the report, say what has become of the jobs, and fail if any has failed."""
    from saymask.batch.places import file_address
    from saymask.batch.report import REPORT, write_report

    manifest.tidy()
    write_report(manifest)
    counts = manifest.counts()
    already = "" if num_tried else " (nothing was to be done)"
    say(f"{counts['done']} of {len(manifest.jobs)} jobs done, {counts['failed']} failed, {counts['to do']} to do{already}")
    say(f"wrote {file_address(manifest.place, REPORT)}")
    if counts["failed"]:
        raise SaymaskError(f"{counts['failed']} jobs have failed; {REPORT} says why, --retry failed tries them again")


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path is not None else None
