"""VideoLISA (arXiv 2409.19603): one token segments the object on every frame.

    frames ─ tower + projector ─ tokens_BSPE ─ sparse-dense (3.2) ─ visual_BVE ─┐
    chat prompt ─ ids_BI ─ embeddings ──────────────────────────── splice ──────┴─ language model ─ hidden_BLE
    hidden state of the position that *predicts* [SEG] (3.3) ─ MLP ─ prompts_BNC ─ mask decoder on each frame ─ mask logits

The released 3.8B model and the bundled toy model are this class with different numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers.configuration_utils import PreTrainedConfig
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.sam.configuration_sam import SamConfig
from transformers.utils import ModelOutput

from saymask.lookup import suggest
from saymask.models.parts.auxiliary import RegionTargets
from saymask.models.parts.composite_config import CompositeConfig, debug_parts
from saymask.models.parts.reasoning import ClipMasks, ReasoningModel, clip_mask_losses
from saymask.models.parts.visual import TOKEN_LAYOUTS, VisualTokens
from saymask.models.videolisa.prompts import SYSTEM_PROMPT
from saymask.video.transforms import Geometry


class VideoLisaConfig(CompositeConfig):
    """Numbers of a VideoLISA model.

    Args:
        num_sparse, num_dense: S frames pooled to one token, D of them kept with all their tokens.
        token_layout: how frames become the language model's tokens, a key of `TOKEN_LAYOUTS`; the paper's is sparse_dense.
        token_per_frame: answer with one [SEG] for each dense frame, which segments that frame and those nearest to it; the paper's own
            models answer with one for all (False).
        frames_seen: "spread" over the video, or the "first" alone, as an image model would.
        parts: as of `CompositeConfig`; the losses' default weights are the paper's (3.4: 1, 2, 0.5).
    """

    model_type = "saymask-videolisa"

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        vision_config: dict[str, Any] | CLIPVisionConfig | None = None,
        mask_config: dict[str, Any] | SamConfig | None = None,
        num_sparse: int = 32,
        num_dense: int = 4,
        seg_token_id: int = 32038,
        system_prompt: str = SYSTEM_PROMPT,
        token_layout: str = "sparse_dense",
        token_per_frame: bool = False,
        frames_seen: str = "spread",
        **parts: Any,
    ):
        if not 1 <= num_dense < num_sparse:
            raise ValueError(f"num_dense = {num_dense} must be at least 1 and less than num_sparse = {num_sparse}")
        if token_layout not in TOKEN_LAYOUTS:
            raise ValueError(f"unknown token_layout {token_layout!r}; {suggest(token_layout, list(TOKEN_LAYOUTS))}")
        if frames_seen not in ("spread", "first"):
            raise ValueError(f"frames_seen must be spread or first, got {frames_seen!r}")
        self.num_sparse = num_sparse
        self.num_dense = num_dense
        self.token_layout = token_layout
        self.token_per_frame = token_per_frame
        self.frames_seen = frames_seen
        parts = {"seg_token_id": seg_token_id, "system_prompt": system_prompt, **parts}
        super().__init__(text_config, vision_config, mask_config, **parts)

    @property
    def num_visual(self) -> int:
        """V, the number of visual tokens in a chat."""
        side, patch = self.tower_size
        tokens_1SPE = torch.empty(1, self.num_sparse, (side // patch) ** 2, 0)
        return TOKEN_LAYOUTS[self.token_layout](tokens_1SPE, torch.zeros(1, self.num_dense, dtype=torch.long)).shape[1]

    @classmethod
    def debug(cls, **changes: Any) -> VideoLisaConfig:
        """The smallest numbers that exercise every part; a forward pass takes milliseconds on a CPU."""
        numbers: dict[str, Any] = {"num_sparse": 4, "num_dense": 2, "vision_select_layer": -1, "seg_token_id": 5, "system_prompt": ""}
        return cls(*debug_parts(), **(numbers | changes))


@dataclass
class VideoLisaOutput(ModelOutput):
    """Losses of one batch, unweighted but for `loss`."""

    loss: Tensor | None = None
    lm_loss: Tensor | None = None
    mask_bce_loss: Tensor | None = None
    mask_dice_loss: Tensor | None = None
    aux_loss: Tensor | None = None
    presence_loss: Tensor | None = None


class VideoLisaModel(ReasoningModel):
    """The network. `forward` is for training; inference calls the same parts through `VideoLisaSegmenter`."""

    config_class = VideoLisaConfig
    config: VideoLisaConfig
    base_model_prefix = "videolisa"

    def make_visual(self, config: VideoLisaConfig) -> VisualTokens:
        return VisualTokens(config.vision_config, config.vision_select_layer, config.text_config.hidden_size)

    def lay_out(self, tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
        """Tokens of S frames, D of them dense -> what the language model reads of the video, visual_BVE."""
        return TOKEN_LAYOUTS[self.config.token_layout](tokens_BSPE, dense_slots_BD)

    def forward(
        self,
        input_ids_BI: Tensor,
        labels_BI: Tensor,
        tower_pixels_BSChw: Tensor,
        dense_slots_BD: Tensor,
        mask_pixels_BDChw: Tensor,
        targets: Sequence[Tensor],
        geometries: Sequence[Geometry],
        is_absent_B: Tensor,
        regions: RegionTargets | None = None,
        seg_index_BD: Tensor | None = None,
    ) -> VideoLisaOutput:
        """One training step's losses.

        Args:
            input_ids_BI, labels_BI: right-padded chats and their labels (IGNORE_LABEL = not supervised).
            tower_pixels_BSChw: the S sparse frames as the tower wants them; dense_slots_BD: which of them keep all their tokens.
            mask_pixels_BDChw: the D supervised frames as the mask encoder wants them.
            targets, geometries: per clip, the supervised frames' true masks DHW (float, 0 or 1) at video size, and how they were resized.
            is_absent_B: nothing matches the query: an empty target that counts for BCE only.
            regions: truth for the auxiliary losses.
            seg_index_BD: which of its chat's [SEG] segments a supervised frame; None = all chats have one for all frames.
        """
        clips, num_masked = mask_pixels_BDChw.shape[:2]
        tokens_SPE = self.visual(rearrange(tower_pixels_BSChw, "b s c h w -> (b s) c h w"))
        tokens_BSPE = rearrange(tokens_SPE, "(b s) p e -> b s p e", b=clips)
        hidden_BLE, spliced = self.hidden_states(input_ids_BI, self.lay_out(tokens_BSPE, dense_slots_BD))
        lm_loss = self.lm_loss(hidden_BLE, spliced.labels(labels_BI))

        seg_hidden_NE, row_N = self.seg_hidden(input_ids_BI, hidden_BLE, spliced)
        nothing = len(row_N) == 0
        if nothing:
            # Processes that share out the parameters (FSDP2) must all have gradients of all of them: the first clip goes through the mask
            # head with some state, and counts for nothing.
            row_N, seg_hidden_NDE = row_N.new_zeros(1), hidden_BLE[:1, :1].expand(-1, num_masked, -1)
        else:
            row_N = row_N.unique_consecutive()  # from here on N are the chats that say [SEG]; all say it K times
            seg_hidden_NKE = rearrange(seg_hidden_NE, "(n k) e -> n k e", n=len(row_N))
            index_BD = row_N.new_zeros(clips, num_masked) if seg_index_BD is None else seg_index_BD
            seg_hidden_NDE = seg_hidden_NKE.gather(1, index_BD[row_N, :, None].expand(-1, -1, seg_hidden_NE.shape[-1]))
        rows = row_N.tolist()
        features_FChw = self.mask_head.encode(rearrange(mask_pixels_BDChw[row_N], "n d c h w -> (n d) c h w"))
        prompts_F11C = rearrange(self.prompt_projector(seg_hidden_NDE), "n d c -> (n d) 1 1 c")
        lowres_NDhw = rearrange(self.mask_head.decode(features_FChw, prompts_F11C), "(n d) 1 h w -> n d h w", d=num_masked)

        clips_N = [ClipMasks(lowres_NDhw[n], geometries[row], targets[row], bool(is_absent_B[row])) for n, row in enumerate(rows)]
        bce, dice = clip_mask_losses(clips_N)

        config = self.config
        loss = config.bce_loss_weight * bce + config.dice_loss_weight * dice
        aux = None
        if regions is not None and config.aux_loss_weight:
            aux = self.aux_heads(regions, row_N, tokens_BSPE, seg_hidden_NDE, features_FChw)
            loss = loss + config.aux_loss_weight * aux
        presence = None
        if config.presence_head:
            presence = self._presence_loss(seg_hidden_NDE, [targets[row] for row in rows])
            loss = loss + config.presence_loss_weight * presence
        if nothing:
            return VideoLisaOutput(loss=config.lm_loss_weight * lm_loss + 0 * loss, lm_loss=lm_loss)
        loss = loss + config.lm_loss_weight * lm_loss
        return VideoLisaOutput(loss=loss, lm_loss=lm_loss, mask_bce_loss=bce, mask_dice_loss=dice, aux_loss=aux, presence_loss=presence)

    def _presence_loss(self, seg_hidden_NDE: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Cross-entropy of what the [SEG] states say about an object being there, against its being seen on the supervised frames."""
        said_ND = self.presence_head(self.prompt_projector(seg_hidden_NDE))[..., 0].float()
        visible_ND = torch.stack([masks_DHW.flatten(1).any(1) for masks_DHW in targets]).any(1, keepdim=True).to(said_ND)
        return nn.functional.binary_cross_entropy_with_logits(said_ND, visible_ND.expand_as(said_ND))
