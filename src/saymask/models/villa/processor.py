"""Everything between records and a ViLLa batch: tokenizer, answers that name their objects, key frames, pixels, targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from saymask.errors import DataError
from saymask.models.parts.chat import IGNORE_LABEL, SEG_TOKEN, answer_labels, encode
from saymask.models.parts.pixels import PixelProcessor
from saymask.models.parts.tokenizer import Tokenizer
from saymask.models.villa.config import VillaConfig
from saymask.models.villa.model import ObjectTargets
from saymask.models.villa.prompts import ABSENT_ANSWER, FORCED_ANSWER, FRAME_TOKEN, NOOBJ_TOKEN, chat, naming_answer, question
from saymask.records import Video
from saymask.samples import Expression, Phrase, Sample
from saymask.video.sampling import jittered, uniform


@dataclass(frozen=True)
class Turn:
    """A training chat: the question, the answer, the objects of each of its [SEG] with the phrase they belong to, and whether the model
    is taught to say it or is given it."""

    question: str
    answer: str
    objects: tuple[tuple[int, ...], ...]
    groups: tuple[int, ...]
    is_taught: bool = True


class VillaProcessor(PixelProcessor):
    """Turns samples and queries into tensors for `VillaModel`.

    Args:
        tokenizer: must know `[SEG]`, `[NOOBJ]` and `[FRM]` as one token each.
        config: the model's numbers.
        num_supervised: key frames per clip that get mask losses in training; None = all.
        forced_share: share of the training chats about one object, or none, whose answer is given: an empty target teaches its mask and
            presence to be silent.
    """

    tokens: ClassVar[Mapping[str, str]] = {"seg_token_id": SEG_TOKEN, "noobj_token_id": NOOBJ_TOKEN, "frame_token_id": FRAME_TOKEN}
    """Marks that are one token each, by the configuration's names of their ids."""

    def __init__(self, tokenizer: Tokenizer, config: VillaConfig, num_supervised: int | None = None, forced_share: float = 0.25):
        self.tokenizer = tokenizer
        self.config = config
        self.num_supervised = num_supervised or config.num_key_frames
        self.forced_share = forced_share
        if not 1 <= self.num_supervised <= config.num_key_frames:
            raise ValueError(f"num_supervised = {num_supervised}: a clip has {config.num_key_frames} key frames")
        for name, token in self.tokens.items():
            wanted = getattr(config, name)
            found = tokenizer.encode(token, add_special_tokens=False)
            if found[-1:] != [wanted]:
                raise ValueError(f"the tokenizer gives {token} the id {found[-1]}, the model expects {wanted}")

    # -- text ---------------------------------------------------------------------------------------------------------------------

    @staticmethod
    def tokenizer_texts(sentences: Iterable[str], system_prompt: str) -> Iterator[str]:
        """Chats with these sentences, for a tokenizer to learn its pieces from."""
        answers = (FORCED_ANSWER, ABSENT_ANSWER)
        return (chat(question(text), 1, answer, system_prompt) for text in sentences for answer in answers)

    def encode_chat(self, asked: str, num_frames: int, answer: str) -> tuple[list[int], list[int]]:
        """Token ids of one turn and its labels (the answer and the closing token are supervised)."""
        input_ids = self._encode(chat(asked, num_frames, answer, self.config.system_prompt))
        return input_ids, answer_labels(input_ids, len(self.encode_question(asked, num_frames)))

    def encode_question(self, asked: str, num_frames: int) -> list[int]:
        """Token ids up to where the answer begins."""
        return self._encode(chat(asked, num_frames, "", self.config.system_prompt).removesuffix("<|end|>"))

    def decode_answer(self, token_ids: Sequence[int]) -> str:
        """Text of an answer's tokens; marks stay visible."""
        return cast(str, self.tokenizer.decode(list(token_ids)))

    def _encode(self, text: str) -> list[int]:
        return encode(text, self.tokenizer.encode, cast(int | None, self.tokenizer.bos_token_id))

    @property
    def end_token_id(self) -> int:
        """Id of the token that closes a turn."""
        return cast(int, self.tokenizer.convert_tokens_to_ids("<|end|>"))

    # -- inference ----------------------------------------------------------------------------------------------------------------

    def to_inputs(self, asked: str, num_frames: int, answer: str = "generate") -> Tensor:
        """A chat that ends where the model's answer begins, or ("forced") with the given answer -> input_ids_1I."""
        forced = answer == "forced"
        ids = self.encode_chat(asked, num_frames, FORCED_ANSWER)[0] if forced else self.encode_question(asked, num_frames)
        return torch.tensor([ids])

    # -- training -----------------------------------------------------------------------------------------------------------------

    def drawn_frames(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """Which frames of a drawn timeline a batch shows: one of each of so many equal parts as a clip has frames."""
        parts = self.config.num_context + self.config.num_key_frames
        return jittered(num_frames, parts, 1, rng).sparse_frame_idx

    def training_frames(self, num_frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Key frames of a training clip and the segment of each: half of the time a random window in each part of the video, else
        spread over it, so that a model is not lost where the sampler errs."""
        config = self.config
        per_segment = config.frames_per_segment
        if rng.random() < 0.5:
            return jittered(num_frames, config.num_key_frames, 1, rng).sparse_frame_idx, np.zeros(config.num_key_frames, dtype=np.int64)
        bounds = np.linspace(0, num_frames, config.num_segments + 1).astype(np.int64)
        windows = []
        for first, stop in zip(bounds[:-1], np.maximum(bounds[1:], bounds[:-1] + 1), strict=True):
            length = int(rng.integers(min(per_segment, stop - first), stop - first + 1))
            start = int(rng.integers(first, stop - length + 1))
            windows.append(np.linspace(start, start + length - 1, per_segment).round().astype(np.int64))
        return np.concatenate(windows).clip(max=num_frames - 1), np.repeat(np.arange(config.num_segments), per_segment)

    def to_batch(self, samples: Sequence[Sample], rng: np.random.Generator) -> dict[str, Any]:
        """Training batch for `VillaModel.forward`."""
        rows: list[dict[str, Any]] = [self._row(sample, rng) for sample in samples]
        batch: dict[str, Any] = {
            "input_ids_BI": _pad([row["ids"] for row in rows], cast(int | None, self.tokenizer.pad_token_id) or 0),
            "labels_BI": _pad([row["labels"] for row in rows], IGNORE_LABEL),
            "targets": [row["targets"] for row in rows],
        }
        for name in ("tower_pixels_BSChw", "fraction_BS", "segment_BK", "supervised_BD"):
            batch[name] = torch.stack([row[name] for row in rows])
        masked = [self.mask_pixels(row["masked_frames"]) for row in rows]
        return {**batch, "mask_pixels_BDChw": torch.stack([pixels for pixels, _ in masked]), "geometries": [each for _, each in masked]}

    def _row(self, sample: Sample, rng: np.random.Generator) -> dict[str, Any]:
        """One clip: frames, chat and truth."""
        num_frames = sample.video.num_frames
        key_idx, segment = self.training_frames(num_frames, rng)
        shown_idx = np.r_[uniform(num_frames, self.config.num_context), key_idx]
        frames_SHWC = sample.video.frames(shown_idx.tolist())
        slots = np.sort(rng.choice(len(key_idx), self.num_supervised, replace=False))
        turn = self._turn(sample, rng)
        ids, labels = self.encode_chat(turn.question, len(key_idx), turn.answer)
        if not turn.is_taught:  # a given answer teaches nothing but that its [SEG] comes
            labels = [label if label == self.config.seg_token_id else IGNORE_LABEL for label in labels]
        masks_NKHW = self._object_masks(sample, turn.objects, key_idx)
        targets = ObjectTargets(
            masks_NDHW=torch.from_numpy(masks_NKHW[:, slots]).float(),
            visible_NK=torch.from_numpy(masks_NKHW.any((2, 3))).float(),
            group_N=turn.groups,
            is_absent=not sample.expression.obj_ids,
        )
        return {
            "ids": ids,
            "labels": labels,
            "targets": targets,
            "tower_pixels_BSChw": self.tower_pixels(frames_SHWC),
            "fraction_BS": torch.from_numpy(fractions(sample.video, shown_idx)),
            "segment_BK": torch.from_numpy(segment),
            "supervised_BD": torch.from_numpy(slots),
            "masked_frames": frames_SHWC[self.config.num_context + slots],
        }

    def _turn(self, sample: Sample, rng: np.random.Generator) -> Turn:
        """What is asked and answered about a sample."""
        expression = sample.expression
        if SEG_TOKEN in expression.text or SEG_TOKEN in (expression.answer or ""):
            raise DataError(f"expression {expression.exp_id!r}, {expression.text!r}: {SEG_TOKEN} stands for a mask; leave it out")
        if expression.answer and not expression.obj_ids:
            return Turn(question(expression.text, "raw"), expression.answer, (), ())
        asked = question(expression.text, is_sentence=expression.is_sentence)
        if len(expression.obj_ids) < 2 and rng.random() < (self.forced_share if expression.obj_ids else 2 * self.forced_share):
            return Turn(asked, FORCED_ANSWER, (expression.obj_ids,), (0,), is_taught=False)
        if not expression.obj_ids:
            return Turn(asked, ABSENT_ANSWER, (), ())
        phrases = expression.phrases or (Phrase(_own_words(expression), expression.obj_ids),)
        named = [(phrase.text, len(phrase.obj_ids)) for phrase in phrases]
        objects = tuple((obj_id,) for phrase in phrases for obj_id in phrase.obj_ids)
        groups = tuple(group for group, phrase in enumerate(phrases) for _ in phrase.obj_ids)
        if len(objects) > self.config.max_objects:  # more than the model names: all of them as one
            named, objects, groups = [(_own_words(expression), 1)], (expression.obj_ids,), (0,)
        answer = " ".join(filter(None, (naming_answer(named), expression.answer)))
        return Turn(asked, answer, objects, groups)

    @staticmethod
    def _object_masks(sample: Sample, objects: Sequence[Sequence[int]], frame_idx: np.ndarray) -> np.ndarray:
        """Bool masks_NKHW, one for each [SEG]."""
        height, width = sample.video.height, sample.video.width
        if not objects:
            return np.zeros((0, len(frame_idx), height, width), dtype=bool)
        if not sample.expression.obj_ids:
            return np.zeros((1, len(frame_idx), height, width), dtype=bool)
        instances_NKHW = sample.instances(frame_idx)
        place = {obj_id: i for i, obj_id in enumerate(sample.expression.obj_ids)}
        return np.stack([instances_NKHW[[place[obj_id] for obj_id in of_seg]].any(0) for of_seg in objects])


def fractions(video: Video, frame_idx: np.ndarray) -> np.ndarray:
    """Place of each frame in the whole video by its time, float32 in 0 ... 1."""
    return ((video.timestamps_T[frame_idx] - video.timestamps_T[0]) / video.duration).astype(np.float32)


def _own_words(expression: Expression) -> str:
    """What to call objects of which a dataset only has the query: its noun phrase, or a pronoun."""
    return ("it" if len(expression.obj_ids) == 1 else "they") if expression.is_sentence else expression.text.strip()


def _pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Right-pad rows of ids to one length."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)
