"""A language model that has seen a video, and a mask head that its `[SEG]` states steer: what the families' networks have in common.

Training reads chats whole (`hidden_states`); inference reads what all queries share once and each query on top (`read_prefix`,
`read_suffix`). A state stands for the token that it predicts: the prompt of a [SEG] is the state of the position before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from saymask.models.parts.auxiliary import AuxiliaryHeads
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID
from saymask.models.parts.composite_config import CompositeConfig
from saymask.models.parts.losses import mask_bce_loss, mask_dice_loss
from saymask.models.parts.mask_head import MaskHead
from saymask.models.parts.splice import Spliced, splice
from saymask.models.parts.visual_prefix import VisualPrefix
from saymask.video.transforms import Geometry


@dataclass(frozen=True)
class Generated:
    """An answer the model wrote: its tokens and, for each [SEG] among them, the state that predicted it (seg_hidden_NE)."""

    token_ids: tuple[int, ...]
    seg_hidden_NE: Tensor


class ReasoningModel(PreTrainedModel):
    """Language model, vision tower, mask head and the projector between them; a family adds its `forward`.

    Its parts are called the same in every family: `language_model`, `visual`, `mask_head`, `prompt_projector`, `presence_head` where a
    model says whether an object is there, and `aux_heads` while a small model is trained.
    """

    config: Any
    _supports_sdpa = True

    def __init__(self, config: CompositeConfig):
        super().__init__(config)
        width = config.text_config.hidden_size
        self.language_model = AutoModelForCausalLM.from_config(config.text_config, trust_remote_code=False)
        self.visual = self.make_visual(config)
        self.mask_head = MaskHead(config.mask_config)
        channels = self.mask_head.channels
        self.prompt_projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, channels))
        if config.presence_head:
            self.presence_head = nn.Linear(channels, 1)
        self.add_parts(config)
        if config.aux_loss_weight:
            self.aux_heads = AuxiliaryHeads(width, channels, len(config.region_words))
        self.post_init()

    def make_visual(self, config: Any) -> nn.Module:
        """The module that makes a frame's visual tokens."""
        raise NotImplementedError(f"{type(self).__name__} says how frames become tokens")

    def add_parts(self, config: Any) -> None:
        """Make what a family has beside the common parts."""

    def read_prefix(self, opening_ids_P: Tensor, visual_1VE: Tensor) -> VisualPrefix:
        """Read what stands before every query: the chat's opening and the visual tokens."""
        opening_1PE = self.language_model.get_input_embeddings()(opening_ids_P)[None]
        return self.read_embedded_prefix(torch.cat([opening_1PE, visual_1VE.to(opening_1PE)], dim=1))

    def read_embedded_prefix(self, embeds_1ME: Tensor) -> VisualPrefix:
        """Read embeddings that every query begins with."""
        out = self.language_model.model(inputs_embeds=embeds_1ME, use_cache=True)
        return VisualPrefix(out.past_key_values, embeds_1ME.shape[1])

    def read_suffix(self, prefix: VisualPrefix, suffix_ids_BJ: Tensor) -> tuple[Tensor, Cache]:
        """Read right-padded rows on top of the prefix -> last-layer states hidden_BJE, and the cache to go on with."""
        return self.read_embedded_suffix(prefix, self.language_model.get_input_embeddings()(suffix_ids_BJ))

    def read_embedded_suffix(self, prefix: VisualPrefix, embeds_BJE: Tensor) -> tuple[Tensor, Cache]:
        """The same of rows that are embeddings already."""
        out = self.language_model.model(inputs_embeds=embeds_BJE, past_key_values=prefix.copies(len(embeds_BJE)), use_cache=True)
        return out.last_hidden_state, out.past_key_values

    @torch.inference_mode()
    def generate(
        self,
        prefix: VisualPrefix,
        suffix_ids_BJ: Tensor,
        end_token_id: int,
        max_new_tokens: int,
        choose: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Generated]:
        """Write answers token by token, keeping each state that chose [SEG].

        Args:
            prefix: the video, read.
            suffix_ids_BJ: the rest of the chats, up to where the answer begins; all of one length (padding would stand in between).
            end_token_id: token that closes an answer; it is not part of it.
            max_new_tokens: an answer that is not closed by then is cut off.
            choose: logits_BV -> next_B; without one the likeliest token.
        """
        return self.write_answers(*self.read_suffix(prefix, suffix_ids_BJ), end_token_id, max_new_tokens, choose)

    @torch.inference_mode()
    def write_answers(
        self,
        hidden_BJE: Tensor,
        cache: Cache,
        end_token_id: int,
        max_new_tokens: int,
        choose: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Generated]:
        """Go on from what was read: the states hidden_BJE of chats that end where their answers begin, and the cache; see `generate`."""
        tokens: list[list[int]] = [[] for _ in hidden_BJE]
        seg_states: list[list[Tensor]] = [[] for _ in hidden_BJE]
        running = set(range(len(hidden_BJE)))
        for _ in range(max_new_tokens):
            state_BE = hidden_BJE[:, -1]
            logits_BV = self.language_model.lm_head(state_BE)
            next_B = choose(logits_BV) if choose else logits_BV.argmax(-1)
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
        """Last-layer states hidden_BLE of chats with one placeholder each.

        Rows are right-padded, and attention is causal, so padding can influence nothing that is read: no mask is needed.
        """
        text_embeds_BIE = self.embed_text(input_ids_BI)
        spliced = splice(input_ids_BI, text_embeds_BIE, visual_BVE.to(text_embeds_BIE.dtype))
        return self.read_spliced(spliced), spliced

    def embed_text(self, input_ids_BI: Tensor) -> Tensor:
        """Embeddings of ids; those of placeholders mean nothing."""
        return self.language_model.get_input_embeddings()(input_ids_BI.masked_fill(input_ids_BI == IMAGE_TOKEN_ID, 0))

    def read_spliced(self, spliced: Spliced) -> Tensor:
        """Last-layer states hidden_BLE of a spliced sequence."""
        return self.language_model.model(inputs_embeds=spliced.embeds_BLE, use_cache=False).last_hidden_state

    def seg_hidden(self, input_ids_BI: Tensor, hidden_BLE: Tensor, spliced: Spliced) -> tuple[Tensor, Tensor]:
        """States that predict [SEG], in row order -> (seg_hidden_NE, the row of each)."""
        row_N, index_N = (input_ids_BI == self.config.seg_token_id).nonzero(as_tuple=True)
        return hidden_BLE[row_N, spliced.position_BI[row_N, index_N] - 1], row_N

    def lm_loss(self, hidden_BLE: Tensor, labels_BL: Tensor) -> Tensor:
        """Mean cross-entropy over the supervised tokens of the batch; only their positions go through the vocabulary."""
        next_BL = labels_BL[:, 1:]
        supervised_BL = next_BL != IGNORE_LABEL
        logits_KV = self.language_model.lm_head(hidden_BLE[:, :-1][supervised_BL])
        return nn.functional.cross_entropy(logits_KV.float(), next_BL[supervised_BL])


