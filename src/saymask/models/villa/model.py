"""ViLLa (arXiv 2407.14500), as far as public text says what it is: several objects in one answer, tokens of frames and of the video.

    frames ─ tower + projector ─ tokens + time code ─ context frames pooled, key frames whole ─ visual_BVE ─┐
    question ─ embeddings ─ context synthesizer (reads the key frames) ─ [FRM] per key frame ─ splice ──────┴─ language model
    state that predicts the i-th [SEG] ─ video token S_v[i];  with the state of the t-th [FRM] ─ frame token S_f[i, t]
    temporal synchronizer ─ U[i], Q[i, t] ─ mask decoder: key frame t reads (Q[i, t], U[i]), any other frame U[i]
                                          └ presence of object i in the video and on frame t

The toy model and the full one are this class with different numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import ModelOutput

from saymask.models.parts.chat import IMAGE_TOKEN_ID
from saymask.models.parts.reasoning import ClipMasks, ReasoningModel, clip_mask_losses
from saymask.models.parts.splice import splice
from saymask.models.parts.visual import VisualTokens
from saymask.models.villa.attention import Attention, TimeCode
from saymask.models.villa.config import VillaConfig
from saymask.models.villa.context_synthesizer import ContextSynthesizer
from saymask.models.villa.group_matching import match_groups
from saymask.models.villa.temporal_synchronizer import TemporalSynchronizer
from saymask.video.transforms import Geometry


@dataclass
class VillaOutput(ModelOutput):
    """Losses of one batch, unweighted but for `loss`."""

    loss: Tensor | None = None
    lm_loss: Tensor | None = None
    mask_bce_loss: Tensor | None = None
    mask_dice_loss: Tensor | None = None
    video_mask_loss: Tensor | None = None
    presence_loss: Tensor | None = None


@dataclass(frozen=True)
class ObjectTargets:
    """Truth about one chat's N objects: masks_NDHW (float) on the supervised key frames at video size, visible_NK (float) on all key
    frames, the phrase each belongs to, and whether nothing matches the query although the answer says so."""

    masks_NDHW: Tensor
    visible_NK: Tensor
    group_N: tuple[int, ...]
    is_absent: bool


@dataclass(frozen=True)
class ObjectTokens:
    """What N objects became: tokens of the key frames and of the video, and their presence logits."""

    frames_NKC: Tensor
    video_NC: Tensor
    frame_presence_NK: Tensor
    video_presence_N: Tensor


class SegmentTime(nn.Module):
    """One layer in which each patch sees itself on the other frames of its segment; stands in for a video encoder's temporal attention."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.over_time = Attention(width, heads)
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, tokens_BKPE: Tensor, segment_BK: Tensor) -> Tensor:
        normed_BPKE = rearrange(self.norm(tokens_BKPE), "b k p e -> b p k e")
        other_B11KK = (segment_BK[:, :, None] != segment_BK[:, None])[:, None, None]
        bias = torch.zeros(other_B11KK.shape, device=segment_BK.device).masked_fill(other_B11KK, float("-inf"))
        return tokens_BKPE + self.scale * rearrange(self.over_time(normed_BPKE, normed_BPKE, bias), "b p k e -> b k p e")


