"""EdgeTAM (arXiv 2501.07256) as published in `transformers`: SAM 2 with a light image encoder and a compressed memory."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoModel


class EdgeTam(EdgeTamVideoModel):
    """The library's model, which cannot yet step where one object gets a mask and another is tracked: their scores differ in rank."""

    def _use_mask_as_output(self, *args: Any, **kwargs: Any) -> Any:
        output = super()._use_mask_as_output(*args, **kwargs)
        output.object_score_logits = cast(Tensor, output.object_score_logits).reshape(-1, 1, 1)  # as those of tracked frames
        return output
