"""A family's model as a training task: drawn clips with questions, in the mix of the run's phase."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from saymask.errors import ConfigError, UnknownName
from saymask.lookup import families, suggest
from saymask.models.beginnings import shared_weights
from saymask.models.checkpoints import load_model, require_network, save_model
from saymask.models.family import Family
from saymask.models.parts.auxiliary import AUX_PREFIX
from saymask.models.parts.tokenizer import with_tokens
from saymask.runtime import Runtime
from saymask.toyworld.dataset import COLOURS, KINDS, TIMELINE, corpus, draw_batch, lexicon
from saymask.training.task import SAMPLE_NAMES, Task
from saymask.training.tasks.questions_config import IMAGE_FAMILIES, QuestionsConfig
from saymask.training.tokenizer import train_tokenizer


class QuestionBatches(Dataset[dict[str, Any]]):
    """The run's micro-batches, drawn from the toy world."""

    def __init__(self, config: QuestionsConfig, processor: Any):
        self.config = config
        self.processor = processor

    def __getitem__(self, index: int) -> dict[str, Any]:
        config = self.config
        rng = np.random.default_rng([config.seed, index])
        frame_idx = self.processor.drawn_frames(TIMELINE, rng)  # only the frames that are used are drawn
        mix = config.data.mix(index, config.total_micro_batches)
        if config.data.image_share and rng.random() < config.data.image_share:
            frame_idx = np.full_like(frame_idx, rng.choice(frame_idx))
            mix = {family: weight for family, weight in mix.items() if family in IMAGE_FAMILIES}
        samples = draw_batch(config.seed, index, 0, config.batch_size, mix, size=config.data.size, frame_idx=frame_idx)
        return {**self.processor.to_batch(samples, rng), SAMPLE_NAMES: [sample.video.name for sample in samples]}


def build(config: QuestionsConfig) -> Task:
    """A model to train, fresh or begun from another one's weights.

    Raises:
        ConfigError: no such family, numbers no model can be built from, or not those of the weights it is to begin with, or there are no
            such weights.
        CheckpointError: those weights are damaged.
    """
    family = _family(config.family)
    base = _base(config.init_from) if config.init_from is not None else None
    tokenizer = base.processor.tokenizer if base else _fresh_tokenizer(config, family)
    tokenizer, token_ids = with_tokens(tokenizer, family.load("processor").tokens)
    values: dict[str, Any] = {**config.model, **token_ids}
    values["text_config"] = {
        **values["text_config"],
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    asked = {name for phase in config.data.phases for name in phase.mix}
    values |= {"lexicon": list(lexicon(asked)), "region_words": [*COLOURS, *KINDS]}
    torch.manual_seed(config.seed)
    try:
        model_config = family.load("config")(**values)
        model = family.load("model")(model_config)
        processor = family.load("processor")(tokenizer, model_config, **config.processor)
        if base and base.family == family:
            # Auxiliary heads are never saved, so these begin anew.
            model.load_state_dict(base.model.state_dict() | _auxiliary(model))
        elif base:
            model.load_state_dict(model.state_dict() | shared_weights(base.model, model))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no model can be built from these numbers ({error}); check the model.* overrides") from None
    segmenter = partial(family.load("segmenter"), model, processor, "in training")
    return Task(model, QuestionBatches(config, processor), partial(save_model, model, processor), segmenter)


def _family(name: str) -> Family:
    known = families()
    if name not in known:
        raise ConfigError(f"family = {name}: no such family; {suggest(name, known)}")
    if not known[name].model:
        raise ConfigError(f"family = {name}: it has no network to train")
    return known[name]


def _fresh_tokenizer(config: QuestionsConfig, family: Family) -> PreTrainedTokenizerBase:
    chats = family.load("processor").tokenizer_texts(corpus(config.tokenizer_sentences), config.model["system_prompt"])
    return train_tokenizer(chats, config.vocab_size)


def _base(name_or_path: str) -> Any:
    try:
        return require_network(load_model(name_or_path, Runtime.choose("cpu", "float32")), "init_from needs")
    except UnknownName as error:
        raise ConfigError(f"init_from: {error}; give the model to begin with, or init_from=null to begin with none") from None


def _auxiliary(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if name.startswith(AUX_PREFIX)}