@dataclass(frozen=True)
class ClipMasks:
    """One clip's predicted logits lowres_Dhw beside the true masks DHW (float, 0 or 1) at video size; absent = an empty truth by intent."""

    lowres_Dhw: Tensor
    geometry: Geometry
    targets_DHW: Tensor
    is_absent: bool


def clip_mask_losses(clips: Sequence[ClipMasks]) -> tuple[Tensor, Tensor]:
    """Mean BCE and DICE over all masks of several clips; an absent target counts for BCE only (DICE has no gradient there)."""
    num_masks = sum(len(clip.lowres_Dhw) for clip in clips)
    bce = dice = clips[0].lowres_Dhw.new_zeros((), dtype=torch.float32)
    # Clips of one size go through the loss together; num_masks is the whole batch's, so the split changes nothing.
    for geometry in dict.fromkeys(clip.geometry for clip in clips):
        same_size = [clip for clip in clips if clip.geometry == geometry]
        logits_KHW = geometry.undo(torch.cat([clip.lowres_Dhw for clip in same_size]))
        targets_KHW = torch.cat([clip.targets_DHW for clip in same_size])
        present_K = torch.tensor([not clip.is_absent for clip in same_size for _ in clip.lowres_Dhw], device=logits_KHW.device)
        bce = bce + mask_bce_loss(logits_KHW, targets_KHW, num_masks)
        dice = dice + mask_dice_loss(logits_KHW[present_K], targets_KHW[present_K], num_masks)
    return bce, dice
