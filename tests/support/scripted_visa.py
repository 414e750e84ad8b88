"""A debug-sized VISA whose vocabulary head says what a script wants and whose mask decoder finds bright pixels; the rest is its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from saymask.models.visa.model import VisaConfig, VisaModel
from saymask.models.visa.processor import VisaProcessor
from saymask.models.visa.segmenter import VisaSegmenter
from saymask.records import Video
from saymask.toyworld.dataset import lexicon
from saymask.training.tokenizer import train_tokenizer


def debug_segmenter(**changes: object) -> VisaSegmenter:
    """Untrained, with a tokenizer of its own."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(VisaProcessor.tokenizer_texts(["the red fish", "the blue key", "Where is the apple?"], ""), vocab_size=400)
    config = VisaConfig.debug(seg_token_id=tokenizer.convert_tokens_to_ids("[SEG]"), lexicon=list(lexicon()), **changes)
    return VisaSegmenter(VisaModel(config), VisaProcessor(tokenizer, config), name="debug")


class Script:
    """What the model says.

    Args:
        segmenter: whose head speaks.
        votes: answers to the sampler's question, one for each row of its batch.
        answer: what is said about a target frame.
    """

    def __init__(self, segmenter: VisaSegmenter, votes: Sequence[str], answer: str):
        self.model = segmenter.model
        self.passes: list[int] = []
        end = segmenter.processor.end_token_id
        encode = segmenter.processor.tokenizer.encode
        self._lines: Mapping[bool, list[list[int]]] = {
            True: [[*encode(vote), end] for vote in votes],
            False: [[*encode(answer), end]],
        }
        self._end, self._spoken = end, 0
        head = self.model.language_model.lm_head
        self._size = head.out_features
        head.forward = self._say  # the instance's own attribute comes before its class's method
        read = self.model.language_model.model.forward

        def counted(*args, **kwargs):
            self.passes.append(kwargs["inputs_embeds"].shape[1])
            return read(*args, **kwargs)

        self.model.language_model.model.forward = counted

    def _say(self, state_BE: Tensor) -> Tensor:
        lines = self._lines[len(state_BE) > 1]
        logits_BV = torch.zeros(len(state_BE), self._size)
        for row, line in enumerate(lines):
            logits_BV[row, line[self._spoken] if self._spoken < len(line) else self._end] = 1e4
        self._spoken = self._spoken + 1 if self._spoken + 1 < max(map(len, lines)) else 0
        return logits_BV


def find_bright(segmenter: VisaSegmenter) -> None:
    """Let the mask head find bright pixels, whatever the prompt says; a prompt's number moves them: the k-th one is k cells lower."""
    head = segmenter.model.mask_head

    def encode(pixels_TChw: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(pixels_TChw.mean(1, keepdim=True), 8)

    def decode(features_TChw: Tensor, prompts_TNKC: Tensor) -> Tensor:
        return torch.cat([features_TChw.roll(k, dims=2) for k in range(prompts_TNKC.shape[1])], dim=1)

    head.encode, head.decode = encode, decode


def bright_after(first: int, num_frames: int = 20) -> Video:
    """A dark video with a bright square from frame `first` on; 32 x 32."""
    frames = np.zeros((num_frames, 32, 32, 3), dtype=np.uint8)
    frames[first:, 8:16, 8:24] = 255
    return Video.from_frames(frames, "bright", 10.0)
