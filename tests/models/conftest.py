"""A debug-sized VideoLISA with a tokenizer of its own."""

import pytest
import torch

from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.prompts import FORCED_ANSWER, chat, phrase
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.training.tokenizer import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer():
    sentences = ("the red fish", "the blue key", "Where is the apple?")
    return train_tokenizer([chat(phrase(text), FORCED_ANSWER, "") for text in sentences], vocab_size=400)


@pytest.fixture
def segmenter(tokenizer):
    torch.manual_seed(0)
    config = VideoLisaConfig.debug(seg_token_id=tokenizer.convert_tokens_to_ids("[SEG]"))
    return VideoLisaSegmenter(VideoLisaModel(config), VideoLisaProcessor(tokenizer, config), name="debug")
