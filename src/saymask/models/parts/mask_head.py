"""Segment Anything's pieces, steered by embeddings instead of clicks.

Frames -> features_TChw (image encoder), features + prompts_NKC -> lowres_TNhw mask logits (mask decoder, first mask token). The prompt
encoder contributes the "no mask" embedding and the positional encoding; its point, box and mask weights are kept so that released
checkpoints load completely.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers.models.sam.configuration_sam import SamConfig
from transformers.models.sam.modeling_sam import SamModel

from saymask.models.parts.sam_attention import attend_in_blocks


class MaskHead(nn.Module):
    """Wraps `SamModel`; `channels` is C, the width of features and prompts."""

    def __init__(self, config: SamConfig):
        super().__init__()
        self.sam = SamModel(config)
        # The positional encoding exists once, as in the original; transformers keeps a second handle for clicks, which we have not.
        del self.sam.prompt_encoder.shared_embedding
        attend_in_blocks(self.sam.vision_encoder)
        self.channels: int = self.sam.prompt_encoder.no_mask_embed.embedding_dim

    def encode(self, pixels_TChw: Tensor) -> Tensor:
        """Normalised, padded pixels -> features_TChw."""
        return self.sam.vision_encoder(pixels_TChw).last_hidden_state

    def decode(self, features_TChw: Tensor, prompts_TNKC: Tensor) -> Tensor:
        """Mask logits of N objects on T frames, each frame with its own prompts -> lowres_TNhw (four times finer than the features)."""
        frames, channels, height, width = features_TChw.shape
        no_mask_TChw = self.sam.prompt_encoder.no_mask_embed.weight.reshape(1, channels, 1, 1).expand(frames, -1, height, width)
        position_TChw = self.sam.get_image_wide_positional_embeddings().expand(frames, -1, -1, -1)
        mask_logits, _ = self.sam.mask_decoder(
            image_embeddings=features_TChw,
            image_positional_embeddings=position_TChw,
            sparse_prompt_embeddings=prompts_TNKC,
            dense_prompt_embeddings=no_mask_TChw,
            multimask_output=False,
        )
        return mask_logits[:, :, 0]
