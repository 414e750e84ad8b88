"""From names of a detector and a segmenter to a loaded model."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from saymask.errors import CheckpointError, ConfigError
from saymask.lookup import resolve, suggest
from saymask.models.grounded import DETECTOR_REPO, FAMILY, SEGMENTER_REPO
from saymask.models.grounded.detection import Detector
from saymask.models.grounded.segmenter import GroundedSegmenter
from saymask.models.parts.own_tracks import BoxTracker
from saymask.runtime import Runtime
from saymask.storage.hub import find_folder
from saymask.storage.weight_files import read_json

DETECTORS = {
    "grounding-dino": "saymask.models.grounded.grounding_dino:load_grounding_dino",
    "mm-grounding-dino": "saymask.models.grounded.grounding_dino:load_mm_grounding_dino",
    "owlv2": "saymask.models.grounded.owlv2:load_owlv2",
    "clipseg": "saymask.models.grounded.clipseg:load_clipseg",
}
"""`model_type` of a detector -> what loads it."""
TRACKER = "sam2"


def load_grounded(runtime: Runtime) -> GroundedSegmenter:
    """Grounding DINO tiny and SAM 2.1 tiny: noun phrases in natural video (downloads 0.9 GB once)."""
    return _load(DETECTOR_REPO, SEGMENTER_REPO, runtime, "grounded")


def load_chosen(spec: str, runtime: Runtime) -> GroundedSegmenter:
    """What `-m grounded:DETECTOR+SEGMENTER` names, each by repository or folder; a part that is left out is the default one.

    Raises:
        ConfigError: neither is named.
        CheckpointError: one of them cannot be had, or is no detector or no SAM 2.
    """
    detector, _, segmenter = spec.partition("+")
    if not detector and not segmenter:
        raise ConfigError(
            f"-m grounded: names nothing; give grounded:DETECTOR+SEGMENTER, such as grounded:{DETECTOR_REPO}+{SEGMENTER_REPO}"
        )
    return _load(detector or DETECTOR_REPO, segmenter or SEGMENTER_REPO, runtime, f"grounded:{spec}")


def load_detector(name: str, runtime: Runtime) -> Detector:
    """Read a detector from a folder or the hub.

    Raises:
        CheckpointError: it cannot be had, is damaged, or is of a kind that no detector here reads.
    """
    sizes = FAMILY.choices["grounded"].repos
    folder = find_folder(name, "a detector", sizes.get(name))
    model_type = str(read_json(folder / "config.json").get("model_type"))
    if model_type not in DETECTORS:
        raise CheckpointError(f"{folder}/config.json: model_type {model_type!r} is no detector; {suggest(model_type, DETECTORS)}")
    module, function = DETECTORS[model_type].split(":")
    return getattr(import_module(module), function)(folder, runtime, name)


def _load(detector: str, segmenter: str, runtime: Runtime, name: str) -> GroundedSegmenter:
    loaded = load_detector(detector, runtime)
    tracker: BoxTracker | Any = resolve(TRACKER, "tracker")(runtime, segmenter)
    return GroundedSegmenter(loaded, tracker, name)
