"""ViLLa behind the `Segmenter` protocol: key frames, an answer that names objects, a masklet for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache

from saymask.errors import ConfigError
from saymask.models.base import Answer, MaskLogits, ObjectAnswer, Segmenter, VideoView
from saymask.models.checkpoints import bundled_folder, load_folder
from saymask.models.network_segmenter import NetworkSegmenter
from saymask.models.parts.chat import IGNORE_LABEL
from saymask.models.parts.visual_prefix import VisualPrefix, split_at_video
from saymask.models.villa import FAMILY
from saymask.models.villa.dual_encoder import load_dual_encoder
from saymask.models.villa.key_segments import COARSE_FRAMES, KeyFrames, choose_key_frames, evenly
from saymask.models.villa.model import ObjectTokens, VillaModel
from saymask.models.villa.options import VillaOptions
from saymask.models.villa.processor import VillaProcessor, fractions
from saymask.models.villa.prompts import FORCED_ANSWER, named_phrases, question
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.samples import MultipleChoice
from saymask.video.sampling import uniform

MAX_ANSWER_TOKENS = 128
"""Where an answer that does not end is cut off."""
SILENT = -32.0
"""Mask logit on a key frame on which the object is not to be seen."""


def load_villa_toy(runtime: Runtime) -> Segmenter:
    """The model in this package, trained by this repository on drawn scenes."""
    return load_folder(bundled_folder("villa-toy"), runtime, name="villa-toy")


@dataclass(frozen=True)
class ReadChat:
    """What follows the video in a chat and the last-layer states of it, the cache to go on with, the relevance of the key frames (None
    without a context synthesizer) and their segments."""

    suffix_1J: Tensor
    hidden_1JE: Tensor
    cache: Cache
    relevance_1K: Tensor | None
    segment_1K: Tensor


class VillaSegmenter(NetworkSegmenter[VillaModel, VillaProcessor]):
    """A loaded ViLLa model, in inference mode."""

    family = FAMILY

    @torch.inference_mode()
    def reason(self, view: VideoView, queries: Sequence[str], options: VillaOptions) -> list[Answer]:
        return [self._answer(view, query, options, self._choose_frames(view, query, options)) for query in queries]

    # -- key frames -----------------------------------------------------------------------------------------------------------------

    def _choose_frames(self, view: VideoView, query: str, options: VillaOptions) -> KeyFrames:
        config, num_frames = self.config, view.video.num_frames
        if not config.key_segments:
            return evenly(num_frames, config.num_key_frames, config.num_context, "switched off")
        coarse_idx = uniform(num_frames, min(num_frames, COARSE_FRAMES))
        if options.dual_encoder:
            encoder = load_dual_encoder(options.dual_encoder, self.model.device)
            described_TC = view.recall_frames(("dual encoder", options.dual_encoder), coarse_idx.tolist(), encoder.describe_frames)
            asked_C = encoder.describe_text(query)
        else:
            described_TC = view.recall_frames("pooled tokens", coarse_idx.tolist(), lambda frames: self.encode_vision(frames).mean(1))
            asked_C = self._own_descriptor(query)
        unit_TC = functional.normalize(described_TC.float(), dim=-1).cpu().numpy()
        relevance_T = unit_TC @ functional.normalize(asked_C.float(), dim=-1).cpu().numpy()
        numbers = (config.num_segments, config.frames_per_segment, config.num_context)
        return choose_key_frames(coarse_idx, unit_TC, relevance_T, num_frames, *numbers)

    def _own_descriptor(self, query: str) -> Tensor:
        """The query in the space of the pooled tokens, which the language model reads as it reads words: the mean of its words."""
        ids = self.processor.tokenizer.encode(query, add_special_tokens=False)
        return self.model.language_model.get_input_embeddings()(torch.tensor(ids, device=self.model.device)).mean(0)

    # -- the answer -----------------------------------------------------------------------------------------------------------------

    def _answer(self, view: VideoView, query: str, options: VillaOptions, chosen: KeyFrames) -> Answer:
        """Read the video and the question, give or write the answer, and make an object of every [SEG] in it."""
        asked = question(query, options.template)
        read = self._read(view, chosen, self.processor.to_inputs(asked, len(chosen.frame_idx), options.answer).to(self.model.device))
        suffix_1J, hidden_1JE = read.suffix_1J, read.hidden_1JE
        if options.answer == "forced":
            text = FORCED_ANSWER
            seg_at_N = (suffix_1J[0] == self.config.seg_token_id).nonzero()[-1:, 0]
            seg_hidden_NE = hidden_1JE[0, seg_at_N - 1]
        else:
            (written,) = self.model.write_answers(hidden_1JE, read.cache, self.processor.end_token_id, MAX_ANSWER_TOKENS)
            text, seg_hidden_NE = self.processor.decode_answer(written.token_ids), written.seg_hidden_NE[: self.config.max_objects]
        notes = {**chosen.notes, "reference_frames": chosen.frame_idx.tolist()}
        if read.relevance_1K is not None:
            notes["frame_relevance"] = [round(value, 3) for value in read.relevance_1K[0].tolist()]
        if not len(seg_hidden_NE):
            return Answer(text, (), notes)
        register_KE = hidden_1JE[0, suffix_1J[0] == self.config.frame_token_id]
        row_N = torch.zeros(len(seg_hidden_NE), dtype=torch.long, device=self.model.device)
        tokens = self.model.object_tokens(
            seg_hidden_NE, register_KE.expand(len(row_N), -1, -1), row_N, read.segment_1K.expand(len(row_N), -1)
        )
        return Answer(text, self._objects(tokens, self._phrases(text, options, len(row_N)), chosen), notes)

    def _read(self, view: VideoView, chosen: KeyFrames, input_ids_1I: Tensor) -> ReadChat:
        """Read a chat about the video; what does not depend on the query is kept for the next one."""
        device = self.model.device
        opening_ids_P, suffix_1J = split_at_video(input_ids_1I)
        self._check_length(len(opening_ids_P) + self.config.num_visual + suffix_1J.shape[1] + MAX_ANSWER_TOKENS)
        fraction_1K = torch.from_numpy(fractions(view.video, chosen.frame_idx))[None].to(device)
        segment_1K = torch.from_numpy(chosen.segment)[None].to(device)
        key_1KPE = self.model.key_tokens(self._tokens(view, chosen.frame_idx)[None], fraction_1K, segment_1K)
        key = ("visual prefix", *opening_ids_P.tolist(), *chosen.frame_idx.tolist(), *chosen.segment.tolist())
        prefix = view.recall(key, lambda: self._read_video(view, chosen, opening_ids_P, key_1KPE))
        embeds_1JE, relevance_1K = self.model.read_query(suffix_1J, self.model.is_query(suffix_1J), key_1KPE, fraction_1K)
        hidden_1JE, cache = self.model.read_embedded_suffix(prefix, embeds_1JE)
        return ReadChat(suffix_1J, hidden_1JE, cache, relevance_1K, segment_1K)

    @staticmethod
    def _phrases(text: str, options: VillaOptions, count: int) -> list[str]:
        """What each object answers to; a given answer names nothing."""
        return [""] if options.answer == "forced" else named_phrases(text)[:count]

    def _objects(self, tokens: ObjectTokens, phrases: Sequence[str], chosen: KeyFrames) -> tuple[ObjectAnswer, ...]:
        presence_N, on_frame_NK = map(self._probability, (tokens.video_presence_N, tokens.frame_presence_NK))
        frame_idx = chosen.frame_idx.tolist()
        return tuple(
            ObjectAnswer(
                phrase=phrase,
                presence=float(presence_N[n]),
                prompt_KC=tokens.video_NC[n][None],
                frame_prompts={i: torch.stack([tokens.frames_NKC[n, k], tokens.video_NC[n]]) for k, i in enumerate(frame_idx)},
                frame_presence=dict(zip(frame_idx, on_frame_NK[n].tolist(), strict=True)),
                reference_frames=tuple(frame_idx),
            )
            for n, phrase in enumerate(phrases)
        )

    def _probability(self, logits: Tensor) -> Tensor:
        """Calibrated, on the CPU."""
        return (logits.float() / self.config.presence_temperature).sigmoid().cpu()

    def _tokens(self, view: VideoView, frame_idx: np.ndarray) -> Tensor:
        return view.recall_frames("tower tokens", frame_idx.tolist(), self.encode_vision)

    def _read_video(self, view: VideoView, chosen: KeyFrames, opening_ids_P: Tensor, key_1KPE: Tensor) -> VisualPrefix:
        """What every query that looks at these key frames begins with."""
        context_fraction_1G = torch.from_numpy(fractions(view.video, chosen.context_idx))[None].to(key_1KPE.device)
        visual_1VE = self.model.lay_out(self._tokens(view, chosen.context_idx)[None], context_fraction_1G, key_1KPE)
        return self.model.read_prefix(opening_ids_P, visual_1VE)

    def _check_length(self, length: int) -> None:
        """Past its context a language model answers nonsense without complaint."""
        limit = self.config.text_config.max_position_embeddings
        if length > limit:
            raise ConfigError(f"the query needs {length} tokens with the video's, model {self.name!r} reads at most {limit}; shorten it")

    @torch.inference_mode()
    def option_scores(self, view: VideoView, choice: MultipleChoice) -> list[float]:
        asked = question(choice.text(), "raw")
        chosen = self._choose_frames(view, choice.question, VillaOptions())
        return [self._likelihood(view, chosen, asked, choice.answer(place)) for place in range(len(choice.options))]

    def _likelihood(self, view: VideoView, chosen: KeyFrames, asked: str, answer: str) -> float:
        """Mean log-likelihood of an answer's tokens."""
        ids, labels = self.processor.encode_chat(asked, len(chosen.frame_idx), answer)
        read = self._read(view, chosen, torch.tensor([ids], device=self.model.device))
        supervised_J = torch.tensor(labels, device=self.model.device)[-read.hidden_1JE.shape[1] :]
        answer_at_A = (supervised_J != IGNORE_LABEL).nonzero()[:, 0]
        logits_AV = self.model.language_model.lm_head(read.hidden_1JE[0, answer_at_A - 1]).float()
        return float(logits_AV.log_softmax(-1).gather(1, supervised_J[answer_at_A][:, None]).mean())

    # -- masks ----------------------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def decode(self, features_TChw: Tensor, frame_idx: Sequence[int], video: Video, answers: Sequence[Answer]) -> MaskLogits:
        """Key frames by their own token beside the video's, silent where the object is not to be seen; the others by the video's alone."""
        objects = [obj for answer in answers for obj in answer.objects]
        places = [(t, n) for t in range(len(frame_idx)) for n in range(len(objects))]
        keyed = [(t, n) for t, n in places if frame_idx[t] in objects[n].frame_prompts]
        other = [place for place in places if place not in set(keyed)]
        lowres: dict[tuple[int, int], Tensor] = {}
        for group in filter(None, (keyed, other)):
            prompts_FKC = torch.stack([_prompt_on(objects[n], frame_idx[t]) for t, n in group])
            masks_F1hw = self.model.mask_head.decode(features_TChw[[t for t, _ in group]], prompts_FKC[:, None])
            lowres.update(zip(group, masks_F1hw[:, 0], strict=True))
        for t, n in keyed:
            if objects[n].frame_presence[frame_idx[t]] < 0.5:
                lowres[t, n] = torch.full_like(lowres[t, n], SILENT)
        lowres_TNhw = torch.stack([torch.stack([lowres[t, n] for n in range(len(objects))]) for t in range(len(frame_idx))])
        return MaskLogits(lowres_TNhw, self.processor.geometry(video.height, video.width))


def _prompt_on(obj: ObjectAnswer, frame_idx: int) -> Tensor:
    """Prompt tokens of a frame -> prompt_KC."""
    assert obj.prompt_KC is not None
    return obj.frame_prompts.get(frame_idx, obj.prompt_KC)
