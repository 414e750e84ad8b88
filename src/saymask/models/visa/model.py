"""VISA (arXiv 2407.11325): a frame is chosen by the text, the object is segmented there, and a tracker finds it on the other frames.

    frames ─ CLIP tower ─ patches ─ three merges ─ projector ─ visual_KVE, V = 112 tokens a frame ──┐
    chat prompt: context frames, target frame, instruction ─ ids_BI ─ embeddings ── splice ─────────┴─ language model ─ hidden_BLE
    hidden state of the position that *predicts* [SEG] ─ MLP ─ prompt ─ mask decoder on the target frame ─ mask logits

The published model (Chat-UniVi with Segment Anything) and the bundled toy are this class with different numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers.configuration_utils import PreTrainedConfig
from transformers.utils import ModelOutput

from saymask.lookup import suggest
from saymask.models.parts.auxiliary import RegionTargets
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID
from saymask.models.parts.composite_config import CompositeConfig, debug_parts
from saymask.models.parts.reasoning import ClipMasks, ReasoningModel, clip_mask_losses
from saymask.models.parts.splice import Spliced, splice_images
from saymask.models.parts.visual import VisionTower
from saymask.models.parts.visual_prefix import VisualPrefix
from saymask.models.visa.context import CONTEXT_POLICIES
from saymask.models.visa.prompts import SYSTEM_PROMPT, WORDINGS, Wording
from saymask.models.visa.token_merging import NEIGHBOURS, RATES, merge_frame, num_clusters
from saymask.video.transforms import Geometry


class VisaConfig(CompositeConfig):
    """Numbers of a VISA model.

    Args:
        num_context: frames that the language model sees beside the target (T_r in the paper).
        context_policy: where they are, a key of `CONTEXT_POLICIES`; the paper's best is global-local.
        merge_rates, merge_neighbours: of a frame's merges, see `token_merging`.
        wording: how the model is spoken to, a key of `WORDINGS`.
        end_of_turn: the text that closes an answer, one token.
        parts: as of `CompositeConfig`; the losses' default weights are the paper's (1, 2, 0.5).
    """

    model_type = "saymask-visa"

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        vision_config: dict[str, Any] | PreTrainedConfig | None = None,
        mask_config: dict[str, Any] | PreTrainedConfig | None = None,
        num_context: int = 12,
        context_policy: str = "global-local",
        merge_rates: Sequence[float] = RATES,
        merge_neighbours: Sequence[int] = NEIGHBOURS,
        wording: str = "released",
        end_of_turn: str = "</s>",
        seg_token_id: int = 32000,
        system_prompt: str = SYSTEM_PROMPT,
        **parts: Any,
    ):
        if num_context < 0:
            raise ValueError(f"num_context = {num_context} must be 0 or more")
        if context_policy not in CONTEXT_POLICIES:
            raise ValueError(f"unknown context_policy {context_policy!r}; {suggest(context_policy, CONTEXT_POLICIES)}")
        if wording not in WORDINGS:
            raise ValueError(f"unknown wording {wording!r}; {suggest(wording, list(WORDINGS))}")
        if not merge_rates or len(merge_rates) != len(merge_neighbours):
            raise ValueError(f"merge_rates {list(merge_rates)} and merge_neighbours {list(merge_neighbours)} must be equally many")
        self.num_context = num_context
        self.context_policy = context_policy
        self.merge_rates = list(merge_rates)
        self.merge_neighbours = list(merge_neighbours)
        self.wording = wording
        self.end_of_turn = end_of_turn
        text_config = {"model_type": "llama"} if text_config is None else text_config
        parts = {"seg_token_id": seg_token_id, "system_prompt": system_prompt, **parts}
        super().__init__(text_config, vision_config, mask_config, **parts)  # pyrefly: ignore[bad-argument-type]

    @property
    def words(self) -> Wording:
        """The strings of the chats."""
        return WORDINGS[self.wording]

    @property
    def tokens_per_frame(self) -> int:
        """V, the number of visual tokens that stand for one frame."""
        side, patch = self.tower_size
        num_tokens, total = (side // patch) ** 2, 0
        for rate in self.merge_rates:
            num_tokens = num_clusters(num_tokens, rate)
            total += num_tokens
        return total

    @classmethod
    def debug(cls, **changes: Any) -> VisaConfig:
        """The smallest numbers that exercise every part; a forward pass takes milliseconds on a CPU."""
        numbers: dict[str, Any] = {"num_context": 3, "merge_rates": [3, 2], "merge_neighbours": [3, 3], "vision_select_layer": -1}
        numbers |= {"seg_token_id": 5, "system_prompt": "", "wording": "brief", "end_of_turn": "<|end|>"}
        return cls(*debug_parts(), **(numbers | changes))


class MergedTokens(VisionTower):
    """A frame's patches merged to fewer, and a linear projector behind the merges."""

    def __init__(self, config: VisaConfig):
        super().__init__(config.vision_config, config.vision_select_layer)
        self.rates, self.neighbours = config.merge_rates, config.merge_neighbours
        self.projector = nn.Linear(config.vision_config.hidden_size, config.text_config.hidden_size)

    def merge(self, patches_TPC: Tensor) -> Tensor:
        """Patches of T frames -> tokens_TVE: those of all merges, one after the other."""
        return self.projector(torch.cat(merge_frame(patches_TPC, self.rates, self.neighbours), dim=1))

    def forward(self, pixels_TChw: Tensor) -> Tensor:
        """Normalised pixels -> tokens_TVE."""
        return self.merge(self.patches(pixels_TChw))


@dataclass
class VisaOutput(ModelOutput):
    """Losses of one batch, unweighted but for `loss`."""

    loss: Tensor | None = None
    lm_loss: Tensor | None = None
    mask_bce_loss: Tensor | None = None
    mask_dice_loss: Tensor | None = None
    aux_loss: Tensor | None = None


