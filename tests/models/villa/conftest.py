"""A debug-sized ViLLa, its segmenter, and clips of grey frames with moving squares."""

import numpy as np
import pytest
import torch

from saymask.models.parts.tokenizer import with_tokens
from saymask.models.villa.config import VillaConfig
from saymask.models.villa.model import VillaModel
from saymask.models.villa.processor import VillaProcessor
from saymask.models.villa.segmenter import VillaSegmenter
from saymask.records import Video
from saymask.samples import Sample, in_memory


@pytest.fixture
def make_villa(tokenizer):
    def make(**changes):
        extended, ids = with_tokens(tokenizer, VillaProcessor.tokens)
        torch.manual_seed(0)
        config = VillaConfig.debug(**ids, **changes)
        return VillaSegmenter(VillaModel(config), VillaProcessor(extended, config), name="debug")

    return make


@pytest.fixture
def make_squares():
    def make(expression, num_frames=8):
        """N squares of 8 pixels, one below the other, each a pixel further right on every frame."""
        masks_TNHW = np.zeros((num_frames, len(expression.obj_ids), 32, 32), dtype=bool)
        for t in range(num_frames):
            for n in range(len(expression.obj_ids)):
                masks_TNHW[t, n, 10 * n : 10 * n + 8, 2 * n + t : 2 * n + t + 8] = True
        frames_THWC = np.random.default_rng(0).integers(0, 100, (num_frames, 32, 32, 3), dtype=np.uint8)
        for n in range(len(expression.obj_ids)):
            frames_THWC[masks_TNHW[:, n]] += np.uint8(70 * (n + 1) % 150)
        return Sample(Video.from_frames(frames_THWC), expression, in_memory(masks_TNHW))

    return make
