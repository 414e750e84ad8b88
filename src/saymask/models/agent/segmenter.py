"""The agent behind `base.Segmenter`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saymask.models.agent import FAMILY, loop
from saymask.models.agent.options import AgentOptions
from saymask.models.agent.vision_model import VisionModel
from saymask.models.base import Answer, Segmenter, VideoView
from saymask.records import Video


class AgentSegmenter:
    """Answers each query by the loop of `loop.answer`.

    Args:
        model: proposes and verifies.
        segmenter: finds and tracks; of a family that tracks for itself.
        name: what the model is called in reports.
    """

    family = FAMILY

    def __init__(self, model: VisionModel, segmenter: Segmenter, name: str):
        self.model = model
        self.segmenter = segmenter
        self.name = name
        self.tracker: Any = getattr(segmenter, "tracker", None)
        self.weights_files: tuple[Path, ...] = tuple(segmenter.weights_files)

    def reason(self, view: VideoView, queries: Sequence[str], options: AgentOptions) -> list[Answer]:
        return [loop.answer(view, query, number, self.model, self.segmenter, options) for number, query in enumerate(queries, start=1)]

    def notice(self, video: Video) -> str | None:
        return self.segmenter.notice(video)

    def unknown_words(self, query: str) -> list[str]:
        return []
