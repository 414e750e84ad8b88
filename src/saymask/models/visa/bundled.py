"""The toy that ships with the package."""

from __future__ import annotations

from saymask.models.base import Segmenter
from saymask.models.checkpoints import bundled_folder, load_folder
from saymask.runtime import Runtime


def load_visa_toy(runtime: Runtime) -> Segmenter:
    """VISA with toy numbers, trained by this repository on drawn scenes."""
    return load_folder(bundled_folder("visa-toy"), runtime, name="visa-toy")
