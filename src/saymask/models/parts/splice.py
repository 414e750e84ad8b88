"""Visual tokens put into a token sequence, with every position recorded.

Each row of ids holds exactly one IMAGE_TOKEN_ID; V visual embeddings take its place, so a row of L ids becomes L - 1 + V embeddings.
Nothing downstream computes a position by arithmetic on token counts: it asks `Spliced` where a text token went.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID


@dataclass(frozen=True)
class Spliced:
    """`embeds_BLE` to feed, and `position_BI`: where text token I of row B ended up (the placeholder: its first visual token)."""

    embeds_BLE: Tensor
    position_BI: Tensor

    def labels(self, labels_BI: Tensor) -> Tensor:
        """Spread text labels over the spliced sequence; visual positions are ignored."""
        B, L, _ = self.embeds_BLE.shape
        spread_BL = labels_BI.new_full((B, L), IGNORE_LABEL)
        return spread_BL.scatter(1, self.position_BI, labels_BI)


def splice(input_ids_BI: Tensor, text_embeds_BIE: Tensor, visual_BVE: Tensor) -> Spliced:
    """Replace each row's placeholder by its visual embeddings.

    Args:
        input_ids_BI: ids, right-padded, one IMAGE_TOKEN_ID per row.
        text_embeds_BIE: embeddings of the ids (any value at the placeholder).
        visual_BVE: V visual embeddings per row.

    Raises:
        ValueError: a row without a placeholder or with several.
    """
    is_image_BI = input_ids_BI == IMAGE_TOKEN_ID
    counts = is_image_BI.sum(1)
    if (counts != 1).any():
        row = int((counts != 1).nonzero()[0])
        raise ValueError(f"row {row} has {int(counts[row])} image placeholders; exactly one is needed")
    num_ids, num_visual = input_ids_BI.shape[1], visual_BVE.shape[1]
    image_at_B1 = is_image_BI.int().argmax(1, keepdim=True)
    slot_1L = torch.arange(num_ids - 1 + num_visual, device=input_ids_BI.device)[None]
    from_visual_BL = (slot_1L >= image_at_B1) & (slot_1L < image_at_B1 + num_visual)
    text_source_BL = torch.where(slot_1L < image_at_B1, slot_1L, slot_1L - num_visual + 1)
    source_BL = torch.where(from_visual_BL, num_ids + slot_1L - image_at_B1, text_source_BL)
    both = torch.cat([text_embeds_BIE, visual_BVE], dim=1)
    embeds_BLE = both.gather(1, source_BL[..., None].expand(-1, -1, both.shape[-1]))
    index_1I = torch.arange(num_ids, device=input_ids_BI.device)[None]
    position_BI = index_1I + (num_visual - 1) * (index_1I > image_at_B1)
    return Spliced(embeds_BLE, position_BI)
