"""Everything between records and a VideoLISA batch: tokenizer, templates, frame choice, pixels, targets.

`to_batch` (training) and `to_inputs` (inference) share the same private steps, so the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from saymask.errors import DataError
from saymask.lookup import suggest
from saymask.models.parts.auxiliary import SeenFrames, region_targets
from saymask.models.parts.chat import IGNORE_LABEL, SEG_TOKEN, answer_labels, encode
from saymask.models.parts.pixels import PixelProcessor
from saymask.models.parts.tokenizer import Tokenizer
from saymask.models.videolisa.model import VideoLisaConfig
from saymask.models.videolisa.prompts import ABSENT_ANSWER, FORCED_ANSWER, chat, forced_answer, phrase
from saymask.models.videolisa.training_phrases import PHRASES, explanatory_question
from saymask.samples import Expression, Sample
from saymask.video.sampling import ClipSampler, SparseDense, jittered, jittered_at_test_slots, refer_sparse_dense, sparse_dense

CLIP_SAMPLERS: dict[str, ClipSampler] = {"jittered": jittered_at_test_slots, "refer": refer_sparse_dense}


@dataclass(frozen=True)
class Clip:
    """The frames of one training sample.

    Args:
        sparse_frame_idx, sparse_frames: S frames the language model sees, uint8 SHWC.
        dense_slots: which D of them keep all their tokens.
        masked_frame_idx, masked_frames, masks: the supervised frames, uint8 DHWC, and their true masks, bool DHW.
        seg_index: which of the answer's [SEG] segments each supervised frame.
    """

    sparse_frame_idx: np.ndarray
    sparse_frames: np.ndarray
    dense_slots: np.ndarray
    masked_frame_idx: np.ndarray
    masked_frames: np.ndarray
    masks: np.ndarray
    seg_index: np.ndarray


class VideoLisaProcessor(PixelProcessor):
    """Turns samples and queries into tensors for `VideoLisaModel`.

    Args:
        tokenizer: must know `[SEG]` as one token.
        config: the model's numbers.
        num_supervised: frames per clip that get a mask loss in training, drawn from the clip's S frames, or from those with
            a [SEG] of their own; None = the D dense frames (paper).
        clips: how the frames of training clips are chosen: "jittered", one from each of S equal parts of the video, or "refer", around a
            start frame, as VideoLISA's authors do.
        phrases: how training words questions and answers: "auto", as answering does, or "paper", as VideoLISA's authors did.
    """

    tokens: ClassVar[Mapping[str, str]] = {"seg_token_id": SEG_TOKEN}
    """Marks that are one token each, by the configuration's name of their id."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: VideoLisaConfig,
        num_supervised: int | None = None,
        clips: str = "jittered",
        phrases: str = "auto",
    ):
        self.tokenizer = tokenizer
        self.config: VideoLisaConfig = config
        self.num_supervised = num_supervised
        if clips not in CLIP_SAMPLERS:
            raise ValueError(f"unknown clips {clips!r}; {suggest(clips, CLIP_SAMPLERS)}")
        self.clip_sampler = CLIP_SAMPLERS[clips]
        if phrases not in PHRASES:
            raise ValueError(f"unknown phrases {phrases!r}; {suggest(phrases, PHRASES)}")
        self.phrases = PHRASES[phrases]
        most = config.num_dense if config.token_per_frame else config.num_sparse
        if num_supervised is not None and not 1 <= num_supervised <= most:
            raise ValueError(f"num_supervised = {num_supervised}: of a clip's frames only {most} can be supervised")
        seg_ids = tokenizer.encode(SEG_TOKEN, add_special_tokens=False)
        if seg_ids[-1] != config.seg_token_id:
            raise ValueError(f"the tokenizer gives {SEG_TOKEN} the id {seg_ids[-1]}, the model expects {config.seg_token_id}")

    # -- text ---------------------------------------------------------------------------------------------------------------------

    def encode_chat(self, question: str, answer: str) -> tuple[list[int], list[int]]:
        """Token ids of one turn and its labels (the answer and the closing token are supervised)."""
        input_ids = self._encode(chat(question, answer, self.config.system_prompt))
        return input_ids, answer_labels(input_ids, len(self.encode_question(question)))

    def encode_question(self, question: str) -> list[int]:
        """Token ids up to where the answer begins."""
        return self._encode(chat(question, "", self.config.system_prompt).removesuffix("<|end|>"))

    def decode_answer(self, token_ids: Sequence[int]) -> str:
        """Text of an answer's tokens; `[SEG]` stays visible."""
        return cast(str, self.tokenizer.decode(list(token_ids)))

    @property
    def num_seg(self) -> int:
        """How many [SEG] an answer about one target has."""
        return self.config.num_dense if self.config.token_per_frame else 1

    def forced_answer(self, template: str = "auto") -> str:
        """The answer that is given with a question, or taught: one that says there is a target."""
        return self._with_all_segs(forced_answer(template))

    def _with_all_segs(self, answer: str) -> str:
        """An answer whose [SEG] stands as often as an answer has it."""
        return answer.replace(SEG_TOKEN, " ".join([SEG_TOKEN] * self.num_seg))

    def _encode(self, text: str) -> list[int]:
        return encode(text, self.tokenizer.encode, cast(int | None, self.tokenizer.bos_token_id))

    def _pad(self, rows: Sequence[Sequence[int]], value: int) -> Tensor:
        """Right-pad rows of ids to one length."""
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)

    # -- inference ----------------------------------------------------------------------------------------------------------------

    def choose_frames(self, num_frames: int) -> SparseDense:
        """The frames the language model sees of a video; an image is a video of one frame."""
        chosen = sparse_dense(num_frames, self.config.num_sparse, self.config.num_dense)
        return replace(chosen, sparse_frame_idx=np.zeros_like(chosen.sparse_frame_idx)) if self.config.frames_seen == "first" else chosen

    def to_inputs(self, queries: Sequence[str], template: str = "auto", answer: str = "forced") -> Tensor:
        """Chats with the forced answer, or ("generate") ending where the model's own begins, right-padded -> input_ids_BI."""
        questions = [phrase(query, template) for query in queries]
        if answer == "generate":
            rows = [self.encode_question(question) for question in questions]
        else:
            rows = [self.encode_chat(question, self.forced_answer(template))[0] for question in questions]
        return self._pad(rows, self._pad_id)

    @property
    def end_token_id(self) -> int:
        """Id of the token that closes a turn."""
        return cast(int, self.tokenizer.convert_tokens_to_ids("<|end|>"))

    @property
    def _pad_id(self) -> int:
        return cast(int | None, self.tokenizer.pad_token_id) or 0

    # -- training -----------------------------------------------------------------------------------------------------------------

    @staticmethod
    def tokenizer_texts(sentences: Iterable[str], system_prompt: str) -> Iterator[str]:
        """Chats with these sentences, for a tokenizer to learn its pieces from."""
        return (chat(phrase(text), answer, system_prompt) for text in sentences for answer in (FORCED_ANSWER, ABSENT_ANSWER))

    def drawn_frames(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """Which frames of a drawn timeline a batch shows: one of each of S equal parts."""
        return jittered(num_frames, self.config.num_sparse, self.config.num_dense, rng).sparse_frame_idx

    def to_batch(self, samples: Sequence[Sample], rng: np.random.Generator) -> dict[str, Any]:
        """Training batch for `VideoLisaModel.forward`.

        Half of the samples without a target affirm with an empty mask, half answer that there is no such object (no [SEG], no mask). Where
        the dataset knows an answer in words, it is taught after the mask's, or instead of it.
        """
        chats, clips = [], []
        for sample in samples:
            chats.append(self.encode_chat(*self._turn(sample.expression, rng)))
            clips.append(self._clip(sample, rng))
        batch: dict[str, Any] = {
            "input_ids_BI": self._pad([ids for ids, _ in chats], self._pad_id),
            "labels_BI": self._pad([labels for _, labels in chats], IGNORE_LABEL),
            "is_absent_B": torch.tensor([not sample.expression.obj_ids for sample in samples]),
            "dense_slots_BD": torch.stack([torch.from_numpy(clip.dense_slots) for clip in clips]),
        }
        batch["tower_pixels_BSChw"] = torch.stack([self.tower_pixels(clip.sparse_frames) for clip in clips])
        masked = [self.mask_pixels(clip.masked_frames) for clip in clips]
        batch["mask_pixels_BDChw"] = torch.stack([pixels for pixels, _ in masked])
        batch["geometries"] = [geometry for _, geometry in masked]
        if self.config.token_per_frame:
            batch["seg_index_BD"] = torch.stack([torch.from_numpy(clip.seg_index) for clip in clips])
        batch["targets"] = [torch.from_numpy(clip.masks).float() for clip in clips]
        if self.config.aux_loss_weight and all(sample.load_regions for sample in samples):
            seen = [SeenFrames(clip.sparse_frame_idx, clip.masked_frame_idx, clip.masks) for clip in clips]
            batch["regions"] = region_targets(samples, seen, self.config)
        return batch

    def _turn(self, expression: Expression, rng: np.random.Generator) -> tuple[str, str]:
        """Question and answer."""
        if SEG_TOKEN in expression.text or SEG_TOKEN in (expression.answer or ""):
            raise DataError(f"expression {expression.exp_id!r}, {expression.text!r}: {SEG_TOKEN} stands for a mask; leave it out")
        text = phrase(expression.text, "raw")
        if expression.answer and not expression.obj_ids:
            return text, expression.answer
        question, affirmation = self.phrases(text, expression.is_sentence, rng)
        affirmation = self._with_all_segs(affirmation)
        if expression.answer:
            return explanatory_question(text, rng), f"{affirmation} {expression.answer}"
        if not expression.obj_ids and rng.random() < 0.5:
            return question, ABSENT_ANSWER
        return question, affirmation

    def _clip(self, sample: Sample, rng: np.random.Generator) -> Clip:
        """One clip's frames: S for the tower, D of their slots, and the supervised ones with their masks."""
        num_sparse = self.config.num_sparse
        chosen = self.clip_sampler(sample.video.num_frames, num_sparse, self.config.num_dense, rng)
        dense_slots = chosen.dense_slots
        sparse_frames = sample.video.frames(chosen.sparse_frame_idx.tolist())
        candidates = dense_slots if self.config.token_per_frame else np.arange(num_sparse)
        slots = dense_slots if self.num_supervised is None else np.sort(rng.choice(candidates, self.num_supervised, replace=False))
        masked_frame_idx = chosen.sparse_frame_idx[slots]
        return Clip(
            sparse_frame_idx=chosen.sparse_frame_idx,
            sparse_frames=sparse_frames,
            dense_slots=dense_slots,
            masked_frame_idx=masked_frame_idx,
            masked_frames=sparse_frames[slots],
            masks=sample.masks(masked_frame_idx),
            seg_index=np.searchsorted(dense_slots, slots) if self.config.token_per_frame else np.zeros_like(slots),
        )
