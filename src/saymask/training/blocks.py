"""The transformer blocks of a module: what is computed twice to save memory, and what is shared out among processes one by one."""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from saymask.errors import ConfigError


def transformer_blocks(module: nn.Module) -> list[nn.Module]:
    """All blocks that transformers marks as such: of the language model, the vision tower, the mask encoder."""
    return [part for part in module.modules() if isinstance(part, GradientCheckpointingLayer)]


def checkpoint_blocks(module: nn.Module) -> None:
    """Gradient checkpointing: while it is trained, a block keeps only its input and computes the rest again in the backward pass.

    Raises:
        ConfigError: the module has no such blocks.
    """
    blocks = transformer_blocks(module)
    if not blocks:
        raise ConfigError(f"gradient_checkpointing: {type(module).__name__} has no transformer blocks; set gradient_checkpointing=false")
    for block in cast(list[GradientCheckpointingLayer], blocks):
        block.gradient_checkpointing = True
        # The reentrant way would drop the gradients of a block none of whose inputs needs one.
        block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)  # pyrefly: ignore[bad-argument-type]
