"""VideoLISA (arXiv 2409.19603): one token segments the object on every frame.

    frames ─ tower + projector ─ tokens_BSPE ─ sparse-dense (3.2) ─ visual_BVE ─┐
    chat prompt ─ ids_BI ─ embeddings ──────────────────────────── splice ──────┴─ language model ─ hidden_BLE
    hidden state of the position that *predicts* [SEG] (3.3) ─ MLP ─ prompts_BNC ─ mask decoder on each frame ─ mask logits

The released 3.8B model and the bundled toy model are this class with different numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Cache,
    CLIPVisionConfig,
    PreTrainedConfig,
    PreTrainedModel,
    SamConfig,
    SamVisionConfig,
)
from transformers.utils import ModelOutput

from saymask.lookup import suggest
from saymask.models.parts.auxiliary import AuxiliaryHeads, RegionTargets
from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss
from saymask.models.parts.mask_head import MaskHead
from saymask.models.parts.splice import Spliced, splice
from saymask.models.parts.visual import TOKEN_LAYOUTS, VisualTokens
from saymask.models.parts.visual_prefix import VisualPrefix
from saymask.models.videolisa.prompts import IGNORE_LABEL, IMAGE_TOKEN_ID, SYSTEM_PROMPT
from saymask.video.transforms import Geometry


class VideoLisaConfig(PreTrainedConfig):
    """Numbers of a VideoLISA model.

    Args:
        text_config, vision_config, mask_config: the three parts' own configurations (causal language model, CLIP tower, SAM).
        num_sparse, num_dense: S frames pooled to one token, D of them kept with all their tokens.
        vision_select_layer: which of the tower's hidden states is read.
        seg_token_id: id of `[SEG]`.
        system_prompt: the chat's system text; empty = no system block.
        lm_loss_weight, bce_loss_weight, dice_loss_weight: weights of the three losses (paper 3.4: 1, 2, 0.5).
        aux_loss_weight: weight of the auxiliary losses of `AuxiliaryHeads`; 0 = no such heads (every released layout).
        token_layout: how frames become the language model's tokens, a key of `TOKEN_LAYOUTS`; the paper's is sparse_dense.
        token_per_frame: answer with one [SEG] for each dense frame, which segments that frame and those nearest to it; the paper's own
            models answer with one for all (False).
        frames_seen: "spread" over the video, or the "first" alone, as an image model would.
        lexicon: words seen in training; empty = not recorded.
        region_words: words that the auxiliary heads tell apart.
        domain_tag: container comment of the videos the model was trained on; other sources get a notice. Empty = any video.
    """

    model_type = "saymask-videolisa"
    sub_configs = {"text_config": AutoConfig, "vision_config": CLIPVisionConfig, "mask_config": SamConfig}  # noqa: RUF012 # pyright: ignore[reportAssignmentType]

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        vision_config: dict[str, Any] | CLIPVisionConfig | None = None,
        mask_config: dict[str, Any] | SamConfig | None = None,
        num_sparse: int = 32,
        num_dense: int = 4,
        vision_select_layer: int = -2,
        seg_token_id: int = 32038,
        system_prompt: str = SYSTEM_PROMPT,
        lm_loss_weight: float = 1.0,
        bce_loss_weight: float = 2.0,
        dice_loss_weight: float = 0.5,
        aux_loss_weight: float = 0.0,
        token_layout: str = "sparse_dense",
        token_per_frame: bool = False,
        frames_seen: str = "spread",
        lexicon: list[str] | None = None,
        region_words: list[str] | None = None,
        domain_tag: str = "",
        **kwargs: Any,
    ):
        if not 1 <= num_dense < num_sparse:
            raise ValueError(f"num_dense = {num_dense} must be at least 1 and less than num_sparse = {num_sparse}")
        if token_layout not in TOKEN_LAYOUTS:
            raise ValueError(f"unknown token_layout {token_layout!r}; {suggest(token_layout, list(TOKEN_LAYOUTS))}")
        if frames_seen not in ("spread", "first"):
            raise ValueError(f"frames_seen must be spread or first, got {frames_seen!r}")
        text_config = text_config if text_config is not None else {"model_type": "phi3"}
        self.text_config = AutoConfig.for_model(**text_config) if isinstance(text_config, dict) else text_config
        self.vision_config = CLIPVisionConfig(**vision_config) if isinstance(vision_config, dict) else vision_config or CLIPVisionConfig()
        self.mask_config = SamConfig(**mask_config) if isinstance(mask_config, dict) else mask_config or SamConfig()
        self.num_sparse = num_sparse
        self.num_dense = num_dense
        self.vision_select_layer = vision_select_layer
        self.seg_token_id = seg_token_id
        self.system_prompt = system_prompt
        self.lm_loss_weight = lm_loss_weight
        self.bce_loss_weight = bce_loss_weight
        self.dice_loss_weight = dice_loss_weight
        self.aux_loss_weight = aux_loss_weight
        self.token_layout = token_layout
        self.token_per_frame = token_per_frame
        self.frames_seen = frames_seen
        self.lexicon = lexicon or []
        self.region_words = region_words or []
        self.domain_tag = domain_tag
        super().__init__(**kwargs)

    @property
    def tower_size(self) -> tuple[int, int]:
        """Side of the vision tower's input in pixels, and of one of its patches."""
        return cast(int, self.vision_config.image_size), cast(int, self.vision_config.patch_size)

    @property
    def num_visual(self) -> int:
        """V, the number of visual tokens in a chat."""
        side, patch = self.tower_size
        tokens_1SPE = torch.empty(1, self.num_sparse, (side // patch) ** 2, 0)
        return TOKEN_LAYOUTS[self.token_layout](tokens_1SPE, torch.zeros(1, self.num_dense, dtype=torch.long)).shape[1]

    @property
    def mask_size(self) -> tuple[int, int]:
        """Side of the mask encoder's input in pixels, and of one of its cells."""
        encoder = cast(SamVisionConfig, self.mask_config.vision_config)
        return cast(int, encoder.image_size), cast(int, encoder.patch_size)

    @classmethod
    def debug(cls, **changes: Any) -> VideoLisaConfig:
        """The smallest numbers that exercise every part; a forward pass takes milliseconds on a CPU."""
        text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 400}
        vision = {
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 8,
        }
        mask_vision = {"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
        mask_vision |= {"patch_size": 8, "window_size": 0, "global_attn_indexes": [], "num_pos_feats": 8, "initializer_range": 0.02}
        mask = {
            "vision_config": mask_vision,
            "prompt_encoder_config": {"hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 4},
            "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 8},
        }
        tokens = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 4}
        numbers = {"num_sparse": 4, "num_dense": 2, "vision_select_layer": -1, "seg_token_id": 5, "system_prompt": ""}
        return cls({"model_type": "phi3", **text, **tokens}, vision, mask, **{**numbers, **changes})


@dataclass
class VideoLisaOutput(ModelOutput):
    """Losses of one batch, unweighted but for `loss`."""

    loss: Tensor | None = None
    lm_loss: Tensor | None = None
    mask_bce_loss: Tensor | None = None
    mask_dice_loss: Tensor | None = None
    aux_loss: Tensor | None = None


@dataclass(frozen=True)
class Generated:
    """An answer the model wrote: its tokens and, for each [SEG] among them, the state that predicted it (seg_hidden_NE)."""

    token_ids: tuple[int, ...]
    seg_hidden_NE: Tensor


class VideoLisaModel(PreTrainedModel):
    """The network. `forward` is for training; inference calls the same parts through `VideoLisaSegmenter`.

    Training reads chats whole (`hidden_states`), inference the video once and queries on top of it (`read_prefix`, `read_suffix`).
    """

    config_class = VideoLisaConfig
    base_model_prefix = "videolisa"
    _supports_sdpa = True

    def __init__(self, config: VideoLisaConfig):
        super().__init__(config)
        width = config.text_config.hidden_size
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.visual = VisualTokens(config.vision_config, config.vision_select_layer, width)
        self.mask_head = MaskHead(config.mask_config)
        channels = self.mask_head.channels
        self.prompt_projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, channels))
        if config.aux_loss_weight:
            self.aux_heads = AuxiliaryHeads(width, channels, len(config.region_words))
        self.post_init()

    def lay_out(self, tokens_BSPE: Tensor, dense_slots_BD: Tensor) -> Tensor:
        """Tokens of S frames, D of them dense -> what the language model reads of the video, visual_BVE."""
        return TOKEN_LAYOUTS[self.config.token_layout](tokens_BSPE, dense_slots_BD)

    def read_prefix(self, opening_ids_P: Tensor, visual_1VE: Tensor) -> VisualPrefix:
        """Read what stands before every query: the chat's opening and the visual tokens."""
        opening_1PE = self.language_model.get_input_embeddings()(opening_ids_P)[None]
        embeds_1ME = torch.cat([opening_1PE, visual_1VE.to(opening_1PE)], dim=1)
        out = self.language_model.model(inputs_embeds=embeds_1ME, use_cache=True)
        return VisualPrefix(out.past_key_values, embeds_1ME.shape[1])

    def read_suffix(self, prefix: VisualPrefix, suffix_ids_BJ: Tensor) -> tuple[Tensor, Cache]:
        """Read right-padded rows on top of the prefix -> last-layer states hidden_BJE, and the cache to go on with."""
        embeds_BJE = self.language_model.get_input_embeddings()(suffix_ids_BJ)
        out = self.language_model.model(inputs_embeds=embeds_BJE, past_key_values=prefix.copies(len(suffix_ids_BJ)), use_cache=True)
        return out.last_hidden_state, out.past_key_values

    @torch.inference_mode()
    def generate(self, prefix: VisualPrefix, suffix_ids_BJ: Tensor, end_token_id: int, max_new_tokens: int) -> list[Generated]:
        """Write answers greedily, keeping each state that chose [SEG].

        Args:
            prefix: the video, read.
            suffix_ids_BJ: the rest of the chats, up to where the answer begins; all of one length (padding would stand in between).
            end_token_id: token that closes an answer; it is not part of it.
            max_new_tokens: an answer that is not closed by then is cut off.
        """
        hidden_BJE, cache = self.read_suffix(prefix, suffix_ids_BJ)
        tokens: list[list[int]] = [[] for _ in suffix_ids_BJ]
        seg_states: list[list[Tensor]] = [[] for _ in suffix_ids_BJ]
        running = set(range(len(suffix_ids_BJ)))
        for _ in range(max_new_tokens):
            state_BE = hidden_BJE[:, -1]
            next_B = self.language_model.lm_head(state_BE).argmax(-1)
            for row, token in enumerate(next_B.tolist()):
                if row not in running:
                    continue
                if token == end_token_id:
                    running.discard(row)
                    continue
                tokens[row].append(token)
                if token == self.config.seg_token_id:
                    seg_states[row].append(state_BE[row])
            if not running:
                break
            embeds_B1E = self.language_model.get_input_embeddings()(next_B)[:, None]
            out = self.language_model.model(inputs_embeds=embeds_B1E, past_key_values=cache, use_cache=True)
            hidden_BJE, cache = out.last_hidden_state, out.past_key_values
        nothing_0E = hidden_BJE.new_zeros(0, hidden_BJE.shape[-1])
        return [
            Generated(tuple(ids), torch.stack(states) if states else nothing_0E) for ids, states in zip(tokens, seg_states, strict=True)
        ]

    def hidden_states(self, input_ids_BI: Tensor, visual_BVE: Tensor) -> tuple[Tensor, Spliced]:
        """Last-layer states hidden_BLE of the spliced sequence.

        Rows are right-padded, and attention is causal, so padding can influence nothing that is read: no mask is needed.
        """
        ids_BI = input_ids_BI.masked_fill(input_ids_BI == IMAGE_TOKEN_ID, 0)
        text_embeds_BIE = self.language_model.get_input_embeddings()(ids_BI)
        spliced = splice(input_ids_BI, text_embeds_BIE, visual_BVE.to(text_embeds_BIE.dtype))
        out = self.language_model.model(inputs_embeds=spliced.embeds_BLE, use_cache=False)
        return out.last_hidden_state, spliced

    def seg_hidden(self, input_ids_BI: Tensor, hidden_BLE: Tensor, spliced: Spliced) -> tuple[Tensor, Tensor]:
        """States that predict [SEG], in row order -> (seg_hidden_NE, the row of each)."""
        row_N, index_N = (input_ids_BI == self.config.seg_token_id).nonzero(as_tuple=True)
        return hidden_BLE[row_N, spliced.position_BI[row_N, index_N] - 1], row_N

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
        lm_loss = self._lm_loss(hidden_BLE, spliced.labels(labels_BI))

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

        # Clips of one size go through the loss together; num_masks is the whole batch's, so the split changes nothing.
        num_masks = len(rows) * num_masked
        bce = dice = lowres_NDhw.new_zeros((), dtype=torch.float32)
        for geometry in dict.fromkeys(geometries[row] for row in rows):
            same_size = [n for n, row in enumerate(rows) if geometries[row] == geometry]
            logits_KHW = geometry.undo(lowres_NDhw[same_size]).flatten(0, 1)
            targets_KHW = torch.cat([targets[rows[n]] for n in same_size])
            present_K = ~is_absent_B[row_N[same_size]].repeat_interleave(num_masked)
            bce = bce + mask_bce_loss(logits_KHW, targets_KHW, num_masks)
            dice = dice + mask_dice_loss(logits_KHW[present_K], targets_KHW[present_K], num_masks)

        config = self.config
        loss = config.bce_loss_weight * bce + config.dice_loss_weight * dice
        aux = None
        if regions is not None and config.aux_loss_weight:
            aux = self.aux_heads(regions, row_N, tokens_BSPE, seg_hidden_NDE, features_FChw)
            loss = loss + config.aux_loss_weight * aux
        if nothing:
            return VideoLisaOutput(loss=config.lm_loss_weight * lm_loss + 0 * loss, lm_loss=lm_loss)
        loss = loss + config.lm_loss_weight * lm_loss
        return VideoLisaOutput(loss=loss, lm_loss=lm_loss, mask_bce_loss=bce, mask_dice_loss=dice, aux_loss=aux)

    def _lm_loss(self, hidden_BLE: Tensor, labels_BL: Tensor) -> Tensor:
        """Mean cross-entropy over the supervised tokens of the batch; only their positions go through the vocabulary."""
        next_BL = labels_BL[:, 1:]
        supervised_BL = next_BL != IGNORE_LABEL
        logits_KV = self.language_model.lm_head(hidden_BLE[:, :-1][supervised_BL])
        return nn.functional.cross_entropy(logits_KV.float(), next_BL[supervised_BL])
