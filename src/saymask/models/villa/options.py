"""How ViLLa is asked."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from saymask.models.base import Options
from saymask.models.villa.prompts import TEMPLATES


class VillaOptions(Options):
    """The model writes its answer by default: it says which objects there are.

    Args:
        dual_encoder: folder of a CLIP-like model in transformers' layout, whose similarity of frame and query scores the key segments;
            None = the model's own pooled tokens do.
    """

    templates: ClassVar[tuple[str, ...]] = TEMPLATES

    answer: Literal["forced", "generate"] = "generate"
    dual_encoder: Path | None = None
