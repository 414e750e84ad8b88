"""How `agent` can be asked, and what it may spend."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from saymask.models.base import Options


class AgentOptions(Options):
    """Budgets hold for each query; what is spent stands in the result's notes.

    Args:
        num_frames: how many frames, spread over the video, the vision-language model is shown at first.
        max_rounds: how often it may be asked about the candidates; after the first time only about those it is unsure of.
        max_calls, max_tokens, max_seconds: when one of these is spent, the best candidate so far is the answer, flagged.
        segmenter_options: options of the model that segments, such as `{"recheck_seconds": 1.0}`.
        cache: folder of answers that were given before, by model, prompt and images; None = nothing is kept.
    """

    answer: Literal["forced", "generate"] = "generate"
    num_frames: int = Field(default=8, ge=1, le=64)
    max_rounds: int = Field(default=3, ge=1)
    max_calls: int = Field(default=12, ge=1)
    max_tokens: int = Field(default=200_000, ge=1)
    max_seconds: float = Field(default=600, gt=0)
    segmenter_options: dict[str, Any] = Field(default_factory=dict)
    cache: Path | None = Path("~/.cache/saymask/agent")
