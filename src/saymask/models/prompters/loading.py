"""From a name to a loaded prompter."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch
from transformers.models.sam2.modeling_sam2 import Sam2Model

from saymask.errors import CheckpointError
from saymask.lookup import resolve
from saymask.models.prompters.base import Prompter
from saymask.models.prompters.narrow_sam import NarrowSam
from saymask.models.prompters.segment_anything import NarrowSamPrompter, Sam2Prompter
from saymask.runtime import Runtime
from saymask.storage.hub import HUB, HUB_ID, HubRepo, fetch
from saymask.storage.model_folder import replaced_folder
from saymask.storage.published import load_published
from saymask.storage.weight_files import weight_files

TOY_WEIGHTS = Path(str(files("saymask") / "weights" / "toy-prompter"))
"""Trained by this repository on drawn scenes."""
SAM2_REPO = "facebook/sam2.1-hiera-tiny"
TYPICAL_BYTES = {SAM2_REPO: 156_000_000}
"""What to expect when the hub cannot be asked."""
VIDEO_LAYOUT = "sam2_video"
"""The model type of published SAM 2 folders: they hold the video model, of which the image model is a part."""


def load_prompter(name: str, runtime: Runtime | None = None, weights: str | Path | None = None) -> Prompter:
    """Load a prompter by name and place it.

    Args:
        name: a prompter of `saymask list`.
        runtime: device and dtype; without one the best device present and the checkpoint's own dtype.
        weights: a folder of weights, or a repository of the hub, instead of the prompter's own.

    Raises:
        UnknownName: no such prompter.
        CheckpointError: the weights cannot be read or do not fit.
    """
    return resolve(name, "prompter")(runtime or Runtime.choose(), weights)


def load_toy_prompter(runtime: Runtime, weights: str | Path | None) -> NarrowSamPrompter:
    """A narrow SAM for drawn scenes: clicks and boxes to masks.

    Raises:
        CheckpointError: the weights cannot be read or do not fit.
    """
    folder = TOY_WEIGHTS if weights is None else Path(weights)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give one that `saymask train toy_prompter` wrote")
    sam = load_published(NarrowSam, folder, runtime, "give a folder that `saymask train toy_prompter` wrote")
    return NarrowSamPrompter(sam, tuple(weight_files(folder)))


def load_sam2_prompter(runtime: Runtime, weights: str | Path | None) -> Sam2Prompter:
    """SAM 2.1 tiny or any other SAM 2: clicks and boxes to masks in natural video (downloads 0.2 GB once, the tracker's too).

    Raises:
        CheckpointError: no such folder, not a SAM 2 model, tensors that do not fit, or a hub that cannot be reached.
    """
    folder = _sam2_folder(str(weights or SAM2_REPO))
    sam2 = load_published(Sam2Model, folder, runtime, f"give a copy of {HUB}/{SAM2_REPO}", also_in=VIDEO_LAYOUT)
    return Sam2Prompter(sam2, tuple(weight_files(folder)))


def save_sam(sam: NarrowSam, folder: Path) -> None:
    """Write a SAM as `load_toy_prompter` reads it, in bfloat16; one that is there is replaced when the new one is complete."""
    state = {name: tensor.to(torch.bfloat16) for name, tensor in sam.state_dict().items()}
    with replaced_folder(folder) as draft:
        sam.save_pretrained(draft, state_dict=state)
        sam.config.dtype = torch.bfloat16  # `save_pretrained` notes that of the module
        sam.config.save_pretrained(draft)


def _sam2_folder(weights: str) -> Path:
    """A folder as it is, a repository from the hub."""
    if Path(weights).is_dir():
        return Path(weights)
    if Path(weights).exists() or not HUB_ID.fullmatch(weights):
        raise CheckpointError(f"{weights}: no such folder; give a copy of {HUB}/{SAM2_REPO}")
    return fetch([HubRepo(weights, TYPICAL_BYTES.get(weights))], "with a copy of it on disk: give its folder (in Python: weights=DIR)")[0]
