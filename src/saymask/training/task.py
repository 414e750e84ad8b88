"""What the training loop is given: something to train and something to train it on.

The loop knows no family. A `TrainConfig` builds a `Task`, and everything particular to VideoLISA, to XMem or to what comes next is behind
these three members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset


@dataclass(frozen=True)
class Task:
    """One thing to train.

    Args:
        module: `module(**batch)` returns a `ModelOutput` whose `loss` is minimised; its other scalars named `*_loss` are logged as well.
        batches: item `step` is the batch of that step, a pure function of (seed, step), whoever asks for it.
        save: writes the module, as it then is, into a folder that its loader reads; the one there is replaced when the new one is complete.
    """

    module: nn.Module
    batches: Dataset[dict[str, Any]]
    save: Callable[[Path], None]
