"""Recipes of the XMem tracker."""

from __future__ import annotations

from typing import Any

from saymask.training.config import OptimConfig
from saymask.training.tasks.xmem_toy_config import XMemToyConfig

TOY_MODEL: dict[str, Any] = {
    "key_dim": 32,
    "value_dim": 64,
    "hidden_dim": 16,
    "key_encoder_width": 12,
    "key_encoder_depths": [2, 2, 3],
    "value_encoder_width": 12,
    "value_encoder_depths": [1, 1, 1],
    "decoder_width": 32,
    "short_side": 256,
    "mem_every": 5,
    "domain_tag": "saymask-toyworld",
}


def xmem_toy() -> XMemToyConfig:
    """The bundled tracker: XMem (2207.07115) with toy numbers, from scratch on drawn scenes.

    Command: `saymask train xmem_toy -o runs/xmem-toy`. Figures and cost: the model card in `src/saymask/weights/xmem-toy`.
    """
    return XMemToyConfig(
        model=TOY_MODEL,
        optim=OptimConfig(lr=1e-3, warmup_steps=100),
        steps=2400,
        batch_size=8,
        workers=1,
        save_every=200,
    )
