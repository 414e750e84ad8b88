"""Reads inputs in long-lived processes with limits: what a server would see."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from mutations import mutate

SECONDS = 60
MAX_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Args:
        kind: "read", "refused" with an error of saymask that names something, or a failure: "traceback", "hang", "over memory", "silent".
        detail: the message.
    """

    kind: str
    detail: str = ""
    peak_bytes: int = 0

    @property
    def is_failure(self) -> bool:
        return self.kind not in ("read", "refused")


class Readers:
    """A process that reads one input after another, and a new one when it hangs or dies."""

    def __init__(self, work: Path) -> None:
        work.mkdir(parents=True)
        self.work = work
        self.peak_bytes = 0
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.join()

    def read(self, seed_path: Path, kind: str, seed: int, number: int) -> Outcome:
        """Change a copy of a seed and have it read."""
        path = self.work / seed_path.name
        shutil.copytree(seed_path, path) if seed_path.is_dir() else shutil.copy(seed_path, path)
        mutate(path, kind, seed, number)
        try:
            self._connection.send((kind, path))
            if not self._connection.poll(SECONDS):
                return self._restart(Outcome("hang", f"no answer in {SECONDS} s"))
            outcome: Outcome = self._connection.recv()
        except (EOFError, BrokenPipeError):
            self._process.join()
            return self._restart(Outcome("traceback", f"the process died ({self._process.exitcode})"))
        finally:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.peak_bytes = max(self.peak_bytes, outcome.peak_bytes)
        if outcome.peak_bytes > MAX_BYTES:
            return self._restart(Outcome("over memory", f"{outcome.peak_bytes / 2**20:.0f} MiB"))
        return outcome

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def _restart(self, outcome: Outcome) -> Outcome:
        self._process.kill()
        self._process.join()
        self._start()
        return outcome


def _serve(connection: Connection) -> None:
    while True:
        kind, path = connection.recv()
        outcome = _read(kind, path)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        connection.send(Outcome(outcome.kind, outcome.detail, peak))


def _read(kind: str, path: Path) -> Outcome:
    from saymask.errors import SaymaskError

    try:
        problem = _READ.get(kind, _read_video)(path)
    except SaymaskError as error:
        return Outcome("refused", str(error)) if str(path.name) in str(error) else Outcome("silent", f"names no file: {error}")
    except Exception:
        return Outcome("traceback", traceback.format_exc()[-600:])
    return Outcome("silent", problem) if problem else Outcome("read")


def _read_video(path: Path) -> str:
    """Every frame; returns what is wrong with the result."""
    from saymask.video.reader import open_source

    video = open_source(path)
    for index in range(video.num_frames):
        if video.frames([index]).shape != (1, video.height, video.width, 3):
            return f"frame {index} has another shape"
    return "" if (np.diff(video.timestamps_T) > 0).all() and video.duration > 0 else "times do not increase"


def _read_own(path: Path) -> str:
    """The check, and loading: what the check passes must load."""
    from saymask.datasets.own.check import check_folder
    from saymask.datasets.own.folder import load_folder_dataset

    problems = [finding for finding in check_folder(path).findings if finding.is_problem]
    if problems:
        return ""
    samples = load_folder_dataset(path, "train")
    for sample in samples:
        for masks_NHW in sample.load_masks(range(sample.video.num_frames)):
            if masks_NHW.shape[1:] != (sample.video.height, sample.video.width):
                return "a mask has another size"
    return ""


def _read_model(path: Path) -> str:
    """Load, and look for numbers that are none."""
    from saymask.models.checkpoints import load_model
    from saymask.runtime import Runtime

    model = load_model(path, Runtime("cpu", "float32"))
    return "" if all(parameter.isfinite().all() for parameter in model.model.parameters()) else "a weight is not finite"


_READ = {"own": _read_own, "model": _read_model}
