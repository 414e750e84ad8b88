"""VideoLISA behind the `Segmenter` protocol: an answer, given or written by the model; each [SEG] in it is one object on every frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saymask.errors import ConfigError
from saymask.models.base import Answer, MaskLogits, VideoView
from saymask.models.prompts import check_answer_mode, forced_answer
from saymask.models.videolisa import Generated, VideoLisaModel
from saymask.models.videolisa_processor import VideoLisaProcessor
from saymask.models.visual import sparse_dense_tokens
from saymask.records import Video

QUERY_GROUP = 16
"""Queries per forward pass of the language model; bounds its memory, not the result."""

MAX_ANSWER_TOKENS = 128
"""Where an answer that does not end is cut off."""


class VideoLisaSegmenter:
    """A loaded VideoLISA model, in inference mode."""

    def __init__(self, model: VideoLisaModel, processor: VideoLisaProcessor, name: str, weights_file: Path | None = None):
        self.model = model.eval()
        self.processor = processor
        self.name = name
        self.weights_file = weights_file
        self.config = model.config

    @torch.inference_mode()
    def encode_vision(self, frames_THWC: np.ndarray) -> Tensor:
        pixels_TChw = self.processor.tower_pixels(frames_THWC, self.model.device)
        return self.model.visual(pixels_TChw.to(self.model.dtype))

    @torch.inference_mode()
    def encode_image(self, frames_THWC: np.ndarray) -> Tensor:
        pixels_TChw, _ = self.processor.mask_pixels(frames_THWC, self.model.device)
        return self.model.mask_head.encode(pixels_TChw.to(self.model.dtype))

    @torch.inference_mode()
    def reason(self, view: VideoView, queries: Sequence[str], template: str = "auto", answer: str = "forced") -> list[Answer]:
        check_answer_mode(answer)
        chosen = self.processor.choose_frames(view.video.num_frames)
        tokens_SPE = view.vision_tokens(chosen.sparse_frame_idx.tolist())
        dense_slots_1D = torch.from_numpy(chosen.dense_slots)[None].to(tokens_SPE.device)
        visual_1VE = sparse_dense_tokens(tokens_SPE[None], dense_slots_1D)
        dense_frames = tuple(dict.fromkeys(chosen.dense_frame_idx.tolist()))
        read = self._write_answers if answer == "generate" else self._force_answers
        answers = []
        for start in range(0, len(queries), QUERY_GROUP):
            group = queries[start : start + QUERY_GROUP]
            for query, (text, seg_hidden_NE) in zip(group, read(group, template, visual_1VE), strict=True):
                prompts_N1C = self.model.prompt_projector(seg_hidden_NE)[:, None]
                answers.append(Answer(text, (query,) * len(seg_hidden_NE), prompts_N1C, reference_frames=dense_frames))
        return answers

    def _force_answers(self, queries: Sequence[str], template: str, visual_1VE: Tensor) -> list[tuple[str, Tensor]]:
        """One pass with the answer given; the state of its [SEG] per query."""
        input_ids_BI = self.processor.to_inputs(queries, template).to(self.model.device)
        self._check_length(input_ids_BI.shape[1] - 1 + visual_1VE.shape[1])
        hidden_BLE, spliced = self.model.hidden_states(input_ids_BI, visual_1VE.expand(len(queries), -1, -1))
        # The forced answer is the last thing in a chat: a [SEG] that the user typed comes before it and is not the answer's.
        seg_hidden_NE, row_N = self.model.seg_hidden(input_ids_BI, hidden_BLE, spliced)
        last_of_row = {row: n for n, row in enumerate(row_N.tolist())}
        return [(forced_answer(template), seg_hidden_NE[last_of_row[row], None]) for row in range(len(queries))]

    def _write_answers(self, queries: Sequence[str], template: str, visual_1VE: Tensor) -> list[tuple[str, Tensor]]:
        """The model's own words, with a state for every [SEG] it says; questions of one length are answered together."""
        rows = [self.processor.to_inputs([query], template, "generate") for query in queries]
        self._check_length(max(row.shape[1] for row in rows) - 1 + visual_1VE.shape[1] + MAX_ANSWER_TOKENS)
        written: dict[int, Generated] = {}
        for length in sorted({row.shape[1] for row in rows}):
            members = [i for i, row in enumerate(rows) if row.shape[1] == length]
            input_ids_BI = torch.cat([rows[i] for i in members]).to(self.model.device)
            visual_BVE = visual_1VE.expand(len(members), -1, -1)
            answers = self.model.generate(input_ids_BI, visual_BVE, self.processor.end_token_id, MAX_ANSWER_TOKENS)
            written.update(zip(members, answers, strict=True))
        return [(self.processor.decode_answer(written[i].token_ids), written[i].seg_hidden_NE) for i in range(len(queries))]

    def _check_length(self, length: int) -> None:
        """Past its context a language model answers nonsense without complaint."""
        limit = self.config.text_config.max_position_embeddings
        if length > limit:
            raise ConfigError(
                f"the longest query needs {length} tokens with the video's, model {self.name!r} reads at most {limit}; shorten it"
            )

    @torch.inference_mode()
    def decode(self, features_TChw: Tensor, video: Video, answers: Sequence[Answer]) -> MaskLogits:
        prompts_NKC = torch.cat([answer.prompts_NKC for answer in answers])
        prompts_TNKC = prompts_NKC[None].expand(len(features_TChw), -1, -1, -1)
        lowres_TNhw = self.model.mask_head.decode(features_TChw, prompts_TNKC)
        return MaskLogits(lowres_TNhw, self.processor.geometry(video.height, video.width))

    def notice(self, video: Video) -> str | None:
        if not self.config.domain_tag or video.tags.get("comment") == self.config.domain_tag:
            return None
        return f"model {self.name!r} was trained on drawn scenes; for natural video use -m videolisa-3.8b"

    def unknown_words(self, query: str) -> list[str]:
        lexicon = {word.lower() for word in self.config.lexicon}
        words = re.findall(r"[\w'-]+", query.lower())
        return [word for word in dict.fromkeys(words) if lexicon and word not in lexicon]
