"""Attention computed as the published scripts do: the product of queries and keys is a tensor. For measuring beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from transformers.models.sam.modeling_sam import SamVisionAttention

from saymask.models.parts.reasoning import ReasoningModel


@contextmanager
def eager_attention(model: ReasoningModel) -> Iterator[None]:
    """Make every attention layer of the model compute its weights as a tensor while the block runs."""
    sam, visual = model.mask_head.sam, cast(Any, model.visual)
    parts = [model.language_model, visual.tower, sam, sam.vision_encoder, sam.mask_decoder]
    # Most layers look their function up in the configuration at every call; those of SAM's image encoder are chosen by class.
    configs = {id(part.config): part.config for part in parts}.values()
    before = [config._attn_implementation for config in configs]
    layers = [cast(SamVisionAttention, layer.attn) for layer in sam.vision_encoder.layers]
    classes = [type(layer) for layer in layers]
    try:
        for config in configs:
            config._attn_implementation = "eager"
        for layer in layers:
            layer.__class__ = SamVisionAttention
        yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._attn_implementation = implementation
        for layer, its_class in zip(layers, classes, strict=True):
            layer.__class__ = its_class
