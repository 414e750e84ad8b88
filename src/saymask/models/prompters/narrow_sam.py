"""A narrow SAM for small worlds: clicks also read what lies under them, and prompts are drawn for the decoder.

embeddings_MCgg ─┬─ under every click ─ linear ─┐
clicks, box ─────┼─ SAM's prompt encoder ───────┴─ sparse ─┐
earlier mask ────┴─ drawn prompts ─ dense ─────────────────┴─ SAM's mask decoder ─ lowres_Mhw

The published SAM learns from a billion masks to find a patch by the code of a click's coordinates. A narrow one has not the time: here a
click brings the image features of its place as well, and the dense prompt shows where clicks and boxes are.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam.configuration_sam import SamConfig
from transformers.models.sam.modeling_sam import SamModel

from saymask.models.prompters.prior import draw_prompts


class NarrowSam(SamModel):
    """SAM and one linear layer; `masks` is its only way to masks."""

    def __init__(self, config: SamConfig):
        super().__init__(config)
        width = cast(Any, config.prompt_encoder_config).hidden_size
        self.click_reader = nn.Linear(width, width)
        self.post_init()

    @property
    def size(self) -> int:
        """Side of the square input in pixels."""
        return cast(Any, self.config.vision_config).image_size

    @property
    def side(self) -> int:
        """Of the decoder's grid, in which earlier masks are given."""
        return 4 * cast(Any, self.config.prompt_encoder_config).image_embedding_size

    def masks(
        self,
        embeddings_MCgg: Tensor,
        earlier_M1hw: Tensor,
        points_MP2: Tensor | None = None,
        labels_MP: Tensor | None = None,
        boxes_M4: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Masks of M objects, each on its own copy of its frame's embeddings.

        Args:
            embeddings_MCgg: from `get_image_embeddings`.
            earlier_M1hw: logits of the masks to correct (`prior.mask_logits`), 0 where nothing is known.
            points_MP2, labels_MP: clicks x y in pixels of the input; 1 adds, 0 takes away.
            boxes_M4: x0 y0 x1 y1.

        Returns:
            Logits lowres_Mhw, and the IoU that they are expected to have.
        """
        sparse_M1KC, dense_MCgg = self.prompt_encoder(
            input_points=None if points_MP2 is None else points_MP2[:, None],
            input_labels=None if labels_MP is None else labels_MP[:, None],
            input_boxes=None if boxes_M4 is None else boxes_M4[:, None],
            input_masks=draw_prompts(earlier_M1hw, self.size, points_MP2, labels_MP, boxes_M4).to(embeddings_MCgg.dtype),
        )
        if points_MP2 is not None and labels_MP is not None:
            read_MPC = self.click_reader(_under(embeddings_MCgg, points_MP2, self.size)) * (2 * labels_MP - 1)[..., None]
            others = sparse_M1KC.shape[2] - read_MPC.shape[1]
            sparse_M1KC = sparse_M1KC + functional.pad(read_MPC, (0, 0, 0, others))[:, None]
        logits_M11hw, iou_M11 = self.mask_decoder(
            image_embeddings=embeddings_MCgg,
            image_positional_embeddings=self.get_image_wide_positional_embeddings().expand(len(embeddings_MCgg), -1, -1, -1),
            sparse_prompt_embeddings=sparse_M1KC.to(embeddings_MCgg.dtype),
            dense_prompt_embeddings=dense_MCgg,
            multimask_output=False,
        )
        return logits_M11hw[:, 0, 0], iou_M11[:, 0, 0]


def _under(embeddings_MCgg: Tensor, points_MP2: Tensor, size: int) -> Tensor:
    """Embeddings at the centres of the clicked pixels, between patches a mixture: MPC."""
    grid_M1P2 = (2 * (points_MP2 + 0.5) / size - 1)[:, None].to(embeddings_MCgg.dtype)
    read_MC1P = functional.grid_sample(embeddings_MCgg, grid_M1P2, padding_mode="border", align_corners=False)
    return read_MC1P[:, :, 0].transpose(1, 2)
