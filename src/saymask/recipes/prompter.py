"""Recipes of prompters."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from saymask.training.config import OptimConfig
from saymask.training.tasks.toy_prompter_config import ToyPrompterConfig


def toy_prompter() -> ToyPrompterConfig:
    """The bundled prompter: a narrow SAM that turns clicks and boxes in drawn scenes into masks, from the toy model's mask head.

    Command: `saymask train toy_prompter -o runs/toy-prompter`. Figures and cost: the model card in `src/saymask/weights/toy-prompter`.
    """
    return ToyPrompterConfig(
        start_from=Path(str(files("saymask") / "weights" / "toy")),
        optim=OptimConfig(lr=1e-3, warmup_steps=50),
        steps=3600,
        batch_size=8,
        autocast=False,
        workers=1,
        save_every=200,
    )
