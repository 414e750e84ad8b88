"""How VideoLISA is asked."""

from __future__ import annotations

from typing import ClassVar

from saymask.models.base import Options
from saymask.models.videolisa.prompts import TEMPLATES


class VideoLisaOptions(Options):
    """The answer is given by default, as its authors do; templates are ours, the plain query, and the strings of their scripts."""

    templates: ClassVar[tuple[str, ...]] = TEMPLATES
