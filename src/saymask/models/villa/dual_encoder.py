"""A CLIP-like model beside ViLLa that scores frames by their similarity to the query."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.auto.modeling_auto import AutoModel
from transformers.models.auto.processing_auto import AutoProcessor

from saymask.errors import CheckpointError
from saymask.storage.strict import quiet_transformers


class DualEncoder:
    """Describes frames and texts in one space."""

    def __init__(self, model: Any, processor: Any):
        self.model = model.eval()
        self.processor = processor

    @torch.inference_mode()
    def describe_frames(self, frames_THWC: np.ndarray) -> Tensor:
        """uint8 frames -> described_TC."""
        inputs = self.processor(images=list(frames_THWC), return_tensors="pt")
        return _vector(self.model.get_image_features(pixel_values=inputs["pixel_values"].to(self.model.device, self.model.dtype)))

    @torch.inference_mode()
    def describe_text(self, text: str) -> Tensor:
        """A query -> described_C."""
        inputs = self.processor(text=[text], return_tensors="pt", padding=True, truncation=True)
        return _vector(self.model.get_text_features(input_ids=inputs["input_ids"].to(self.model.device)))[0]


@lru_cache(maxsize=1)
def load_dual_encoder(folder: Path, device: torch.device) -> DualEncoder:
    """Load a model with an image and a text side, CLIP or SigLIP, in transformers' layout.

    Raises:
        CheckpointError: there is none in the folder.
    """
    with quiet_transformers():
        try:
            model = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True, local_files_only=True)
            processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"dual_encoder = {folder}: no model can be loaded from it ({error}); give a folder of CLIP or SigLIP"
            ) from None
    if not hasattr(model, "get_text_features"):
        raise CheckpointError(f"dual_encoder = {folder}: {type(model).__name__} has no text side; give a folder of CLIP or SigLIP")
    return DualEncoder(model.to(device), processor)


def _vector(features: Any) -> Tensor:
    """Some versions of transformers wrap the vectors."""
    return features if isinstance(features, Tensor) else features.pooler_output
