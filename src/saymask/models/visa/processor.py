"""Everything between records and a VISA batch: tokenizer, words, frame choice, pixels, targets.

`to_batch` (training) and `opening_and_suffix` (inference) share the same private steps, so the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from saymask.errors import DataError
from saymask.models.parts.auxiliary import SeenFrames, region_targets
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID, SEG_TOKEN, encode
from saymask.models.parts.pixels import PixelProcessor
from saymask.models.parts.tokenizer import Tokenizer
from saymask.models.visa import votes
from saymask.models.visa.context import training_frames
from saymask.models.visa.model import VisaConfig
from saymask.models.visa.prompts import ABSENT_ANSWER, BRIEF
from saymask.samples import Expression, Sample


@dataclass(frozen=True)
class Clip:
    """One video of a batch with its expressions.

    Args:
        samples: expressions of one video.
        context_idx, target: frames of the video.
        context_frames, target_frame: their pixels, uint8 SHWC and HWC.
        masks: of each sample on the target frame, bool NHW.
        is_foreign: the target is a frame of another video, where nothing is found.
    """

    samples: Sequence[Sample]
    context_idx: list[int]
    target: int
    context_frames: np.ndarray
    target_frame: np.ndarray
    masks: np.ndarray
    is_foreign: bool = False


class VisaProcessor(PixelProcessor):
    """Turns samples and queries into tensors for `VisaModel`.

    Args:
        tokenizer: must know `[SEG]` and the end of a turn as one token each.
        config: the model's numbers.
        context_range: least and most context frames of a training clip; None = the model's number, always.
        foreign_share: how often the target of a training clip comes from another video of the batch, with empty masks and an answer that
            affirms them (5 % in the paper); needs batches of several videos.
        refusal_share: how many expressions of nothing are answered in words, without a mask; the paper affirms an empty mask.
        percentage_share: how many clips are asked the frame sampler's question as well, and answered by where the target is seen.
    """

    tokens: ClassVar[Mapping[str, str]] = {"seg_token_id": SEG_TOKEN}
    """Marks that are one token each, by the configuration's name of their id."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: VisaConfig,
        context_range: tuple[int, int] | None = None,
        foreign_share: float = 0.0,
        refusal_share: float = 0.5,
        percentage_share: float = 0.0,
    ):
        self.tokenizer = tokenizer
        self.config: VisaConfig = config
        least, most = context_range or (config.num_context, config.num_context)
        if not 1 <= least <= most:
            raise ValueError(f"context_range = {context_range}: a training clip has at least one context frame")
        for name, share in (("foreign", foreign_share), ("refusal", refusal_share), ("percentage", percentage_share)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name}_share = {share} is no share: give 0 ... 1")
        self.context_range = (least, most)
        self.foreign_share = foreign_share
        self.refusal_share = refusal_share
        self.percentage_share = percentage_share
        seg_ids = tokenizer.encode(SEG_TOKEN, add_special_tokens=False)
        if seg_ids[-1] != config.seg_token_id:
            raise ValueError(f"the tokenizer gives {SEG_TOKEN} the id {seg_ids[-1]}, the model expects {config.seg_token_id}")

    # -- text ---------------------------------------------------------------------------------------------------------------------

    def encode_chat(self, *turns: tuple[str, str]) -> tuple[list[int], list[int]]:
        """Token ids of a chat and its labels (answers and what closes them are supervised)."""
        words, system, end = self.config.words, self.config.system_prompt, self.config.end_of_turn
        input_ids = self._encode(words.chat(turns, system, end))
        labels = [IGNORE_LABEL] * len(input_ids)
        for number, (question, _) in enumerate(turns):
            first = len(self._encode(words.asked(turns[:number], question, system, end)))
            last = len(self._encode(words.chat(turns[: number + 1], system, end)))
            labels[first:last] = input_ids[first:last]
        return input_ids, labels

    def encode_question(self, question: str) -> list[int]:
        """Token ids up to where the answer begins."""
        return self._encode(self.config.words.asked((), question, self.config.system_prompt, self.config.end_of_turn))

    def decode_answer(self, token_ids: Sequence[int]) -> str:
        """Text of an answer's tokens; `[SEG]` stays visible."""
        return cast(str, self.tokenizer.decode(list(token_ids))).strip()

    @property
    def end_token_id(self) -> int:
        """Id of the token that closes an answer."""
        return cast(int, self.tokenizer.convert_tokens_to_ids(self.config.end_of_turn))

    def _encode(self, text: str) -> list[int]:
        return encode(text, self.tokenizer.encode, cast(int | None, self.tokenizer.bos_token_id))

    # -- inference ----------------------------------------------------------------------------------------------------------------

    def opening_and_suffix(self, question: str, answer: str = "") -> tuple[Tensor, Tensor]:
        """Ids of a chat up to its last frame, and what follows; without an answer it ends where the model's own begins."""
        input_ids_I = torch.tensor(self.encode_chat((question, answer))[0] if answer else self.encode_question(question))
        end = int((input_ids_I == IMAGE_TOKEN_ID).nonzero()[-1]) + 1
        return input_ids_I[:end], input_ids_I[end:]

    # -- training -----------------------------------------------------------------------------------------------------------------

    @staticmethod
    def tokenizer_texts(sentences: Iterable[str], system_prompt: str) -> Iterator[str]:
        """Chats with these sentences, for a tokenizer to learn its pieces from."""
        for text in sentences:
            yield BRIEF.chat([(BRIEF.about_target(BRIEF.instruct(text), 1), BRIEF.forced_answer)], system_prompt, "<|end|>")
            yield BRIEF.chat([(BRIEF.about_video(BRIEF.sampler_question(text), 1), "50%")], system_prompt, "<|end|>")
            yield ABSENT_ANSWER

    def drawn_frames(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """Which frames of a drawn timeline a batch shows."""
        return np.array(training_frames(num_frames, self.context_range[1], rng))

    def to_batch(self, samples: Sequence[Sample], rng: np.random.Generator) -> dict[str, Any]:
        """Training batch for `VisaModel.forward`; consecutive samples of one video share its frames."""
        clips = [self._clip(list(group), rng) for _, group in groupby(samples, key=lambda sample: sample.video.name)]
        if len(clips) > 1:
            clips = [_with_foreign_target(clip, other) if rng.random() < self.foreign_share else clip for clip, other in _neighbours(clips)]
        chats = [self._chats(clip, rng) for clip in clips]
        masked = [self.mask_pixels(clip.target_frame[None]) for clip in clips]
        says_seg = [
            [self.config.seg_token_id in labels for _, labels in rows][: len(clip.samples)] for rows, clip in zip(chats, clips, strict=True)
        ]
        batch: dict[str, Any] = {
            "input_ids": [self._pad([ids for ids, _ in rows], self._pad_id) for rows in chats],
            "labels": [self._pad([labels for _, labels in rows], IGNORE_LABEL) for rows in chats],
            "tower_pixels": [
                torch.cat([self.tower_pixels(clip.context_frames), self.tower_pixels(clip.target_frame[None])]) for clip in clips
            ],
            "mask_pixels_BChw": torch.cat([pixels for pixels, _ in masked]),
            "geometries": [geometry for _, geometry in masked],
            "targets": [torch.from_numpy(clip.masks[says]).float() for clip, says in zip(clips, says_seg, strict=True)],
            "is_absent": [
                torch.tensor([clip.is_foreign or not sample.expression.obj_ids for sample in clip.samples])[torch.tensor(says)]
                for clip, says in zip(clips, says_seg, strict=True)
            ],
        }
        if self.config.aux_loss_weight and all(len(clip.samples) == 1 and clip.samples[0].load_regions for clip in clips):
            seen = [SeenFrames(np.array([*clip.context_idx, clip.target]), np.array([clip.target]), clip.masks) for clip in clips]
            batch["regions"] = region_targets([clip.samples[0] for clip in clips], seen, self.config)
        return batch

    def _clip(self, samples: Sequence[Sample], rng: np.random.Generator) -> Clip:
        """The frames of one video: context from all of it, the target one of them."""
        video = samples[0].video
        count = int(rng.integers(self.context_range[0], self.context_range[1] + 1))
        context_idx = training_frames(video.num_frames, count, rng)
        target = int(rng.choice(context_idx))
        frames = video.frames(context_idx)
        masks = np.stack([sample.masks([target])[0] for sample in samples])
        return Clip(samples, context_idx, target, frames, frames[context_idx.index(target)], masks)

    def _chats(self, clip: Clip, rng: np.random.Generator) -> list[tuple[list[int], list[int]]]:
        """A chat for each sample, and perhaps one about the marks at which the first sample's target is seen."""
        chats = [self.encode_chat(self._turn(sample.expression, len(clip.context_idx), rng)) for sample in clip.samples]
        first = clip.samples[0]
        if first.expression.obj_ids and rng.random() < self.percentage_share:
            marks = visible_marks(first.masks(clip.context_idx).sum((1, 2)))
            words = self.config.words
            asked = words.about_video(words.sampler_question(first.expression.text), len(clip.context_idx))
            chats.append(self.encode_chat((asked, f"{10 * int(rng.choice(marks))}%")))
        return chats

    def _turn(self, expression: Expression, num_context: int, rng: np.random.Generator) -> tuple[str, str]:
        """Question and answer about the target; in words alone where the dataset has words and no object."""
        if SEG_TOKEN in expression.text or SEG_TOKEN in (expression.answer or ""):
            raise DataError(f"expression {expression.exp_id!r}, {expression.text!r}: {SEG_TOKEN} stands for a mask; leave it out")
        text = expression.text.strip()
        words = self.config.words
        affirmed = _one_of(words.answers, rng)
        if expression.answer and not expression.obj_ids:
            return words.about_video(text, num_context), expression.answer
        if expression.answer and rng.random() < 0.5:
            instruction = _one_of(words.explanatory, rng).format(text)
            return words.about_target(instruction, num_context), f"{affirmed} {expression.answer}"
        pool = words.long if text.endswith("?") or expression.is_sentence else words.short
        question = words.about_target(_one_of(pool, rng).format(text), num_context)
        if not expression.obj_ids and rng.random() < self.refusal_share:
            return question, ABSENT_ANSWER
        return question, affirmed

    def _pad(self, rows: Sequence[Sequence[int]], value: int) -> Tensor:
        """Right-pad rows of ids to one length."""
        return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)

    @property
    def _pad_id(self) -> int:
        return cast(int | None, self.tokenizer.pad_token_id) or 0


def visible_marks(area_T: np.ndarray) -> list[int]:
    """Marks at whose frame the target shows at least half of the largest area it has; all marks if it is never seen."""
    shown_T = area_T * 2 >= max(int(area_T.max()), 1)
    return [mark for mark in range(votes.NUM_MARKS) if not area_T.any() or shown_T[votes.frame_at(mark, len(area_T))]]


def _one_of(pool: Sequence[str], rng: np.random.Generator) -> str:
    return pool[int(rng.integers(len(pool)))]


def _neighbours(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Clip]]:
    """Each clip of a batch with the one before it."""
    return zip(clips, [clips[-1], *clips[:-1]], strict=True)


def _with_foreign_target(clip: Clip, other: Clip) -> Clip:
    """The clip with the target frame of another video, in which nothing is found."""
    nothing = np.zeros((len(clip.samples), *other.target_frame.shape[:2]), dtype=bool)
    return replace(clip, target_frame=other.target_frame, masks=nothing, is_foreign=True)
