"""A model of one family as the beginning of another's: the parts that both have keep their weights, the others start fresh."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saymask.errors import ConfigError
from saymask.models.family import Family
from saymask.models.parts.tokenizer import with_tokens

_PARTS = ("text_config", "vision_config", "mask_config", "vision_select_layer", "system_prompt", "lexicon", "domain_tag")
"""What the configurations of all families have and a beginning keeps."""


def begin_as(base: Any, family: Family, **numbers: Any) -> Any:
    """Make an untrained model of a family from a loaded one of another; its tokenizer knows the family's tokens as well.

    Args:
        base: a segmenter with a network.
        family: what to become; one with a network of ours.
        numbers: of the family's configuration, where its defaults do not fit.

    Raises:
        ConfigError: a family without a network, or one whose parts are not those of the base.
    """
    if not family.model:
        raise ConfigError(f"family {family.name!r} has no network to begin")
    values = {name: base.config.to_dict()[name] for name in _PARTS}
    tokenizer, token_ids = with_tokens(base.processor.tokenizer, family.load("processor").tokens)
    rows = max(values["text_config"]["vocab_size"], len(tokenizer))
    values["text_config"] = {**values["text_config"], "vocab_size": rows}
    config = family.load("config")(**{**values, **token_ids, **numbers})
    model = family.load("model")(config).to(base.model.dtype)
    try:
        model.load_state_dict(model.state_dict() | shared_weights(base.model, model))
    except ValueError as error:
        raise ConfigError(f"{base.name} cannot begin as {family.name}: {error}") from None
    return family.load("segmenter")(model, family.load("processor")(tokenizer, config), base.name)


def shared_weights(base: nn.Module, model: nn.Module) -> dict[str, Tensor]:
    """The tensors that two models both have, and of embeddings the rows of the tokens that both know.

    Raises:
        ValueError: a part of the base's language model or vision tower has another shape; then there is little to begin with.
    """
    own, taken = model.state_dict(), {}
    for name, tensor in base.state_dict().items():
        if name in own and own[name].shape == tensor.shape:
            taken[name] = tensor
        elif name in own and own[name].shape[1:] == tensor.shape[1:] and len(own[name]) > len(tensor):
            taken[name] = torch.cat([tensor, own[name][len(tensor) :].to(tensor)])
        elif name.startswith(("language_model.", "visual.tower.")):
            here = tuple(own[name].shape) if name in own else "absent"
            raise ValueError(f"{name} is {tuple(tensor.shape)} in the model to begin with, {here} in the new one")
    return taken
