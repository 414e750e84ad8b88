"""Segment Anything of `transformers` as prompters: SAM 2 (Ravi et al. 2024) for natural video, and a narrow SAM for drawn scenes.

frame ─ resize ─ image encoder ─ Encoded ─┐
clicks, box, mask to correct ─────────────┴─ prompt encoder, mask decoder ─ logits ─ frame's size ─ > 0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.models.sam2.modeling_sam2 import Sam2Model

from saymask.models.prompters.base import Prompt, PromptedMask, check_prompt
from saymask.models.prompters.narrow_sam import NarrowSam
from saymask.models.prompters.prior import mask_logits
from saymask.records import Video
from saymask.video.transforms import Geometry, for_mask_encoder, stretched

MEAN, STD = (tuple(255 * value for value in values) for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
"""Per channel, in levels of 0 ... 255."""


@dataclass(frozen=True)
class Encoded:
    """A frame: what the image encoder made of it, and how it lies in the encoder's input."""

    embeddings: Any
    geometry: Geometry


class SegmentAnything:
    """What both have in common; each says how a frame is encoded and how a prompt is decoded."""

    name: str

    def __init__(self, model: Any, weights_files: tuple[Path, ...] = ()):
        self.model = model.eval()
        self.weights_files = weights_files

    @torch.inference_mode()
    def encode(self, frame_HWC: NDArray[np.uint8]) -> Encoded:
        frame = torch.from_numpy(np.ascontiguousarray(frame_HWC)).to(self.model.device)
        pixels_3hw, geometry = self._pixels(frame)
        return Encoded(self.model.get_image_embeddings(pixels_3hw[None].to(self.model.dtype)), geometry)

    @torch.inference_mode()
    def mask(self, encoded: Encoded, prompt: Prompt) -> PromptedMask:
        check_prompt(prompt, *encoded.geometry.original_size)
        lowres_hw, score = self._decode(encoded, prompt)
        logits_HW = encoded.geometry.undo(lowres_hw)
        return PromptedMask((logits_HW > 0).cpu().numpy(), float(score.clamp(0, 1)))

    def _pixels(self, frame_HWC: Tensor) -> tuple[Tensor, Geometry]:
        """The encoder's input, and how the frame lies in it."""
        raise NotImplementedError(f"{type(self).__name__} says how a frame is brought to its size")

    def _decode(self, encoded: Encoded, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Logits lowres_hw and their expected IoU."""
        raise NotImplementedError(f"{type(self).__name__} says how a prompt is decoded")


class NarrowSamPrompter(SegmentAnything):
    """A narrow SAM; the frame's longest side is the encoder's, and videos that it was not trained on get a notice."""

    name = "toy-prompter"

    def _pixels(self, frame_HWC: Tensor) -> tuple[Tensor, Geometry]:
        return for_mask_encoder(frame_HWC, cast(NarrowSam, self.model).size, MEAN, STD)

    def _decode(self, encoded: Encoded, prompt: Prompt) -> tuple[Tensor, Tensor]:
        model = cast(NarrowSam, self.model)
        earlier_11hw = torch.zeros(1, 1, model.side, model.side, device=model.device)
        if prompt.mask_HW is not None:
            h, w = encoded.geometry.resized_size
            share_11hw = functional.interpolate(_as_float(prompt.mask_HW, model.device), (h, w), mode="bilinear", antialias=True)
            earlier_11hw = mask_logits(functional.pad(share_11hw, (0, model.size - w, 0, model.size - h)), model.side)
        points_1P2, labels_1P, box_14 = prompt_tensors(prompt, encoded.geometry, model.device)
        lowres_1hw, iou_1 = model.masks(encoded.embeddings, earlier_11hw, points_1P2, labels_1P, box_14)
        return lowres_1hw[0], iou_1[0].float()

    def notice(self, video: Video) -> str | None:
        tag = getattr(self.model.config, "domain_tag", "")
        if not tag or video.tags.get("comment") == tag:
            return None
        return f"prompter {self.name!r} was trained on drawn scenes; for natural video use the prompter sam2"


class Sam2Prompter(SegmentAnything):
    """A SAM 2; frames are stretched to a square, and a single click gets three masks of which the model's favourite is taken."""

    name = "sam2"

    def _pixels(self, frame_HWC: Tensor) -> tuple[Tensor, Geometry]:
        size = cast(int, self.model.config.prompt_encoder_config.image_size)
        geometry = Geometry((frame_HWC.shape[0], frame_HWC.shape[1]), (size, size), (size, size))
        return stretched(frame_HWC, size, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD), geometry

    def _decode(self, encoded: Encoded, prompt: Prompt) -> tuple[Tensor, Tensor]:
        model = cast(Sam2Model, self.model)
        points_1P2, labels_1P, box_14 = prompt_tensors(prompt, encoded.geometry, model.device)
        earlier_11hw = None
        if prompt.mask_HW is not None:
            side, _ = cast(Any, model.prompt_encoder).mask_input_size
            earlier_11hw = mask_logits(_as_float(prompt.mask_HW, model.device), side).to(model.dtype)
        is_ambiguous = len(prompt.clicks) == 1 and prompt.box is None and prompt.mask_HW is None
        output = model(
            image_embeddings=encoded.embeddings,
            input_points=None if points_1P2 is None else points_1P2[:, None].to(model.dtype),
            input_labels=None if labels_1P is None else labels_1P[:, None],
            input_boxes=None if box_14 is None else box_14[:, None].to(model.dtype),
            input_masks=earlier_11hw,
            multimask_output=is_ambiguous,
        )
        scores_M = output.iou_scores[0, 0].float()
        best = int(scores_M.argmax())
        return output.pred_masks[0, 0, best], scores_M[best]

    def notice(self, video: Video) -> str | None:
        return None


def prompt_tensors(prompt: Prompt, geometry: Geometry, device: torch.device) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """points_1P2, labels_1P and box_14 of one object in pixels of the encoder's input; None for what there is not."""
    (height, width), (h, w) = geometry.original_size, geometry.resized_size
    scale_2: Sequence[float] = (w / width, h / height)
    scale = torch.tensor(scale_2, device=device)
    points_1P2 = labels_1P = box_14 = None
    if prompt.clicks:
        points_1P2 = torch.tensor([[(click.x, click.y) for click in prompt.clicks]], device=device) * scale
        labels_1P = torch.tensor([[int(click.adds) for click in prompt.clicks]], device=device)
    if prompt.box is not None:
        box_14 = (torch.tensor(prompt.box, device=device).reshape(2, 2) * scale).reshape(1, 4)
    return points_1P2, labels_1P, box_14


def _as_float(mask_HW: NDArray[np.bool_], device: torch.device) -> Tensor:
    """float32 mask_11HW, 0 or 1."""
    return torch.from_numpy(np.ascontiguousarray(mask_HW))[None, None].to(device).float()
