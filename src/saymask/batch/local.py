"""Jobs on this machine: one process per device, each with a model of its own, fed one job at a time.

    driver ─ (job) ─► worker ─ do_job ─ result on disk
           ◄─ (why it failed, or None) ─

A worker that is killed, or that a video has brought down, is replaced, and its job is tried again; after the third time the job has
failed. If the driver is killed, its workers end at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from saymask.batch.jobs import Job
from saymask.batch.manifest import Manifest
from saymask.batch.pace import Ended
from saymask.batch.settings import Placement
from saymask.errors import SaymaskError

MAX_DEATHS = 3
"""So often may a process end over one job, or one after the other before they are ready, until that is taken for a reason."""


def run_local(
    jobs: Sequence[Job], manifest: Manifest, placements: Sequence[Placement], ended: Ended, tell: Callable[[str], None] = lambda text: None
) -> None:
    """Do the jobs in their order, one process per placement.

    Args:
        jobs: in the order in which they are begun.
        manifest: where results go.
        placements: where each process computes.
        ended: follows the progress.
        tell: called once with each notice about models and videos.

    Raises:
        SaymaskError: the model cannot be loaded, or processes end before they are ready.
    """
    waiting = list(jobs)
    deaths: dict[str, int] = {}
    early_deaths = 0
    told: set[str] = set()
    workers = [_Worker.start(manifest, placement) for placement in placements[: len(waiting)]]
    try:
        while workers:
            for ready in connection.wait([worker.connection for worker in workers]):
                worker = next(worker for worker in workers if worker.connection is ready)
                try:
                    message = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    message = None
                if message is None:
                    job, how = worker.job, worker.how_it_ended()
                    workers.remove(worker)
                    worker.tidy(manifest)
                    if job is None:
                        early_deaths += 1
                        if early_deaths >= MAX_DEATHS:
                            raise SaymaskError(f"{how} before its model was loaded; is there memory for {len(placements)} of them?")
                    else:
                        deaths[job.id] = deaths.get(job.id, 0) + 1
                        if deaths[job.id] < MAX_DEATHS:
                            waiting.insert(0, job)
                        else:
                            why = f"{job.source}: {how}, {MAX_DEATHS} times; it may need more memory than there is"
                            manifest.fail(job, why)
                            ended(job, why)
                    if waiting:
                        workers.append(_Worker.start(manifest, worker.placement))
                elif isinstance(message, SaymaskError):
                    raise message
                elif isinstance(message, _Notice):
                    if message.text not in told:
                        told.add(message.text)
                        tell(message.text)
                else:
                    early_deaths = 0
                    if worker.job is not None:
                        ended(worker.job, message.why)
                    worker.job = waiting.pop(0) if waiting else None
                    if worker.job is None:
                        worker.end()
                        workers.remove(worker)
                    else:
                        worker.give(worker.job)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.tidy(manifest)


@dataclass(frozen=True)
class _Notice:
    """What the user should know."""

    text: str


@dataclass(frozen=True)
class _Free:
    """A worker asks for a job; `why` the last one failed, None if it is done or there was none."""

    why: str | None = None


@dataclass
class _Worker:
    """A process, and the job that it has."""

    process: BaseProcess
    connection: Connection
    placement: Placement
    job: Job | None = None

    @classmethod
    def start(cls, manifest: Manifest, placement: Placement) -> _Worker:
        context = get_context("spawn")  # a fork would copy the threads' locks and a device's state
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, manifest, placement), daemon=True)
        process.start()
        theirs.close()  # so that the end of the process is the end of the connection
        return cls(process, ours, placement)

    def give(self, job: Job) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # killed meanwhile: `recv` will say so
            self.connection.send(job)

    def end(self) -> None:
        """No more jobs."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(None)
        self.process.join()

    def tidy(self, manifest: Manifest) -> None:
        """Remove what the process, which has ended, was writing."""
        if self.job is not None:
            manifest.place.tidy(f"results/{self.job.id}")

    def how_it_ended(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        return f"a worker process was killed by signal {-code}" if code < 0 else f"a worker process ended with exit code {code}"


def _work(to_driver: Connection, manifest: Manifest, placement: Placement) -> None:
    """What a worker process does."""
    from saymask.batch.work import do_job

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver, which ends its workers
    _end_with_the_driver()
    try:
        asker = manifest.settings.asker(placement)
    except SaymaskError as error:
        to_driver.send(error)
        return
    asker.tell = lambda text: to_driver.send(_Notice(text))
    to_driver.send(_Free())
    while job := to_driver.recv():
        to_driver.send(_Free(do_job(job, asker, manifest)))


def _end_with_the_driver() -> None:
    """A worker whose driver was killed ends at once, so that the next driver has the devices for itself."""
    driver = parent_process()
    assert driver is not None

    def wait() -> None:
        connection.wait([driver.sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="saymask-driver-watch", daemon=True).start()


def place_workers(workers: int | None = None, device: str | None = None, threads: int | None = None) -> list[Placement]:
    """Where each process computes: one per CUDA device, or one; more share the devices in turn.

    Args:
        workers: number of processes.
        device: of all of them; None = the best ones present.
        threads: of each on the CPU; None = the cores, shared out.
    """
    import torch

    many = device is None and torch.cuda.is_available()
    devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if many else [device]
    number = workers or len(devices)
    each = threads or max(1, (os.cpu_count() or 1) // number)
    return [Placement(devices[i % len(devices)], each) for i in range(number)]
