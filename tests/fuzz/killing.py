"""Kills commands at any moment (`kill -9`, as a power cut would end them) and compares what is left, and what the next run makes of it.

Commands run in processes forked from one that has imported everything already, so that a run takes about a second and a kill hits the work.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from seeds import make_seed

SMALL_TRAINING = (
    *("steps=6", "batch_size=2", "save_every=2", "log_every=1", "workers=0", "validation=null", "data.size=64", "data.crop=32"),
    *("data.min_pixels=10", "model.short_side=64", "model.key_encoder_depths=[1, 1, 1]", "model.key_encoder_width=4"),
    *("model.value_encoder_width=4", "model.value_dim=8", "model.key_dim=8", "model.decoder_width=8", "optim.warmup_steps=2"),
)


@dataclass(frozen=True)
class Job:
    """A command whose killing is tried.

    Args:
        start: its arguments.
        resume: arguments of the command that finishes what is left.
        begun: files of which one is there as soon as there is something to resume; before, the command is started again.
        out: the folder that it writes.
        outcome: what the folder holds, without times; None before there is a result. Raises if a file under its final name is not whole.
        prepare: makes what has to be there before.
    """

    start: Sequence[str]
    resume: Sequence[str]
    begun: Sequence[str]
    out: Path
    outcome: Callable[[Path], Any]
    prepare: Callable[[Path], None]


def make_jobs(work: Path) -> dict[str, Job]:
    """Segmenting into an existing empty folder, a training and an evaluation, all small."""
    video, model = make_seed("mp4", work), make_seed("model", work)
    masks, run, scores = work / "masks", work / "run", work / "scores"
    segment = ["segment", str(video), "the red fish", "the blue key", "-m", str(model), "-o", str(masks), "--format", "png,coco,npz"]
    train = ["train", "xmem_toy", *SMALL_TRAINING, "-o", str(run), "--device", "cpu"]
    evaluate = ["eval", "toyworld", "-m", str(model), "--limit", "3", "-o", str(scores), "--device", "cpu"]
    return {
        "segment": Job(segment, segment, (), masks, _all_files, Path.mkdir),
        "train": Job(train, [*train, "--resume"], ("train.json", ".lock"), run, _trained, lambda out: None),
        "eval": Job(evaluate, [*evaluate, "--resume"], ("config.json",), scores, _scored, lambda out: None),
    }


def straight(job: Job) -> tuple[Any, float]:
    """What an undisturbed run leaves, and the seconds that it takes."""
    _clear(job)
    start = time.monotonic()
    _run(job.start)
    seconds = time.monotonic() - start
    outcome = job.outcome(job.out)
    assert outcome is not None, f"{job.start}: nothing complete in {job.out}"
    return outcome, seconds


def kill(job: Job, expected: Any, seconds: float, rng: random.Random) -> str:
    """Kill a run at a random moment and run what finishes it; returns what is wrong, or nothing.

    Args:
        expected, seconds: of `straight`.
    """
    _clear(job)
    _run(job.start, killed_after=rng.uniform(0, seconds))
    left = job.outcome(job.out)
    if job.resume is job.start and left not in (None, expected):
        return f"half-written: {_difference(left, expected)}"
    if left != expected:
        _run(job.resume if any((job.out / name).exists() for name in job.begun) else job.start)
    if (final := job.outcome(job.out)) != expected:
        return "nothing complete after the second run" if final is None else f"not equal: {_difference(final, expected)}"
    return "" if sorted(path.name for path in job.out.parent.glob(f"{job.out.name}*")) == [job.out.name] else "a second folder was begun"


def _run(arguments: Sequence[str], killed_after: float | None = None) -> None:
    process = multiprocessing.get_context("fork").Process(target=_command, args=(arguments,))
    process.start()
    process.join(killed_after)
    if process.exitcode is None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    elif process.exitcode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.exitcode}")


def _command(arguments: Sequence[str]) -> None:
    from saymask.cli.main import app

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    app(list(arguments))


def import_everything() -> None:
    """Once, in the process that is forked from."""
    import saymask.evaluation.run
    import saymask.exports.overlay
    import saymask.exports.writer
    import saymask.models.videolisa.segmenter
    import saymask.session
    import saymask.training.loop
    import saymask.training.tasks.tuning  # noqa: F401


def _clear(job: Job) -> None:
    for path in job.out.parent.glob(f"*{job.out.name}*"):
        shutil.rmtree(path)
    job.prepare(job.out)


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    return ", ".join(name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name))


def _visible(folder: Path) -> list[Path]:
    """Files under final names; drafts are hidden."""
    paths = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in paths if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _all_files(out: Path) -> dict[str, bytes] | None:
    return {str(path.relative_to(out)): path.read_bytes() for path in _visible(out)} or None


def _trained(run: Path) -> dict[str, bytes] | None:
    """Weights of the finished model. Those of checkpoints under their final name have to be whole."""
    for file in _visible(run):
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (no mapping)
                    tensors.get_tensor(name)
    model = run / "model" / "model.safetensors"
    return {"model": model.read_bytes()} if model.exists() else None


def _scored(out: Path) -> dict[str, Any] | None:
    """Scores without times; predictions under their final name have to be whole."""
    for file in _visible(out):
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
    results = out / "results.json"
    return {"rows": json.dumps(json.loads(results.read_text(encoding="utf-8"))["rows"])} if results.exists() else None