class VisaModel(ReasoningModel):
    """The network. `forward` is for training; inference calls the same parts through `VisaSegmenter`."""

    config_class = VisaConfig
    config: VisaConfig
    base_model_prefix = "visa"

    def make_visual(self, config: VisaConfig) -> MergedTokens:
        return MergedTokens(config)

    def read_chats(self, input_ids_BI: Tensor, images: Sequence[Tensor]) -> tuple[Tensor, Spliced]:
        """Last-layer states hidden_BLE of chats, for each visual_KVE of its images."""
        text_embeds_BIE = self.embed_text(input_ids_BI)
        spliced = splice_images(input_ids_BI, text_embeds_BIE, [visual_KVE.to(text_embeds_BIE.dtype) for visual_KVE in images])
        return self.read_spliced(spliced), spliced

    def read_opening(self, opening_ids_P: Tensor, visual_KVE: Tensor) -> VisualPrefix:
        """Read what stands before every query: the chat's opening with its frames."""
        text_embeds_1PE = self.embed_text(opening_ids_P[None])
        return self.read_embedded_prefix(splice_images(opening_ids_P[None], text_embeds_1PE, [visual_KVE.to(text_embeds_1PE)]).embeds_BLE)

    def forward(
        self,
        input_ids: Sequence[Tensor],
        labels: Sequence[Tensor],
        tower_pixels: Sequence[Tensor],
        mask_pixels_BChw: Tensor,
        targets: Sequence[Tensor],
        geometries: Sequence[Geometry],
        is_absent: Sequence[Tensor],
        regions: RegionTargets | None = None,
    ) -> VisaOutput:
        """One training step's losses; of each of the B clips there are Q chats, and N masks of those that say [SEG].

        Args:
            input_ids, labels: chats ids_QI and their labels, right-padded (IGNORE_LABEL = not supervised). A chat with K placeholders
                shows the clip's first K frames.
            tower_pixels: pixels_SChw of the clip's frames as the tower wants them: context in the order of time, then the target.
            mask_pixels_BChw: the target frame as the mask encoder wants it (any pixels where no chat says [SEG]).
            targets, geometries: true masks_NHW of the target frame (float, 0 or 1) at video size, and how it was resized.
            is_absent: for each mask, whether nothing matches the query: an empty target that counts for BCE only (bool N).
            regions: truth for the auxiliary losses, where every clip has one mask at most.
        """
        merged = cast(MergedTokens, self.visual)
        patches_FPC = merged.patches(torch.cat(list(tower_pixels)))
        visual = merged.merge(patches_FPC).split([len(pixels) for pixels in tower_pixels])
        clip_of_R = torch.arange(len(input_ids)).repeat_interleave(torch.tensor([len(ids) for ids in input_ids])).tolist()
        input_ids_RI = _stack_rows(input_ids, 0)
        num_images_R = (input_ids_RI == IMAGE_TOKEN_ID).sum(1).tolist()
        images = [visual[clip][:count] for clip, count in zip(clip_of_R, num_images_R, strict=True)]
        hidden_RLE, spliced = self.read_chats(input_ids_RI, images)
        lm_loss = self.lm_loss(hidden_RLE, spliced.labels(_stack_rows(labels, IGNORE_LABEL)))

        seg_hidden_NE, row_N = self.seg_hidden(input_ids_RI, hidden_RLE, spliced)
        clip_N = [clip_of_R[row] for row in row_N.tolist()]
        nothing = not clip_N
        if nothing:
            # Processes that share out the parameters (FSDP2) must all have gradients of all of them: the first clip goes through the mask
            # head with some state, and counts for nothing.
            clip_N, seg_hidden_NE = [0], hidden_RLE[:1, 0]
        masked_clips = list(dict.fromkeys(clip_N))
        place_N = torch.tensor([masked_clips.index(clip) for clip in clip_N], device=seg_hidden_NE.device)
        features_NChw = self.mask_head.encode(mask_pixels_BChw[masked_clips])[place_N]
        lowres_N1hw = self.mask_head.decode(features_NChw, self.prompt_projector(seg_hidden_NE)[:, None, None])
        config = self.config
        loss = lowres_N1hw.sum() * 0
        aux = bce = dice = None
        if not nothing:
            number = {clip: iter(range(len(targets[clip]))) for clip in masked_clips}
            masks = [
                ClipMasks(lowres_1hw, geometries[clip], targets[clip][i : i + 1], bool(is_absent[clip][i]))
                for lowres_1hw, clip, i in zip(lowres_N1hw, clip_N, [next(number[clip]) for clip in clip_N], strict=True)
            ]
            bce, dice = clip_mask_losses(masks)
            loss = config.bce_loss_weight * bce + config.dice_loss_weight * dice
        if regions is not None and config.aux_loss_weight:
            tokens_BSPE = merged.projector(patches_FPC).unflatten(0, (len(tower_pixels), -1))
            clips = torch.tensor(clip_N, device=seg_hidden_NE.device)
            aux = self.aux_heads(regions, clips, tokens_BSPE, seg_hidden_NE[:, None], features_NChw)
            loss = loss + config.aux_loss_weight * (0 * aux if nothing else aux)
        loss = loss + config.lm_loss_weight * lm_loss
        return VisaOutput(loss=loss, lm_loss=lm_loss, mask_bce_loss=bce, mask_dice_loss=dice, aux_loss=aux)


def _stack_rows(of_clips: Sequence[Tensor], padding: int) -> Tensor:
    """Chats of all clips as rows of one length."""
    return pad_sequence([row for rows in of_clips for row in rows], batch_first=True, padding_value=padding)
