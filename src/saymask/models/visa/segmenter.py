"""VISA behind the `Segmenter` protocol: a target frame for each query, an answer about it, a mask there; a tracker does the rest."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.base import Answer, ObjectAnswer, Segmenter, VideoView
from saymask.models.checkpoints import bundled_folder, load_folder
from saymask.models.network_segmenter import NetworkSegmenter
from saymask.models.parts.visual_prefix import VisualPrefix
from saymask.models.visa import FAMILY
from saymask.models.visa.context import context_frames, spread
from saymask.models.visa.model import VisaModel
from saymask.models.visa.options import VisaOptions
from saymask.models.visa.processor import VisaProcessor
from saymask.models.visa.prompts import check_query
from saymask.models.visa.scorers import FrameChoice, choose_target
from saymask.runtime import Runtime

MAX_ANSWER_TOKENS = 64
MAX_VOTE_TOKENS = 32
"""Where an answer that does not end is cut off."""


def load_visa_toy(runtime: Runtime) -> Segmenter:
    """VISA with toy numbers, trained by this repository on drawn scenes."""
    return load_folder(bundled_folder("visa-toy"), runtime, name="visa-toy")


@dataclass(frozen=True)
class Attempt:
    """What the model says about one target frame.

    Args:
        target, context_idx: frames that it saw.
        text: its answer.
        num_seg: how often the answer says [SEG]; 0 = there is no such object.
        mask_HW: union of their masks, bool at video size.
    """

    target: int
    context_idx: list[int]
    text: str
    num_seg: int
    mask_HW: np.ndarray

    @property
    def is_blank(self) -> bool:
        """An object whose mask has no pixel."""
        return self.num_seg > 0 and not self.mask_HW.any()


class VisaSegmenter(NetworkSegmenter[VisaModel, VisaProcessor]):
    """A loaded VISA model, in inference mode."""

    family = FAMILY

    @torch.inference_mode()
    def reason(self, view: VideoView, queries: Sequence[str], options: VisaOptions) -> list[Answer]:
        for query in queries:
            check_query(query)
        return [self._answer(view, query, options) for query in queries]

    def _answer(self, view: VideoView, query: str, options: VisaOptions) -> Answer:
        """Choose a frame and ask about it; where the object's mask is empty there, once more about the second choice."""
        choice = choose_target(view, query, options, lambda: self._own_votes(view, query, options))
        attempts = [self._look_at(view, query, choice.candidates[0], options)]
        if attempts[0].is_blank and len(choice.candidates) > 1:
            attempts.append(self._look_at(view, query, choice.candidates[1], options))
        final = attempts[-1] if attempts[-1].mask_HW.any() else attempts[0]
        notes: dict[str, Any] = {"frame_scorer": options.scorer, "target_frame": final.target, "context_frames": final.context_idx}
        if choice.bins:
            notes["frame_votes"] = {"bins": list(choice.bins), "chosen": final.target}
        if remarks := list(_remarks(choice, attempts, final)):
            notes["remarks"] = remarks
        if not final.num_seg:
            return Answer(final.text, (), notes)
        # An empty mask is none to track from: the object then has no mask on any frame.
        references = {} if final.is_blank else {final.target: final.mask_HW}
        return Answer(final.text, (ObjectAnswer(reference_masks=references),), notes)

    def _look_at(self, view: VideoView, query: str, target: int, options: VisaOptions) -> Attempt:
        """One pass of the language model over a query with its frames, and the mask decoder on the target."""
        count = self.config.num_context if options.num_context is None else options.num_context
        context_idx = context_frames(options.context or self.config.context_policy, view.video.num_frames, target, count)
        words = self.config.words
        question = words.about_target(words.instruct(query, options.template), len(context_idx))
        if options.answer == "forced":
            opening_P, suffix_J = self.processor.opening_and_suffix(question, words.forced_answer)
            prefix = self._read_opening(view, opening_P, [*context_idx, target], len(suffix_J))
            hidden_1JE, _ = self.model.read_suffix(prefix, suffix_J[None].to(self.model.device))
            # The forced answer is the last thing in a chat: a [SEG] that the user typed comes before it and is not the answer's.
            seg_at = int((suffix_J == self.config.seg_token_id).nonzero()[-1])
            text, seg_hidden_NE = words.forced_answer, hidden_1JE[0, seg_at - 1][None]
        else:
            opening_P, suffix_J = self.processor.opening_and_suffix(question)
            prefix = self._read_opening(view, opening_P, [*context_idx, target], len(suffix_J) + MAX_ANSWER_TOKENS)
            (written,) = self.model.generate(prefix, suffix_J[None].to(self.model.device), self.processor.end_token_id, MAX_ANSWER_TOKENS)
            text, seg_hidden_NE = self.processor.decode_answer(written.token_ids), written.seg_hidden_NE
        return Attempt(target, context_idx, text, len(seg_hidden_NE), self._mask(view, target, seg_hidden_NE))

    def _mask(self, view: VideoView, target: int, seg_hidden_NE: Tensor) -> np.ndarray:
        """Union of the masks that the answer's states steer, bool mask_HW at video size; the encoder is not run for none."""
        height, width = view.video.height, view.video.width
        if not len(seg_hidden_NE):
            return np.zeros((height, width), dtype=bool)
        prompts_1N1C = self.model.prompt_projector(seg_hidden_NE)[None, :, None]
        lowres_1Nhw = self.model.mask_head.decode(view.image_features([target]), prompts_1N1C)
        logits_NHW = self.processor.geometry(height, width).undo(lowres_1Nhw[0])
        return (logits_NHW > 0).any(0).cpu().numpy()

    def _own_votes(self, view: VideoView, query: str, options: VisaOptions) -> list[str]:
        """The model's own answers to the sampler's question, drawn as often as there are votes."""
        frame_idx = spread(view.video.num_frames, max(1, self.config.num_context))
        words = self.config.words
        question = words.about_video(words.sampler_question(query), len(frame_idx))
        opening_P, suffix_J = self.processor.opening_and_suffix(question)
        prefix = self._read_opening(view, opening_P, frame_idx, len(suffix_J) + MAX_VOTE_TOKENS)
        suffix_BJ = suffix_J.expand(options.num_votes, -1).to(self.model.device)
        draw = _nucleus(options.temperature, options.top_p, options.seed + zlib.crc32(query.encode()))
        written = self.model.generate(prefix, suffix_BJ, self.processor.end_token_id, MAX_VOTE_TOKENS, choose=draw)
        return [self.processor.decode_answer(one.token_ids) for one in written]

    def _read_opening(self, view: VideoView, opening_P: Tensor, frame_idx: Sequence[int], num_more: int) -> VisualPrefix:
        """The chat up to its last frame, which queries about the same frames share.

        Raises:
            ConfigError: with what follows it is longer than what the language model can read.
        """
        limit = self.config.text_config.max_position_embeddings
        length = len(opening_P) + len(frame_idx) * (self.config.tokens_per_frame - 1) + num_more
        if length > limit:
            raise ConfigError(
                f"the query needs {length} tokens with those of {len(frame_idx)} frames, model {self.name!r} reads at most {limit}; "
                "shorten it, or give fewer context frames (num_context)"
            )

        def read() -> VisualPrefix:
            visual_KVE = view.recall_frames("merged tokens", frame_idx, self.encode_vision)
            return self.model.read_opening(opening_P.to(visual_KVE.device), visual_KVE)

        return view.recall(("visual prefix", *opening_P.tolist(), *frame_idx), read)


def _remarks(choice: FrameChoice, attempts: Sequence[Attempt], final: Attempt) -> list[str]:
    """What did not go as it should while a query was answered."""
    remarks = list(choice.remarks)
    remarks += [f"the mask on frame {attempt.target} is empty" for attempt in attempts if attempt.is_blank]
    if final.num_seg > 1:
        remarks.append(f"the answer has {final.num_seg} [SEG]; the mask is the union of theirs")
    return remarks


def _nucleus(temperature: float, top_p: float, seed: int) -> Callable[[Tensor], Tensor]:
    """Draws tokens from the likeliest ones that have `top_p` of the probability together: logits_BV -> next_B."""
    generator = torch.Generator().manual_seed(seed)

    def draw(logits_BV: Tensor) -> Tensor:
        prob_BV, token_BV = (logits_BV.float().cpu() / temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
        kept_BV = prob_BV.masked_fill(prob_BV.cumsum(-1) - prob_BV >= top_p, 0)
        place_B1 = torch.multinomial(kept_BV, 1, generator=generator)
        return token_BV.gather(1, place_B1)[:, 0].to(logits_BV.device)

    return draw
