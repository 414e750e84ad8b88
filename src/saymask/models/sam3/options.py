"""How `sam3` can be asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from saymask.models.base import Options


class Sam3Options(Options):
    """It finds every object of a phrase, perhaps none; `max_objects` keeps the highest scores of each query."""

    answer: Literal["generate"] = "generate"
    max_objects: int = Field(default=64, ge=1)
