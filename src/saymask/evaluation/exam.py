"""What is asked: the first `limit` expressions of a split, grouped by video, without opening a video to know its questions.

Whoever answers goes video by video, so that each is read and encoded once for all of its questions. Parts for several machines are
made of whole videos.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from saymask.errors import ConfigError
from saymask.lookup import resolve
from saymask.samples import Item, SampleSet


@dataclass(frozen=True)
class Exam:
    """Part of a dataset, to be answered and scored.

    Args:
        dataset, split: what reports call it.
        samples: the whole split.
        limit: only the first N samples; None = all.

    Raises:
        ConfigError: a limit below 1.
    """

    dataset: str
    split: str
    samples: SampleSet
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit {self.limit} leaves nothing to evaluate; give 1 or more")

    def __len__(self) -> int:
        return len(self.samples) if self.limit is None else min(self.limit, len(self.samples))

    def item(self, index: int) -> Item:
        """What sample `index` of the split is called and asks; it may lie beyond the limit."""
        return self.samples.items[index]

    def name(self, index: int) -> str:
        """What reports and prediction files call a sample: video and expression."""
        item = self.item(index)
        return f"{item.video_name}/{item.expression.exp_id}"

    @cached_property
    def videos(self) -> dict[str, list[int]]:
        """The samples of each video, videos in the order of their first sample."""
        return self._by_video(len(self))

    @cached_property
    def whole_videos(self) -> dict[str, list[int]]:
        """The same without the limit."""
        return self._by_video(len(self.samples))

    @property
    def masks_are_public(self) -> bool:
        """Whether predictions can be scored here, not only by the benchmark's server."""
        return not self.samples.benchmark.keeps_masks_of(self.split)

    def _by_video(self, count: int) -> dict[str, list[int]]:
        videos: dict[str, list[int]] = {}
        for index in range(count):
            videos.setdefault(self.item(index).video_name, []).append(index)
        return videos


def open_exam(dataset: str, split: str, root: Path | None = None, limit: int | None = None) -> Exam:
    """Find a dataset of `saymask list` on this computer.

    Raises:
        UnknownName: no such dataset.
        DataError: no such split, nothing in it, or nobody says where the dataset lies.
        ConfigError: a limit below 1, or a dataset of answers in words.
    """
    exam = Exam(dataset, split, resolve(dataset, "dataset")(root, split), limit)
    if exam.samples.benchmark.in_words:
        raise ConfigError(f"{dataset} is answered in words and has no masks to score; it is for training, evaluate on another dataset")
    return exam
