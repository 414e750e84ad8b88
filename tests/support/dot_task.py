"""The smallest thing that can be trained: one weight and a frozen one, on numbers that a reader can follow by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers.utils import ModelOutput

from saymask.errors import DataError
from saymask.training.config import OptimConfig, TrainConfig
from saymask.training.task import SAMPLE_NAMES, Task


@dataclass
class DotOutput(ModelOutput):
    """Two losses that are logged, one that is absent, and something that is none."""

    loss: Tensor | None = None
    square_loss: Tensor | None = None
    absent_loss: Tensor | None = None
    score: Tensor | None = None


@dataclass(frozen=True)
class Numbers:
    """A record, as batches may hold them."""

    values: Tensor


class Dot(nn.Module):
    """A weight w, 2 at first, and a frozen one v = 1: numbers x cost the mean of (w v x - 1)^2, `weight` times, and `extra`."""

    def __init__(self, dropout: float):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0]))
        self.v = nn.Parameter(torch.tensor([1.0]), requires_grad=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Numbers, weight: list[Tensor], extra: float) -> DotOutput:
        square_loss = (self.w * self.v * self.dropout(x.values) - 1).square().mean()
        return DotOutput(loss=weight[0] * square_loss + extra, square_loss=square_loss, score=self.w)


class Pairs(Dataset):
    """Micro-batch i holds i + 1 and i + 2, with weight 3; or not a number, something infinite, or nothing, where the run says so."""

    def __init__(self, nan_at: int | None = None, inf_at: int | None = None, broken_at: int | None = None):
        self.nan_at, self.inf_at = nan_at, inf_at
        self.broken_at = broken_at

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == self.broken_at:
            raise DataError(f"video {index} is gone")
        values = torch.tensor([index + 1.0, float("nan") if index == self.nan_at else index + 2.0])
        extra = float("inf") if index == self.inf_at else 0.0
        names = [f"{index}/first", f"{index}/second"]
        return {"x": Numbers(values), "weight": [torch.tensor(3.0)] * 2, "extra": extra, SAMPLE_NAMES: names}


class DotConfig(TrainConfig):
    kind: Literal["dot"] = "dot"
    optim: OptimConfig = OptimConfig(lr=0.1, warmup_steps=0)
    steps: int = 6
    batch_size: int = 2
    save_every: int = 3
    log_every: int = 1
    autocast: bool = False
    dropout: float = 0.0
    frozen: float = 1.0
    nan_at: int | None = None
    inf_at: int | None = None
    broken_at: int | None = None

    def task(self) -> Task:
        module = Dot(self.dropout)
        module.v.data.fill_(self.frozen)

        def save(folder: Path) -> None:
            folder.mkdir(exist_ok=True)
            save_file(module.state_dict(), folder / "model.safetensors")

        return Task(module, Pairs(self.nan_at, self.inf_at, self.broken_at), save)
