"""A family's model on any samples: a loaded model, some parts of which are trained on, and batches of a dataset.

What is frozen builds no graph: the vision tower and the mask encoder see all frames of a batch at once and keep nothing for a backward
pass.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from saymask.datasets.mixture import Member, Mixture, MixtureConfig, open_mixture
from saymask.errors import ConfigError
from saymask.lookup import resolve
from saymask.models.adapters import AdapterConfig, add_adapter, save_adapter, weights_digest
from saymask.models.base import Segmenter
from saymask.models.checkpoints import load_model, require_network
from saymask.runtime import Runtime
from saymask.training.task import SAMPLE_NAMES, Task
from saymask.training.tasks.tuning_config import DatasetConfig, TuningConfig


class SampleBatches(Dataset[dict[str, Any]]):
    """Micro-batches of what is drawn from one dataset or several."""

    def __init__(self, mixture: Mixture, processor: Any, batch_size: int):
        self.mixture = mixture
        self.processor = processor
        self.batch_size = batch_size

    def __getitem__(self, index: int) -> dict[str, Any]:
        samples = self.mixture.samples(index, self.batch_size)
        batch = self.processor.to_batch(samples, np.random.default_rng([self.mixture.seed, index]))
        return {**batch, SAMPLE_NAMES: [sample.name for sample in samples]}


def build(config: TuningConfig) -> Task:
    """A loaded model with an adapter that computes nothing yet, and the batches it is trained on.

    Raises:
        ConfigError: no dataset is given, the base is of another family, or numbers that do not fit it.
        UnknownName, CheckpointError, DataError: there is no such model or dataset, or it is damaged.
    """
    mixture = open_data(config.data, config.seed)
    base = require_network(load_model(config.base, Runtime.choose("cpu", config.frozen_dtype)), "fine-tuning needs")
    model, family = base.model, base.family
    torch.manual_seed(config.seed)
    add_adapter(family, model, config.train_parts, config.lora)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    adapter = AdapterConfig(
        base=config.base,
        base_sha256=weights_digest(base.weights_files),
        parts=config.train_parts,
        lora=config.lora,
        new_words=_new_words(base, mixture),
    )
    try:
        processor = type(base.processor)(base.processor.tokenizer, base.processor.config, **config.processor)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"processor: {error} ({config.base})") from None
    batches = SampleBatches(mixture, processor, config.batch_size)
    return Task(model, batches, partial(save_adapter, family, model, adapter), partial(type(base), model, processor, "in training"))


def open_data(data: DatasetConfig | MixtureConfig, seed: int) -> Mixture:
    """Find what a run is trained on.

    Raises:
        ConfigError: a folder of one's own is not named.
        UnknownName, DataError: there is no such dataset or split.
    """
    if isinstance(data, MixtureConfig):
        return open_mixture(data, seed)
    if data.name == "folder" and data.root is None:
        raise ConfigError("data.root is not given: the folder of your videos, masks and sentences; saymask train finetune data.root=DIR")
    return Mixture([Member(data.name, resolve(data.name, "dataset")(data.root, data.split), rate=1)], seed)


def _new_words(base: Segmenter, mixture: Mixture) -> tuple[str, ...]:
    """Words that the base has never seen, so that nobody is warned of them afterwards."""
    texts = (text for member in mixture.members for text in member.samples.texts())
    words = [word.lower() for text in texts for word in base.unknown_words(text)]
    return tuple(dict.fromkeys(words))
