"""Where numbers come from: what was evaluated, kept beside the predictions, and under which circumstances."""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saymask.config import Config
from saymask.errors import ConfigError, VideoError
from saymask.evaluation.candidates import Candidate
from saymask.evaluation.exam import Exam
from saymask.storage.atomic import new_file


class EvalConfig(Config):
    """Everything that decides the predictions of an evaluation; the same in every part and every continuation of it.

    The device is not part of it, so parts may run on different machines: another device changes the rounding, another dtype the precision.

    Args:
        dataset, split, limit: of the exam.
        dataset_version: of the exam.
        predictor: "session" for a model, a name of `WITHOUT_MODEL`, or "files" for predictions somebody else has written.
        model, tracker, every, answer, template, min_presence, dtype: of the candidate.
        files_sha256: of the files that decide what a model predicts, by name.
    """

    dataset: str
    split: str
    limit: int | None
    dataset_version: dict[str, int | str]
    predictor: str
    model: str
    tracker: str | None = None
    every: int | None = None
    answer: str | None = None
    template: str | None = None
    min_presence: float | None = None
    dtype: str | None = None
    files_sha256: dict[str, str]

    @classmethod
    def of(cls, exam: Exam, candidate: Candidate) -> EvalConfig:
        """The configuration of a candidate that takes an exam."""
        return cls(
            **_of_exam(exam),
            predictor=candidate.predictor,
            model=candidate.model,
            tracker=candidate.tracker,
            every=candidate.every,
            answer=candidate.answer,
            template=candidate.template,
            min_presence=candidate.min_presence,
            dtype=candidate.dtype,
            files_sha256=candidate.fingerprints(),
        )

    @classmethod
    def of_files(cls, exam: Exam, folder: Path) -> EvalConfig:
        """The configuration of predictions of which nothing is known but where they lie."""
        return cls(**_of_exam(exam), predictor="files", model=folder.resolve().name, files_sha256={})

    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def settle(self, path: Path) -> None:
        """Write the configuration, or make sure that the one that is there says the same.

        Raises:
            ConfigError: the file says something else; names the first difference.
            VideoError: the file cannot be written.
        """
        if not path.exists():
            try:
                with new_file(path) as draft:
                    self.save(draft)
            except VideoError:
                if not path.exists():  # otherwise another part of the same evaluation was faster
                    raise
        EvalConfig.load(path).require(self.model_dump(), path)

    def require_exam(self, exam: Exam, path: Path) -> None:
        """Make sure that this configuration, which was read from `path`, is about an exam.

        Raises:
            ConfigError: it is about another one; names the first difference.
        """
        self.require(_of_exam(exam), path)

    def require(self, values: Mapping[str, Any], path: Path) -> None:
        """Make sure that this configuration, which was read from `path`, has certain values.

        Raises:
            ConfigError: names the first one that differs.
        """
        for key, value in values.items():
            if getattr(self, key) != value:
                name, before, now = _first_difference(key, getattr(self, key), value)
                raise ConfigError(f"{path}: was made with {name} {before!r}, not {now!r}; ask for the same, or choose another folder")


def circumstances() -> dict[str, Any]:
    """What may differ between two computations of the same numbers: command, versions, threads."""
    import torch

    from saymask import __version__

    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "saymask": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "numpy": version("numpy"),
        "torch_threads": torch.get_num_threads(),
    }


def _first_difference(key: str, before: Any, now: Any) -> tuple[str, Any, Any]:
    """What two unequal values disagree about: its name, and what each says."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        part = next(part for part in {**before, **now} if before.get(part) != now.get(part))
        return f"{key} of {part}", before.get(part), now.get(part)
    return key, before, now


def _of_exam(exam: Exam) -> dict[str, Any]:
    return {"dataset": exam.dataset, "split": exam.split, "limit": exam.limit, "dataset_version": exam.samples.version}
