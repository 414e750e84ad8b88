"""Jobs on a cluster: Ray Data reads the list, actors that hold the model do one job each at a time, and write where every machine can.

    ray/todo.jsonl ─ one row per block ─ actors: do_job ─► results/<id>/
                                                └─ a row per job ─► ray/outcomes/

Ray runs a function at least once and may run it again, on another machine, while the first still works; `do_job` gives one result all the
same. Ray restarts lost actors and repeats their rows without end, so each try is counted here, and the third is the last. Its checkpoint
spares finished rows when a run goes on; the manifest decides, and what it lacks although the checkpoint has it is done again.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from saymask.batch.jobs import Job
from saymask.batch.manifest import Manifest
from saymask.batch.pace import Ended
from saymask.batch.places import file_address, open_place
from saymask.batch.settings import Placement
from saymask.errors import ConfigError, SaymaskError

MAX_TRIES = 3
"""So often is a job begun by workers that end over it, until that is taken for a reason."""
SPARE_CPUS = 2
"""Left to reading, writing and the checkpoint; without them a pipeline of actors waits for ever, and says nothing."""
_POLL_SECONDS = 2
_TODO, _OUTCOMES, _CHECKPOINT = "ray/todo.jsonl", "ray/outcomes", "ray/checkpoint"


@dataclass(frozen=True)
class Cluster:
    """Where Ray runs, and what each worker gets.

    Args:
        address: of a running cluster; None starts one on this machine.
        workers: number of actors, each with a model.
        threads: CPUs of each.
        gpus: of each, such as 1 or 0.5.
        device: as for `saymask segment`; None = the best one that the actor sees.
    """

    address: str | None
    workers: int
    threads: int
    gpus: float
    device: str | None


class JobWorker:
    """An actor: loads the model once, then does the jobs of the rows that it gets."""

    def __init__(self, address: str, placement: Placement) -> None:
        self.manifest = Manifest.open(open_place(address))  # by its address: Ray loses large arguments when it restarts an actor
        self.asker = self.manifest.settings.asker(placement)
        self.jobs = {job.id: job for job in self.manifest.jobs}

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Columns of rows -> the same, with why each job failed, or ""."""
        whys = [self._do(self.jobs[str(job_id)]) for job_id in rows["id"]]
        return {"attempt": rows["attempt"], "id": rows["id"], "why": [why or "" for why in whys]}

    def _do(self, job: Job) -> str | None:
        from saymask.batch.work import do_job

        if self.manifest.record(job) is not None:  # Ray repeats what was done but not yet noted
            return None
        name = f"ray/begun/{job.id}.json"
        begun = json.loads(self.manifest.place.read(name) or "0")
        if begun >= MAX_TRIES:
            why = f"{job.source}: {begun} workers ended over it; it may need more memory than there is"
            self.manifest.place.remove(name)
            self.manifest.fail(job, why)
            return why
        self.manifest.place.replace(name, json.dumps(begun + 1))
        why = do_job(job, self.asker, self.manifest)
        self.manifest.place.remove(name)
        return why


def run_ray(jobs: Sequence[Job], ended: Ended, manifest: Manifest, cluster: Cluster) -> None:
    """Do the jobs on a cluster.

    Args:
        jobs: in the order in which they are begun.
        ended: follows the progress.
        manifest: where results go; all machines of the cluster must be able to write there and to read the sources.
        cluster: where Ray runs.

    Raises:
        ConfigError: Ray is not installed, or the workers would leave no CPU for reading and writing.
        SaymaskError: the model cannot be loaded, or the cluster gives up.
    """
    with _ray(cluster):
        for use_checkpoint in (True, False):
            states = manifest.states()
            left = [job for job in jobs if states[job.id] == "to do" or (use_checkpoint and states[job.id] == "failed")]
            if left:
                with _followed(left, manifest, ended):
                    _run(left, manifest, cluster, use_checkpoint)


def _run(jobs: Sequence[Job], manifest: Manifest, cluster: Cluster, use_checkpoint: bool) -> None:
    """One pass of Ray over these jobs."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext
    from ray.data.checkpoint import CheckpointConfig
    from ray.exceptions import RayError

    failures = {job.id: manifest.failure(job) for job in jobs}
    tries = {job_id: failure.tries if failure else 0 for job_id, failure in failures.items()}
    rows = [{"attempt": f"{job.id} {tries[job.id]}", "id": job.id} for job in jobs]
    manifest.place.replace(_TODO, "".join(json.dumps(row) + "\n" for row in rows))
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_consecutive_actor_init_deaths = MAX_TRIES
    checkpoint = CheckpointConfig("attempt", file_address(manifest.place, _CHECKPOINT), delete_checkpoint_on_success=False)
    context.checkpoint_config = checkpoint if use_checkpoint else None
    try:
        # Without `lines`, which would read by pandas: the checkpoint filters Arrow's tables alone.
        todo = ray.data.read_json(file_address(manifest.place, _TODO), override_num_blocks=len(jobs))
        outcomes = todo.map_batches(
            JobWorker,
            batch_size=1,
            compute=ActorPoolStrategy(size=min(cluster.workers, len(jobs)), max_tasks_in_flight_per_actor=2),
            fn_constructor_args=(manifest.place.address, Placement(cluster.device, cluster.threads)),
            num_cpus=cluster.threads,
            num_gpus=cluster.gpus,
        )
        outcomes.write_json(file_address(manifest.place, _OUTCOMES))
    except RayError as error:
        raise _cause(error) from None


def _cause(error: BaseException) -> SaymaskError:
    """The error of the user that Ray has wrapped, or what Ray says."""
    inner: BaseException | None = error
    while inner is not None:
        for candidate in (inner, getattr(inner, "cause", None)):
            if isinstance(candidate, SaymaskError):
                return candidate
        inner = inner.__cause__
    return SaymaskError(f"the cluster gave up: {str(error).strip().splitlines()[-1]}; what is done stays, the same command resumes")


@contextmanager
def _ray(cluster: Cluster) -> Iterator[None]:
    """A connection to the cluster while the block runs."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError("--backend ray needs Ray; pip install 'saymask[ray]'") from None
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    needed = cluster.workers * cluster.threads
    if cluster.address is None:
        ray.init(num_cpus=needed + SPARE_CPUS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(address=cluster.address, log_to_driver=False)
    try:
        there = ray.cluster_resources().get("CPU", 0)
        if needed > there - 1:
            raise ConfigError(
                f"{cluster.workers} workers of {cluster.threads} CPUs leave none of the cluster's {there:g} for reading and writing; "
                "lower --workers or --threads"
            )
        yield
    finally:
        ray.shutdown()


@contextmanager
def _followed(jobs: Sequence[Job], manifest: Manifest, ended: Ended) -> Iterator[None]:
    """While the block runs, and once after it, look which jobs have ended."""
    before = {job.id: manifest.failure(job) for job in jobs}
    waiting = {job.id: job for job in jobs}
    stop = threading.Event()

    def look() -> None:
        states = manifest.states()
        for job in list(waiting.values()):
            failure = manifest.failure(job) if states[job.id] == "failed" else None
            if states[job.id] == "done" or (failure is not None and failure != before[job.id]):
                del waiting[job.id]
                ended(job, failure.why if failure else None)

    def follow() -> None:
        while not stop.wait(_POLL_SECONDS):
            look()

    follower = threading.Thread(target=follow, name="saymask-follow", daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()
        look()
