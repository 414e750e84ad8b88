"""Gradient checkpointing changes memory, not gradients."""

import re

import pytest
import torch
from torch import nn

from saymask.errors import ConfigError
from saymask.recipes.videolisa import videolisa_toy
from saymask.training.blocks import checkpoint_blocks, transformer_blocks

TINY = [
    *("batch_size=2", "tokenizer_sentences=50", "vocab_size=400", "model.text_config.num_hidden_layers=2", "model.num_sparse=3"),
    *("model.vision_config.num_hidden_layers=1", "model.mask_config.vision_config.num_hidden_layers=1", "model.num_dense=1"),
]


def test_gradients_are_the_same_and_blocks_are_computed_twice():
    task = videolisa_toy().override(TINY).task()
    module = task.module.train()
    inputs = dict(task.batches[0])
    inputs.pop("sample_names")
    calls = []
    for block in transformer_blocks(module):
        inner = next(part for part in block.modules() if isinstance(part, nn.LayerNorm) or type(part).__name__.endswith("Norm"))
        inner.register_forward_hook(lambda *_: calls.append(1))

    def gradients():
        module.zero_grad(set_to_none=True)
        calls.clear()
        module(**inputs).loss.backward()
        return {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}

    plain, once = gradients(), len(calls)
    checkpoint_blocks(module)
    again, twice = gradients(), len(calls)
    assert (once, twice) == (4, 8)  # two blocks of the language model, one of the tower, one of the mask encoder
    assert plain.keys() == again.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-5, atol=1e-7)


def test_a_module_without_blocks_is_refused():
    expected = "gradient_checkpointing: Linear has no transformer blocks; set gradient_checkpointing=false"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        checkpoint_blocks(nn.Linear(2, 2))
