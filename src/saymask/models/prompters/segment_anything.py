"""Segment Anything (Kirillov et al. 2023; SAM 2, Ravi et al. 2024) of `transformers` as prompters.

frame ─ resize ─ image encoder ─ Encoded ─┐
clicks, box ─ prompt encoder ─ sparse ────┴─ mask decoder ─ logits ─ frame's size ─ > 0
mask to correct ─ logits ─ dense ─────────┘

Both models are called alike; they differ in how a frame is brought to their size, and in what the mask to correct looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import Sam2Model, SamModel
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from saymask.models.prompters.base import Prompt, PromptedMask, check_prompt
from saymask.records import Video
from saymask.video.transforms import Geometry, for_mask_encoder, stretched

MEAN, STD = (tuple(255 * value for value in values) for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
"""Per channel, in levels of 0 ... 255."""
MASK_LOGIT = 10.0
"""What a mask to correct is given as: this inside, its negative outside (SAM 2's own values are 10 and -10)."""


@dataclass(frozen=True)
class Encoded:
    """A frame: what the image encoder made of it, and how it lies in the encoder's input."""

    embeddings: Any
    geometry: Geometry

    @property
    def scale_2(self) -> tuple[float, float]:
        """From the frame's x and y to those of the encoder's input."""
        (height, width), (h, w) = self.geometry.original_size, self.geometry.resized_size
        return w / width, h / height


class SamPrompter:
    """A SAM in inference mode; the frame's longest side is the encoder's.

    Args:
        model: placed where it is to compute.
        name: as in the table of prompters.
        domain_tag: container comment of the videos that it was trained on; empty = any.
        weights_files: where the model was read from.
    """

    ambiguous_clicks: ClassVar[bool] = False
    """Whether a single click gets several masks, of which the best is taken."""

    def __init__(self, model: Any, name: str, domain_tag: str = "", weights_files: tuple[Path, ...] = ()):
        self.model = model.eval()
        self.name = name
        self.weights_files = weights_files
        self._domain_tag = domain_tag

    @torch.inference_mode()
    def encode(self, frame_HWC: NDArray[np.uint8]) -> Encoded:
        frame = torch.from_numpy(np.ascontiguousarray(frame_HWC)).to(self.model.device)
        pixels_3hw, geometry = self._pixels(frame)
        return Encoded(self._embed(pixels_3hw[None].to(self.model.dtype)), geometry)

    @torch.inference_mode()
    def mask(self, encoded: Encoded, prompt: Prompt) -> PromptedMask:
        check_prompt(prompt, *encoded.geometry.original_size)
        several = self.ambiguous_clicks and len(prompt.clicks) == 1 and prompt.box is None and prompt.mask_HW is None
        output = self.model(
            image_embeddings=encoded.embeddings,
            multimask_output=several,
            **point_inputs(prompt, encoded.scale_2, self.model.device, self.model.dtype),
            input_masks=None if prompt.mask_HW is None else self._dense(encoded, prompt.mask_HW),
        )
        scores_M = output.iou_scores[0, 0].float()
        best = int(scores_M.argmax())
        logits_HW = encoded.geometry.undo(output.pred_masks[0, 0, best])
        return PromptedMask((logits_HW > 0).cpu().numpy(), float(scores_M[best].clamp(0, 1)))

    def notice(self, video: Video) -> str | None:
        if not self._domain_tag or video.tags.get("comment") == self._domain_tag:
            return None
        return f"prompter {self.name!r} was trained on drawn scenes; for natural video use the prompter sam2"

    def _pixels(self, frame_HWC: Tensor) -> tuple[Tensor, Geometry]:
        """The encoder's input."""
        return for_mask_encoder(frame_HWC, self.model.config.vision_config.image_size, MEAN, STD)

    def _embed(self, pixels_13hw: Tensor) -> Any:
        return cast(SamModel, self.model).get_image_embeddings(pixels_13hw)

    def _dense(self, encoded: Encoded, mask_HW: NDArray[np.bool_]) -> Tensor:
        """The mask to correct, laid out as the frame is, at the decoder's size."""
        (h, w), (size, _) = encoded.geometry.resized_size, encoded.geometry.padded_size
        side = self._mask_side
        mask_11HW = torch.from_numpy(np.ascontiguousarray(mask_HW))[None, None].to(self.model.device).float()
        resized_11hw = functional.interpolate(mask_11HW, size=(h, w), mode="bilinear", antialias=True, align_corners=False)
        padded_11hw = functional.pad(resized_11hw, (0, size - w, 0, size - h))
        return dense_prompt(padded_11hw, side).to(self.model.dtype)

    @property
    def _mask_side(self) -> int:
        return 4 * cast(int, self.model.config.prompt_encoder_config.image_embedding_size)


class Sam2Prompter(SamPrompter):
    """A SAM 2; frames are stretched to a square, and a single click gets three masks of which the model's favourite is taken."""

    ambiguous_clicks = True

    def _pixels(self, frame_HWC: Tensor) -> tuple[Tensor, Geometry]:
        size = cast(int, self.model.config.prompt_encoder_config.image_size)
        pixels_3hw = stretched(frame_HWC, size, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
        height, width = frame_HWC.shape[:2]
        return pixels_3hw, Geometry((height, width), (size, size), (size, size))

    def _embed(self, pixels_13hw: Tensor) -> Any:
        return cast(Sam2Model, self.model).get_image_embeddings(pixels_13hw)

    @property
    def _mask_side(self) -> int:
        height, _ = self.model.prompt_encoder.mask_input_size
        return height


def point_inputs(prompt: Prompt, scale_2: Sequence[float], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Clicks and box of one object as the models take them, in pixels of the encoder's input."""
    inputs: dict[str, Tensor] = {}
    scale = torch.tensor(scale_2, device=device)
    if prompt.clicks:
        points_P2 = torch.tensor([(click.x, click.y) for click in prompt.clicks], device=device) * scale
        inputs["input_points"] = points_P2[None, None].to(dtype)
        inputs["input_labels"] = torch.tensor([[[int(click.adds) for click in prompt.clicks]]], device=device)
    if prompt.box is not None:
        box_22 = torch.tensor(prompt.box, device=device).reshape(2, 2) * scale
        inputs["input_boxes"] = box_22.reshape(1, 1, 4).to(dtype)
    return inputs


def dense_prompt(shares_N1HW: Tensor, side: int) -> Tensor:
    """Masks at the encoder's size (0 to 1) as logits at the decoder's, N1hw: what the prompt encoder takes as an earlier mask."""
    lowres_N1hw = functional.interpolate(shares_N1HW, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return (2 * lowres_N1hw - 1) * MASK_LOGIT
