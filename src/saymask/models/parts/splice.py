"""Visual tokens put into a token sequence, with every position recorded.

V visual embeddings take the place of every IMAGE_TOKEN_ID, so a row of I ids with K placeholders becomes I + K (V - 1) embeddings.
Nothing downstream computes a position by arithmetic on token counts: it asks `Spliced` where a text token went.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Replace each row's only placeholder by its visual embeddings.

    Args:
        input_ids_BI: ids, right-padded, one IMAGE_TOKEN_ID per row.
        text_embeds_BIE: embeddings of the ids (any value at the placeholder).
        visual_BVE: V visual embeddings per row.

    Raises:
        ValueError: a row without a placeholder or with several.
    """
    counts = (input_ids_BI == IMAGE_TOKEN_ID).sum(1)
    if (counts != 1).any():
        row = int((counts != 1).nonzero()[0])
        raise ValueError(f"row {row} has {int(counts[row])} image placeholders; exactly one is needed")
    return splice_images(input_ids_BI, text_embeds_BIE, list(visual_BVE[:, None]))


def splice_images(input_ids_BI: Tensor, text_embeds_BIE: Tensor, images: Sequence[Tensor]) -> Spliced:
    """Replace every placeholder by the embeddings of its image.

    Args:
        input_ids_BI: ids, right-padded.
        text_embeds_BIE: embeddings of the ids (any value at a placeholder).
        images: for each row, visual_KVE of its K images, one for each of its placeholders in order; V is the same for all.

    Raises:
        ValueError: a row whose placeholders and images differ in number.
    """
    is_image_BI = input_ids_BI == IMAGE_TOKEN_ID
    for row, (count, visual_KVE) in enumerate(zip(is_image_BI.sum(1).tolist(), images, strict=True)):
        if count != len(visual_KVE):
            raise ValueError(f"row {row} has {count} image placeholders for {len(visual_KVE)} images")
    visual_KVE = torch.cat(list(images))
    num_rows, num_ids = input_ids_BI.shape
    num_visual = visual_KVE.shape[1]
    counts_BI = is_image_BI.cumsum(1)
    index_1I = torch.arange(num_ids, device=input_ids_BI.device)[None]
    position_BI = index_1I + (num_visual - 1) * (counts_BI - is_image_BI.long())
    length = num_ids + (num_visual - 1) * int(counts_BI[:, -1].max())
    row_BI = torch.arange(num_rows, device=input_ids_BI.device)[:, None].expand_as(position_BI)
    slot_KV = position_BI[is_image_BI][:, None] + torch.arange(num_visual, device=input_ids_BI.device)
    # Rows with fewer images than another are shorter; what is behind them is padding like that of the ids.
    embeds_BLE = text_embeds_BIE.new_zeros(num_rows, length, text_embeds_BIE.shape[-1])
    embeds_BLE = embeds_BLE.index_put((row_BI[~is_image_BI], position_BI[~is_image_BI]), text_embeds_BIE[~is_image_BI])
    embeds_BLE = embeds_BLE.index_put((row_BI[is_image_BI][:, None].expand_as(slot_KV), slot_KV), visual_KVE)
    return Spliced(embeds_BLE, position_BI)
