"""What a check of a dataset reports: findings in order, and how much was looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int, str], None]
"""Videos done, videos in this split, name of the split."""


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Args:
        split: what it is about.
        text: of a problem: path, what is wrong, what to do.
        is_problem: whether something is wrong.
    """

    split: str
    text: str
    is_problem: bool


@dataclass(frozen=True)
class SplitSize:
    """What a split holds by its annotations, and how much of it was examined.

    Args:
        source: the annotation file or folder.
        num_videos: videos or images, those included that cannot be samples.
        num_expressions: samples; None where only the masks know what can be asked for.
        num_opened: videos with samples, all of which were opened.
        num_examined: those of which frames and masks were read.
    """

    source: Path
    num_videos: int
    num_expressions: int | None
    num_opened: int
    num_examined: int

    def __str__(self) -> str:
        return size_in_words(self.num_videos, self.num_expressions)


@dataclass(frozen=True)
class DatasetReport:
    """What was found: its lines in order, and the size of every split whose annotations could be read."""

    dataset: str
    findings: tuple[Finding, ...]
    sizes: dict[str, SplitSize]

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.is_problem)


def size_in_words(num_videos: int, num_expressions: int | None) -> str:
    """ "1 video, 2,098 expressions"; None is left out."""
    counts = {"video": num_videos, "expression": num_expressions}
    return ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for what, count in counts.items() if count is not None)
