"""What the training loop is given: something to train and something to train it on.

The loop knows no family. A `TrainConfig` builds a `Task`, and everything particular to a family or a tracker is behind
these members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from saymask.models.base import Segmenter

SAMPLE_NAMES = "sample_names"
"""Key of a batch under which its samples' names, a list of B, may stand; the loop takes it out, no `forward` sees it."""


@dataclass(frozen=True)
class Task:
    """One thing to train.

    Args:
        module: `module(**batch)` returns a `ModelOutput` whose `loss` is minimised; its other scalars named `*_loss` are logged as well.
            Parameters that do not require a gradient stay as they are.
        batches: item i is micro-batch i of the run, a pure function of (seed, i), whoever asks for it.
        save: writes the module, as it then is, into a folder that its loader reads; the one there is replaced when the new one is complete.
        segmenter: the module, as it then is, ready to answer; it may leave the module in evaluation mode. None: it cannot be asked.
    """

    module: nn.Module
    batches: Dataset[dict[str, Any]]
    save: Callable[[Path], None]
    segmenter: Callable[[], Segmenter] | None = None
