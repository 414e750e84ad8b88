"""What the segmenters of all families with a network of ours have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from saymask.models.parts.chat import unknown_words
from saymask.models.parts.pixels import PixelProcessor
from saymask.models.parts.reasoning import ReasoningModel
from saymask.records import Video

Model = TypeVar("Model", bound=ReasoningModel)
Processor = TypeVar("Processor", bound=PixelProcessor)


class NetworkSegmenter(Generic[Model, Processor]):
    """A loaded network in inference mode: both encoders, and what a user should know. A family adds `family` and `reason`."""

    def __init__(self, model: Model, processor: Processor, name: str, weights_files: Sequence[Path] = ()):
        self.model = model.eval()
        self.processor = processor
        self.name = name
        self.weights_files = tuple(weights_files)
        self.config = model.config

    @torch.inference_mode()
    def encode_vision(self, frames_THWC: np.ndarray) -> Tensor:
        """uint8 frames -> tokens_TVE of the language model."""
        pixels_TChw = self.processor.tower_pixels(frames_THWC, self.model.device)
        return self.model.visual(pixels_TChw.to(self.model.dtype))

    @torch.inference_mode()
    def encode_image(self, frames_THWC: np.ndarray) -> Tensor:
        """uint8 frames -> features_TChw of the mask encoder."""
        pixels_TChw, _ = self.processor.mask_pixels(frames_THWC, self.model.device)
        return self.model.mask_head.encode(pixels_TChw.to(self.model.dtype))

    def notice(self, video: Video) -> str | None:
        if not self.config.domain_tag or video.tags.get("comment") == self.config.domain_tag:
            return None
        return f"model {self.name!r} was trained on drawn scenes; its masks of other video mean nothing: leave out -m for a model that fits"

    def unknown_words(self, query: str) -> list[str]:
        return unknown_words(query, self.config.lexicon)
