"""CLIPSeg (arXiv 2112.10003) as published in `transformers`: the smallest; a heat map per phrase, and a box around what is hot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.models.clipseg.modeling_clipseg import CLIPSegForImageSegmentation

from saymask.models.grounded.detection import Detections
from saymask.runtime import Runtime
from saymask.storage.published import load_published, load_tokenizer
from saymask.storage.weight_files import weight_files
from saymask.video.transforms import stretched

HOT = 0.5
"""The box is around the pixels that are at least this part of the hottest."""


class ClipSeg:
    """At most one object per phrase, as a heat map does not tell two apart; its score is that of the hottest pixel."""

    default_threshold = 0.4

    def __init__(self, model: Any, tokenizer: Any, name: str, weights_files: tuple[Path, ...] = ()):
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.weights_files = weights_files

    def detect(self, frame_HWC: np.ndarray, phrases: Sequence[str], threshold: float) -> Detections:
        boxes, scores, phrase_idx = [], [], []
        for place, heat_HW in enumerate(self.heat(frame_HWC, phrases)):
            if (score := float(heat_HW.max())) > threshold:
                ys, xs = (heat_HW >= HOT * score).nonzero(as_tuple=True)
                boxes.append([float(xs.min()), float(ys.min()), float(xs.max()) + 1, float(ys.max()) + 1])
                scores.append(score)
                phrase_idx.append(place)
        return Detections(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), torch.tensor(phrase_idx, dtype=torch.long))

    @torch.inference_mode()
    def heat(self, frame_HWC: np.ndarray, phrases: Sequence[str]) -> Tensor:
        """How well each pixel fits each phrase: heat_PHW, 0 ... 1, at the frame's size."""
        text = self.tokenizer(list(phrases), padding=True, truncation=True, return_tensors="pt").to(self.model.device)
        size = self.model.config.vision_config.image_size
        pixels_CHW = stretched(torch.from_numpy(frame_HWC).to(self.model.device), size, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
        pixels_PCHW = pixels_CHW.to(self.model.dtype).expand(len(phrases), -1, -1, -1)
        logits = self.model(input_ids=text["input_ids"], attention_mask=text["attention_mask"], pixel_values=pixels_PCHW).logits
        logits_P1hw = logits.reshape(len(phrases), 1, *logits.shape[-2:]).float()
        return functional.interpolate(logits_P1hw, size=frame_HWC.shape[:2], mode="bilinear", align_corners=False)[:, 0].sigmoid().cpu()


def load_clipseg(folder: Path, runtime: Runtime, name: str) -> ClipSeg:
    """Read a folder of CLIPSeg."""
    model = load_published(CLIPSegForImageSegmentation, folder, runtime)
    tokenizer = load_tokenizer(folder, model.config.text_config.vocab_size)
    tokenizer.model_max_length = model.config.text_config.max_position_embeddings
    return ClipSeg(model, tokenizer, name, tuple(weight_files(folder)))
