"""Reads changed inputs in a long-lived process with limits, as a server would."""

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

import psutil
from mutations import mutate
from seeds import copy_seed
from uses import USES

SECONDS = 60
MAX_BYTES = 2 * 2**30
_HARD_BYTES = 3 * 2**30  # the system refuses more, before the machine suffers
OUTCOMES = ("used", "refused", "traceback", "hang", "over memory", "silent")


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Args:
        name: "used", "refused" by an error of saymask that names the input, or a failure: "traceback", "hang", "over memory", "silent".
        detail: the message.
        peak_bytes: largest resident memory of the process so far.
    """

    name: str
    detail: str = ""
    peak_bytes: int = 0

    @property
    def is_failure(self) -> bool:
        return self.name not in ("used", "refused")


class Reader:
    """A process that reads one input after another, and a new one when it hangs, dies or has grown too large."""

    def __init__(self, work: Path) -> None:
        work.mkdir(parents=True)
        self.work = work
        self.peak_bytes = 0
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def read(self, seed_path: Path, kind: str, seed: int, number: int | None) -> Outcome:
        """Have a copy of a sound input used, changed as the seed and the number say, or as it is if the number is None."""
        path = self.work / seed_path.name
        copy_seed(seed_path, path)
        if number is not None:
            mutate(path, seed, number)
        try:
            self._connection.send((kind, path))
            outcome = self._connection.recv() if self._answers() else Outcome("hang", f"no answer in {SECONDS} s")
        except (EOFError, ConnectionError):
            self._process.join()
            outcome = Outcome("traceback", f"the process died ({self._process.exitcode})")
        finally:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.peak_bytes = max(self.peak_bytes, outcome.peak_bytes)
        if outcome.peak_bytes > MAX_BYTES:
            outcome = Outcome("over memory", f"{outcome.peak_bytes / 2**20:.0f} MiB", outcome.peak_bytes)
        if outcome.name in ("hang", "over memory") or not self._process.is_alive():
            self._end()
            self._start()
        return outcome

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()
        self._connection.recv()  # it has imported everything

    def _answers(self) -> bool:
        """Wait for the answer; seconds count in which the process works or waits for something, not those in which others have its CPU."""
        process = psutil.Process(self._process.pid)
        used_before, idle = sum(process.cpu_times()[:2]), 0
        while not self._connection.poll(1):
            idle += process.status() != psutil.STATUS_RUNNING
            if idle + sum(process.cpu_times()[:2]) - used_before > SECONDS:
                return False
        return True

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_HARD_BYTES, _HARD_BYTES))
    connection.send("ready")
    while True:
        kind, path = connection.recv()
        outcome = _use(kind, path)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        connection.send(Outcome(outcome.name, outcome.detail, peak))


def _use(kind: str, path: Path) -> Outcome:
    from saymask.errors import SaymaskError

    try:
        flaw = USES[kind](path)
    except SaymaskError as error:
        return Outcome("refused", str(error)) if path.name in str(error) else Outcome("silent", f"names no file: {error}")
    except MemoryError:
        return Outcome("over memory", traceback.format_exc()[-600:])
    except Exception:
        return Outcome("traceback", traceback.format_exc()[-1500:])
    return Outcome("silent", flaw) if flaw else Outcome("used")
