"""VideoLISA as a training task: drawn clips with questions, in the mix of the run's phase."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from saymask.errors import ConfigError, UnknownName
from saymask.models.checkpoints import load_model, save_model
from saymask.models.parts.auxiliary import AUX_PREFIX
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.prompts import ABSENT_ANSWER, FORCED_ANSWER, chat, phrase
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.toyworld.dataset import COLOURS, KINDS, TIMELINE, corpus, draw_batch, lexicon
from saymask.training.config import IMAGE_FAMILIES, VideoLisaToyConfig
from saymask.training.task import SAMPLE_NAMES, Task
from saymask.training.tokenizer import train_tokenizer
from saymask.video.sampling import jittered


class QuestionBatches(Dataset[dict[str, Any]]):
    """The run's micro-batches, drawn from the toy world."""

    def __init__(self, config: VideoLisaToyConfig, processor: VideoLisaProcessor):
        self.config = config
        self.processor = processor

    def __getitem__(self, index: int) -> dict[str, Any]:
        config = self.config
        rng = np.random.default_rng([config.seed, index])
        num_sparse = self.processor.config.num_sparse
        # Only the frames that are used are drawn: one of each of S equal parts of the timeline, the same for the batch.
        frame_idx = jittered(TIMELINE, num_sparse, self.processor.config.num_dense, rng).sparse_frame_idx
        mix = config.data.mix(index, config.total_micro_batches)
        if config.data.image_share and rng.random() < config.data.image_share:
            frame_idx = np.full_like(frame_idx, rng.choice(frame_idx))
            mix = {family: weight for family, weight in mix.items() if family in IMAGE_FAMILIES}
        samples = draw_batch(config.seed, index, 0, config.batch_size, mix, size=config.data.size, frame_idx=frame_idx)
        return {**self.processor.to_batch(samples, rng), SAMPLE_NAMES: [sample.video.name for sample in samples]}


def build(config: VideoLisaToyConfig) -> Task:
    """A model to train, fresh or begun from another one's weights.

    Raises:
        ConfigError: numbers no model can be built from, or not those of the weights it is to begin with, or there are no such weights.
        CheckpointError: those weights are damaged.
    """
    base = _base(config.init_from) if config.init_from is not None else None
    tokenizer = base.processor.tokenizer if base else _fresh_tokenizer(config)
    values = {**config.model, "seg_token_id": tokenizer.convert_tokens_to_ids("[SEG]")}
    values["text_config"] = {
        **values["text_config"],
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    values |= {"lexicon": list(lexicon()), "region_words": [*COLOURS, *KINDS]}
    torch.manual_seed(config.seed)
    try:
        model_config = VideoLisaConfig(**values)
        model = VideoLisaModel(model_config)
        processor = VideoLisaProcessor(tokenizer, model_config, config.num_supervised)
        if base:
            # Auxiliary heads are never saved, so these begin anew.
            model.load_state_dict(base.model.state_dict() | _auxiliary(model))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no model can be built from these numbers ({error}); check the model.* overrides") from None
    segmenter = partial(VideoLisaSegmenter, model, processor, "in training")
    return Task(model, QuestionBatches(config, processor), partial(save_model, model, processor), segmenter)


def _fresh_tokenizer(config: VideoLisaToyConfig) -> PreTrainedTokenizerBase:
    sentences = corpus(config.tokenizer_sentences)
    chats = (chat(phrase(text), answer, config.model["system_prompt"]) for text in sentences for answer in (FORCED_ANSWER, ABSENT_ANSWER))
    return train_tokenizer(chats, config.vocab_size)


def _base(name_or_path: str) -> VideoLisaSegmenter:
    try:
        base = load_model(name_or_path, Runtime.choose("cpu", "float32"))
    except UnknownName as error:
        raise ConfigError(f"init_from: {error}; give the model to begin with, or init_from=null to begin with none") from None
    if not isinstance(base, VideoLisaSegmenter):
        raise ConfigError(f"init_from = {name_or_path}: not a VideoLISA model")
    return base


def _auxiliary(model: VideoLisaModel) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if name.startswith(AUX_PREFIX)}
