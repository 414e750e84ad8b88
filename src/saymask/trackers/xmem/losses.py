"""What XMem is trained with: cross-entropy over the hardest pixels, and soft Dice, both on aggregated probabilities.

`nn.losses` holds losses of independent masks; here background and objects share each pixel. K = background and N objects.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def bootstrapped_cross_entropy(prob_BKHW: Tensor, classes_BHW: Tensor, keep_share: float) -> Tensor:
    """Cross-entropy, averaged over the hardest pixels of each picture.

    Args:
        prob_BKHW: float32 probabilities that sum to 1 over K.
        classes_BHW: the true class of each pixel, 0 ... K - 1.
        keep_share: part of the pixels that count, above 0 and at most 1.
    """
    per_pixel_BHW = functional.nll_loss(prob_BKHW.log(), classes_BHW, reduction="none")
    num_kept = max(1, int(keep_share * classes_BHW[0].numel()))
    return per_pixel_BHW.flatten(1).topk(num_kept, dim=1).values.mean()


def soft_dice(prob_NHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """1 - (2 * overlap + 1) / (sum of areas + 1), averaged over masks; 0 if there are none.

    The 1 makes an empty mask cost nothing where nothing is predicted.
    """
    prob_NX, masks_NX = prob_NHW.flatten(1), masks_NHW.flatten(1)
    overlap_N = (prob_NX * masks_NX).sum(1)
    dice_N = (2 * overlap_N + 1) / (prob_NX.sum(1) + masks_NX.sum(1) + 1)
    return (1 - dice_N).sum() / max(1, len(dice_N))
