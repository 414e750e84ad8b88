"""What a prompt says about every place of a frame before the network has looked: logits, 0 where it says nothing.

Inside a click yes or no, outside the box no, elsewhere the mask to correct.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LOGIT = 10.0
"""Yes; no is its negative. SAM 2 gives masks to its decoder with the same numbers."""
CLICK_RADIUS = 1.5
"""In cells of the decoder's grid."""


def mask_logits(shares_M1HW: Tensor, side: int) -> Tensor:
    """Masks (0 to 1) at the encoder's size -> logits at the decoder's, M1hw."""
    shares_M1hw = functional.interpolate(shares_M1HW, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return (2 * shares_M1hw - 1) * LOGIT


def draw_prompts(
    logits_M1hw: Tensor, size: int, points_MP2: Tensor | None = None, labels_MP: Tensor | None = None, boxes_M4: Tensor | None = None
) -> Tensor:
    """Draw boxes, then clicks into logits.

    Args:
        logits_M1hw: of M objects, e.g. those of their masks, or 0.
        size: side of the encoder's input, in whose pixels the others are.
        points_MP2, labels_MP: x y of clicks; 1 adds, 0 takes away.
        boxes_M4: x0 y0 x1 y1.
    """
    side = logits_M1hw.shape[-1]
    centre_s = (torch.arange(side, device=logits_M1hw.device) + 0.5) * (size / side)
    x_1w, y_h1 = centre_s[None, :], centre_s[:, None]
    drawn_Mhw = logits_M1hw[:, 0]
    if boxes_M4 is not None:
        x0, y0, x1, y1 = (edge_M[:, None, None] for edge_M in boxes_M4.unbind(1))
        inside_Mhw = (x_1w >= x0) & (x_1w <= x1) & (y_h1 >= y0) & (y_h1 <= y1)
        drawn_Mhw = drawn_Mhw.where(inside_Mhw, -LOGIT)
    if points_MP2 is not None and labels_MP is not None:
        radius = CLICK_RADIUS * size / side
        for point_M2, label_M in zip(points_MP2.unbind(1), labels_MP.unbind(1), strict=True):
            x, y = (point_M2[:, axis, None, None] for axis in (0, 1))
            near_Mhw = (x_1w - x) ** 2 + (y_h1 - y) ** 2 <= radius**2
            drawn_Mhw = torch.where(near_Mhw, ((2 * label_M - 1) * LOGIT)[:, None, None].to(drawn_Mhw.dtype), drawn_Mhw)
    return drawn_Mhw[:, None]
