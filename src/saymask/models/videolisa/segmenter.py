"""VideoLISA behind the `Segmenter` protocol: an answer, given or written by the model; each [SEG] in it is one object on every frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from saymask.errors import ConfigError
from saymask.models.base import Answer, MaskLogits, ObjectAnswer, VideoView
from saymask.models.network_segmenter import NetworkSegmenter
from saymask.models.parts.reasoning import Generated
from saymask.models.parts.visual_prefix import VisualPrefix, split_at_video
from saymask.models.videolisa import FAMILY
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.options import VideoLisaOptions
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.records import Video
from saymask.video.sampling import SparseDense

MAX_ANSWER_TOKENS = 128
"""Where an answer that does not end is cut off."""


class VideoLisaSegmenter(NetworkSegmenter[VideoLisaModel, VideoLisaProcessor]):
    """A loaded VideoLISA model, in inference mode."""

    family = FAMILY

    @torch.inference_mode()
    def reason(self, view: VideoView, queries: Sequence[str], options: VideoLisaOptions) -> list[Answer]:
        writes = options.answer == "generate"
        rows = [split_at_video(self.processor.to_inputs([query], options.template, options.answer)) for query in queries]
        opening_ids_P, suffixes = rows[0][0], [suffix_1J[0] for _, suffix_1J in rows]
        num_more = max(map(len, suffixes)) + (MAX_ANSWER_TOKENS if writes else 0)
        self._check_length(len(opening_ids_P) + self.config.num_visual + num_more)
        chosen = self.processor.choose_frames(view.video.num_frames)
        prefix = view.recall(("visual prefix", *opening_ids_P.tolist()), lambda: self._read_video(view, chosen, opening_ids_P))
        seg_states: dict[int, Tensor] = {}
        texts: dict[int, str] = {}
        for members in _groups(list(map(len, suffixes)), prefix.rows_within(view.budget_bytes, num_more), equal_lengths=writes):
            group = [suffixes[i] for i in members]
            if writes:
                written = self._write_answers(prefix, group)
                texts.update(zip(members, (self.processor.decode_answer(one.token_ids) for one in written), strict=True))
                seg_states.update(zip(members, (one.seg_hidden_NE for one in written), strict=True))
            else:
                texts.update(dict.fromkeys(members, self.processor.forced_answer(options.template)))
                seg_states.update(zip(members, self._force_answers(prefix, group), strict=True))
        return [self._answer(texts[i], seg_states[i], chosen) for i in range(len(queries))]

    def _answer(self, text: str, seg_hidden_KE: Tensor, chosen: SparseDense) -> Answer:
        """One object per [SEG]; or, where a model has one [SEG] per dense frame, one object for all of them."""
        prompts_K1C = self.model.prompt_projector(seg_hidden_KE)[:, None]
        frame_idx = chosen.dense_frame_idx.tolist()
        dense_frames = tuple(dict.fromkeys(frame_idx))
        notes = {"reference_frames": list(dense_frames)}
        if not (self.config.token_per_frame and len(prompts_K1C)):
            objects = (
                ObjectAnswer(presence=self._presence(prompt_1C), prompt_KC=prompt_1C, reference_frames=dense_frames)
                for prompt_1C in prompts_K1C
            )
            return Answer(text, tuple(objects), notes)
        frame_prompts = dict(zip(frame_idx, prompts_K1C, strict=False))
        presence = self._presence(torch.cat(list(frame_prompts.values())))
        return Answer(text, (ObjectAnswer(presence=presence, frame_prompts=frame_prompts, reference_frames=dense_frames),), notes)

    def _presence(self, prompt_KC: Tensor) -> float | None:
        """How sure the model is that an object is in the video, if it has learnt to say it."""
        if not self.config.presence_head:
            return None
        return float((self.model.presence_head(prompt_KC).float().max() / self.config.presence_temperature).sigmoid())

    def _read_video(self, view: VideoView, chosen: SparseDense, opening_ids_P: Tensor) -> VisualPrefix:
        """What every query about this video begins with."""
        tokens_SPE = view.recall_frames("tower tokens", chosen.sparse_frame_idx.tolist(), self.encode_vision)
        dense_slots_1D = torch.from_numpy(chosen.dense_slots)[None].to(tokens_SPE.device)
        return self.model.read_prefix(opening_ids_P.to(tokens_SPE.device), self.model.lay_out(tokens_SPE[None], dense_slots_1D))

    def _force_answers(self, prefix: VisualPrefix, suffixes: Sequence[Tensor]) -> list[Tensor]:
        """The answer is given; the states that predict its K [SEG], as seg_hidden_KE for each row."""
        hidden_BJE, _ = self.model.read_suffix(prefix, pad_sequence(list(suffixes), batch_first=True).to(self.model.device))
        # The forced answer is the last thing in a chat: a [SEG] that the user typed comes before it and is not the answer's.
        num_seg = self.processor.num_seg
        seg_at_K = [(ids_J == self.config.seg_token_id).nonzero()[-num_seg:, 0] for ids_J in suffixes]
        return [hidden_BJE[row, at_K - 1] for row, at_K in enumerate(seg_at_K)]

    def _write_answers(self, prefix: VisualPrefix, suffixes: Sequence[Tensor]) -> list[Generated]:
        """The model's own words, with a state for every [SEG] it says."""
        suffix_ids_BJ = torch.stack(list(suffixes)).to(self.model.device)
        return self.model.generate(prefix, suffix_ids_BJ, self.processor.end_token_id, MAX_ANSWER_TOKENS)

    def _check_length(self, length: int) -> None:
        """Past its context a language model answers nonsense without complaint."""
        limit = self.config.text_config.max_position_embeddings
        if length > limit:
            raise ConfigError(
                f"the longest query needs {length} tokens with the video's, model {self.name!r} reads at most {limit}; shorten it"
            )

    @torch.inference_mode()
    def decode(self, features_TChw: Tensor, frame_idx: Sequence[int], video: Video, answers: Sequence[Answer]) -> MaskLogits:
        objects = [obj for answer in answers for obj in answer.objects]
        prompts_TNKC = torch.stack([torch.stack([_prompt_on(obj, i) for obj in objects]) for i in frame_idx])
        lowres_TNhw = self.model.mask_head.decode(features_TChw, prompts_TNKC)
        return MaskLogits(lowres_TNhw, self.processor.geometry(video.height, video.width))


def _prompt_on(obj: ObjectAnswer, frame_idx: int) -> Tensor:
    """prompt_KC of a frame: the object's common one, or that of the nearest frame with a [SEG] of its own."""
    if obj.prompt_KC is not None:
        return obj.prompt_KC
    return obj.frame_prompts[min(obj.frame_prompts, key=lambda i: abs(i - frame_idx))]


def _groups(lengths: Sequence[int], most: int, equal_lengths: bool) -> Iterator[list[int]]:
    """Indices of the rows that go through the language model together: at most so many, short ones with short ones."""
    by_length = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for _, members in groupby(by_length, key=lambda i: lengths[i] if equal_lengths else 0):
        run = list(members)
        yield from (run[start : start + most] for start in range(0, len(run), most))
