"""Attention in blocks gives transformers' numbers, and is installed where the whole grid is seen."""

import pytest
import torch
from transformers import SamConfig, SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionEncoder, SamVisionSdpaAttention

from saymask.models.parts import sam_attention
from saymask.models.parts.mask_head import MaskHead
from saymask.models.parts.sam_attention import BLOCK_ROWS, BlockedAttention, attend_in_blocks


def encoder(**changes) -> SamVisionEncoder:
    """A small image encoder with a windowed and a global layer, and weights under which relative positions matter."""
    numbers = {"hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 80}
    numbers |= {"initializer_range": 0.2}
    torch.manual_seed(0)
    made = SamVisionEncoder(SamVisionConfig(**{**numbers, "patch_size": 8, "window_size": 4, "global_attn_indexes": [1], **changes})).eval()
    for name, weight in made.named_parameters():
        if "rel_pos" in name:
            torch.nn.init.normal_(weight)
    return made


@pytest.mark.parametrize("original", [SamVisionAttention, SamVisionSdpaAttention])
@pytest.mark.parametrize("cells", [10, 8, 3])  # a rest of two rows, none, less than a block
def test_the_numbers_are_those_of_transformers(original, cells):
    side = 8 * cells
    blocked, plain = encoder(image_size=side), encoder(image_size=side)
    attend_in_blocks(blocked)
    for layer in plain.layers:
        layer.attn.__class__ = original
    pixels = torch.randn(2, 3, side, side)
    with torch.no_grad():
        expected = plain(pixels).last_hidden_state
        torch.testing.assert_close(blocked(pixels).last_hidden_state, expected, atol=1e-4, rtol=0)
        for layer in plain.layers:
            torch.nn.init.zeros_(layer.attn.rel_pos_h)
        assert (plain(pixels).last_hidden_state - expected).abs().max() > 0.01  # the comparison depends on relative positions


def test_the_bias_is_never_larger_than_a_block(monkeypatch):
    made, sizes = encoder(), []
    attend = torch.nn.functional.scaled_dot_product_attention

    def watched(query, key, value, attn_mask):
        sizes.append(tuple(attn_mask.shape))
        return attend(query, key, value, attn_mask=attn_mask)

    made.layers[0].attn.__class__ = SamVisionAttention  # so that only the global layer is seen
    attend_in_blocks(made)
    monkeypatch.setattr(sam_attention.functional, "scaled_dot_product_attention", watched)
    with torch.no_grad():
        made(torch.randn(3, 3, 80, 80))
    assert sizes == [(3, 2, rows * 10, 100) for rows in (BLOCK_ROWS, BLOCK_ROWS, 10 - 2 * BLOCK_ROWS)]


def test_it_is_installed_in_global_layers_with_relative_positions_and_changes_no_name():
    config = SamConfig(vision_config=encoder().config, prompt_encoder_config={"hidden_size": 16}, mask_decoder_config={"hidden_size": 16})
    head = MaskHead(config)
    assert [type(layer.attn) is BlockedAttention for layer in head.sam.vision_encoder.layers] == [False, True]
    assert head.sam.vision_encoder.state_dict().keys() == encoder().state_dict().keys()
    without = encoder(use_rel_pos=False)
    attend_in_blocks(without)
    assert not any(isinstance(layer.attn, BlockedAttention) for layer in without.layers)


def test_gradients_pass():
    made = encoder()
    attend_in_blocks(made)
    made(torch.randn(1, 3, 80, 80)).last_hidden_state.square().sum().backward()
    gradient = made.layers[1].attn.rel_pos_h.grad
    assert gradient is not None and gradient.abs().sum() > 0