class VillaModel(ReasoningModel):
    """The network. `forward` is for training; inference calls the same parts through `VillaSegmenter`."""

    config_class = VillaConfig
    config: VillaConfig
    base_model_prefix = "villa"

    def __init__(self, config: VillaConfig):
        super().__init__(config)
        # The common initialisation suits wide layers; these may be narrow. Frame tokens begin as their video token.
        for part in (
            self.time_code,
            self.frame_projector,
            *filter(None, (self.segment_time, self.context_synthesizer, self.temporal_synchronizer)),
        ):
            for layer in part.modules():
                if isinstance(layer, nn.Linear):
                    layer.reset_parameters()
        nn.init.normal_(self.time_code.linear.weight, std=0.01)
        for parameter in self.frame_projector[-1].parameters():
            nn.init.zeros_(parameter)

    def make_visual(self, config: VillaConfig) -> VisualTokens:
        return VisualTokens(config.vision_config, config.vision_select_layer, config.text_config.hidden_size)

    def add_parts(self, config: VillaConfig) -> None:
        width, channels = config.text_config.hidden_size, self.mask_head.channels
        self.time_code = TimeCode(width)
        self.frame_projector = nn.Sequential(nn.Linear(2 * width, channels // 2), nn.ReLU(), nn.Linear(channels // 2, channels))
        self.segment_time = SegmentTime(width, config.context_heads) if config.temporal_layer else None
        self.context_synthesizer = self.temporal_synchronizer = None
        if config.context_synthesizer:
            self.context_synthesizer = ContextSynthesizer(width, config.context_width, config.context_heads)
        if config.temporal_synchronizer:
            numbers = (config.sync_width, config.sync_heads, config.sync_layers, config.local_window)
            self.temporal_synchronizer = TemporalSynchronizer(channels, *numbers)

    # -- what the language model reads ----------------------------------------------------------------------------------------------

    def key_tokens(self, tokens_BKPE: Tensor, fraction_BK: Tensor, segment_BK: Tensor) -> Tensor:
        """Patches of the key frames as the language model reads them: pooled in squares, with their segment seen and their time coded."""
        pool, side = self.config.token_pool, round(tokens_BKPE.shape[2] ** 0.5)
        tokens_BKPE = reduce(tokens_BKPE, "b k (h i w j) e -> b k (h w) e", "mean", h=side // pool, i=pool, j=pool)
        if self.segment_time is not None:
            tokens_BKPE = self.segment_time(tokens_BKPE, segment_BK)
        return tokens_BKPE + self.time_code(fraction_BK)[:, :, None].to(tokens_BKPE)

    def lay_out(self, context_BGPE: Tensor, context_fraction_BG: Tensor, key_BKPE: Tensor) -> Tensor:
        """Pooled tokens of the context frames, then the patches of the key frames -> visual_BVE."""
        context_BGE = context_BGPE.mean(dim=2)
        context_BGE = context_BGE + self.time_code(context_fraction_BG).to(context_BGE)
        return torch.cat([context_BGE, rearrange(key_BKPE, "b k p e -> b (k p) e")], dim=1)

    def read_query(self, ids_BI: Tensor, is_query_BI: Tensor, key_BKPE: Tensor, fraction_BK: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embeddings of a chat's text: the query's words have read the key frames, registers know their frame's time.

        Returns:
            embeds_BIE, and the relevance_BK that the context synthesizer gave the key frames.
        """
        embeds_BIE = self.language_model.get_input_embeddings()(ids_BI.masked_fill(ids_BI == IMAGE_TOKEN_ID, 0))
        relevance_BK = None
        if self.context_synthesizer is not None:
            embeds_BIE, relevance_BK = self.context_synthesizer(embeds_BIE, is_query_BI, key_BKPE, fraction_BK)
        row_F, at_F = (ids_BI == self.config.frame_token_id).nonzero(as_tuple=True)
        code_FE = self.time_code(fraction_BK).flatten(0, 1).to(embeds_BIE)
        return embeds_BIE.index_put((row_F, at_F), code_FE, accumulate=True), relevance_BK

    def is_query(self, ids_BI: Tensor) -> Tensor:
        """Which ids of a chat, or of what follows the video in it, are the query's words: those in front of the first register."""
        after_video_BI = ~(ids_BI == IMAGE_TOKEN_ID).flip(1).cummax(1).values.flip(1)
        return after_video_BI & ~(ids_BI == self.config.frame_token_id).cummax(1).values

    # -- objects --------------------------------------------------------------------------------------------------------------------

    def object_tokens(self, seg_hidden_NE: Tensor, register_NKE: Tensor, row_N: Tensor, segment_NK: Tensor) -> ObjectTokens:
        """From the states of N [SEG], and of their chats' K registers, to tokens that steer the mask decoder."""
        video_NC = self.prompt_projector(seg_hidden_NE)
        both_NKE = torch.cat([seg_hidden_NE[:, None].expand_as(register_NKE), register_NKE], dim=-1)
        frames_NKC = video_NC[:, None] + self.frame_projector(both_NKE)
        if self.temporal_synchronizer is not None:
            frames_NKC, video_NC = self.temporal_synchronizer(frames_NKC, video_NC, row_N, segment_NK)
        return ObjectTokens(frames_NKC, video_NC, self.presence_head(frames_NKC)[..., 0], self.presence_head(video_NC)[..., 0])

    def forward(
        self,
        input_ids_BI: Tensor,
        labels_BI: Tensor,
        tower_pixels_BSChw: Tensor,
        fraction_BS: Tensor,
        segment_BK: Tensor,
        mask_pixels_BDChw: Tensor,
        supervised_BD: Tensor,
        targets: Sequence[ObjectTargets],
        geometries: Sequence[Geometry],
    ) -> VillaOutput:
        """One training step's losses.

        Args:
            input_ids_BI, labels_BI: right-padded chats and their labels (IGNORE_LABEL = not supervised).
            tower_pixels_BSChw, fraction_BS: context frames, then K key frames, as the tower wants them, and their places in the video.
            segment_BK: the key segment of each key frame.
            mask_pixels_BDChw, supervised_BD: the D key frames whose masks are supervised as the mask encoder wants them; their places in K.
            targets: truth about each chat's objects, one for each of its [SEG].
            geometries: how each clip's frames were resized.
        """
        config, (clips, num_frames) = self.config, tower_pixels_BSChw.shape[:2]
        num_context = num_frames - segment_BK.shape[1]
        tokens_SPE = self.visual(rearrange(tower_pixels_BSChw, "b s c h w -> (b s) c h w"))
        tokens_BSPE = rearrange(tokens_SPE, "(b s) p e -> b s p e", b=clips)
        fraction_BK = fraction_BS[:, num_context:]
        key_BKPE = self.key_tokens(tokens_BSPE[:, num_context:], fraction_BK, segment_BK)
        visual_BVE = self.lay_out(tokens_BSPE[:, :num_context], fraction_BS[:, :num_context], key_BKPE)
        embeds_BIE, _ = self.read_query(input_ids_BI, self.is_query(input_ids_BI), key_BKPE, fraction_BK)
        spliced = splice(input_ids_BI, embeds_BIE, visual_BVE.to(embeds_BIE))
        hidden_BLE = self.language_model.model(inputs_embeds=spliced.embeds_BLE, use_cache=False).last_hidden_state
        lm_loss = self.lm_loss(hidden_BLE, spliced.labels(labels_BI))

        seg_hidden_NE, row_N = self.seg_hidden(input_ids_BI, hidden_BLE, spliced)
        nothing = len(row_N) == 0
        if nothing:  # processes that share out the parameters must all have gradients of all of them; this counts for nothing
            row_N, seg_hidden_NE = row_N.new_zeros(1), hidden_BLE[0, :1]
            masks_1DHW = torch.zeros(1, mask_pixels_BDChw.shape[1], *geometries[0].original_size, device=hidden_BLE.device)
            empty = ObjectTargets(masks_1DHW, segment_BK[:1].float() * 0, (0,), True)
            targets = [empty, *targets[1:]]
        at_F = (input_ids_BI == config.frame_token_id).nonzero(as_tuple=True)
        register_BKE = rearrange(hidden_BLE[at_F[0], spliced.position_BI[at_F]], "(b k) e -> b k e", b=clips)
        objects = self.object_tokens(seg_hidden_NE, register_BKE[row_N], row_N, segment_BK[row_N])
        lowres_NDhw, video_lowres_NDhw = self._masks(objects, row_N, mask_pixels_BDChw, supervised_BD)

        truth_NDHW, visible_NK, absent_N = self._matched(lowres_NDhw, objects, row_N, targets, geometries)
        bce, dice = self._mask_losses(lowres_NDhw, truth_NDHW, absent_N, row_N, geometries)
        video_bce, video_dice = self._mask_losses(video_lowres_NDhw, truth_NDHW, absent_N, row_N, geometries)
        video_loss = config.bce_loss_weight * video_bce + config.dice_loss_weight * video_dice
        said = torch.cat([objects.frame_presence_NK, objects.video_presence_N[:, None]], dim=1).float()
        true = torch.cat([visible_NK, visible_NK.amax(1, keepdim=True)], dim=1)
        presence = functional.binary_cross_entropy_with_logits(said, true)
        loss = config.bce_loss_weight * bce + config.dice_loss_weight * dice
        loss = loss + config.video_mask_weight * video_loss + config.presence_loss_weight * presence
        if nothing:
            return VillaOutput(loss=config.lm_loss_weight * lm_loss + 0 * loss, lm_loss=lm_loss)
        loss = loss + config.lm_loss_weight * lm_loss
        return VillaOutput(loss, lm_loss, bce, dice, video_loss, presence)

    def _masks(self, objects: ObjectTokens, row_N: Tensor, mask_pixels_BDChw: Tensor, supervised_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits of every object on its chat's supervised frames, by both tokens and by the video token alone -> two lowres_NDhw."""
        rows_R, of_row_N = row_N.unique(return_inverse=True)
        num_masked = supervised_BD.shape[1]
        features_FChw = self.mask_head.encode(rearrange(mask_pixels_BDChw[rows_R], "r d c h w -> (r d) c h w"))
        features_RDChw = rearrange(features_FChw, "(r d) c h w -> r d c h w", d=num_masked)
        features_FChw = rearrange(features_RDChw[of_row_N], "n d c h w -> (n d) c h w")
        slots_NDC = supervised_BD[row_N][..., None].expand(-1, -1, objects.frames_NKC.shape[-1])
        frame_F11C = rearrange(objects.frames_NKC.gather(1, slots_NDC), "n d c -> (n d) 1 1 c")
        video_F11C = objects.video_NC.repeat_interleave(num_masked, dim=0)[:, None, None]
        both = self.mask_head.decode(features_FChw, torch.cat([frame_F11C, video_F11C], dim=2))
        alone = self.mask_head.decode(features_FChw, video_F11C)
        return (rearrange(both, "(n d) 1 h w -> n d h w", d=num_masked), rearrange(alone, "(n d) 1 h w -> n d h w", d=num_masked))

    def _matched(
        self, lowres_NDhw: Tensor, objects: ObjectTokens, row_N: Tensor, targets: Sequence[ObjectTargets], geometries: Sequence[Geometry]
    ) -> tuple[list[Tensor], Tensor, list[bool]]:
        """Truth in the order of the [SEG]: masks_DHW of each, visible_NK, and whether it is absent by intent."""
        masks, visible, absent = [], [], []
        for row in row_N.unique_consecutive().tolist():
            own_N, target, order = (row_N == row).nonzero()[:, 0], targets[row], list(range(len(targets[row].group_N)))
            if len({*target.group_N}) < len(target.group_N):
                logits_NDHW = geometries[row].undo(lowres_NDhw[own_N])
                presence_NK = objects.frame_presence_NK[own_N]
                order = match_groups(logits_NDHW, presence_NK, target.masks_NDHW, target.visible_NK, target.group_N)
            masks += [target.masks_NDHW[i] for i in order]
            visible.append(target.visible_NK[order])
            absent += [target.is_absent] * len(order)
        return masks, torch.cat(visible), absent

    @staticmethod
    def _mask_losses(
        lowres_NDhw: Tensor, truth_NDHW: Sequence[Tensor], absent_N: Sequence[bool], row_N: Tensor, geometries: Sequence[Geometry]
    ) -> tuple[Tensor, Tensor]:
        """BCE on all masks, DICE on frames where the object is to be seen."""
        clips = []
        for n, (row, truth_DHW) in enumerate(zip(row_N.tolist(), truth_NDHW, strict=True)):
            for d, truth_HW in enumerate(truth_DHW):
                unseen = absent_N[n] or not bool(truth_HW.any())
                clips.append(ClipMasks(lowres_NDhw[n, d : d + 1], geometries[row], truth_HW[None], unseen))
        return clip_mask_losses(clips)
