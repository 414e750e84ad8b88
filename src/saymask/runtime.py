"""Where one run computes, in which precision, and which part of the work: the only place that asks for an accelerator."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from saymask.errors import ConfigError
from saymask.lookup import suggest
from saymask.startup.collector import collector_paused

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
DTYPES = ("float32", "bfloat16", "float16")
AS_STORED = "checkpoint"
"""Said in place of a dtype: that of the files."""
INT8 = "int8"
"""Said in place of a dtype: weights of the large parts as 8-bit integers, everything else in float32."""
SMALL_WEIGHTS_BYTES = 64 * 2**20
"""Models below that are small, see `leave_a_core`."""


@dataclass(frozen=True)
class Runtime:
    """Where one run computes, and in which precision.

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps".
        dtype: its name, "checkpoint" for that of the weights' files, or "int8" (`models.int8`, on a CPU); None = theirs, or float32 on a
            processor that is slow at theirs where memory allows (`storage.computing_dtype`).
        device_map: "auto", or layers of the language model -> devices, where it does not fit on `device`; None = all of it there.
        quantization_config: one of transformers' (such as `BitsAndBytesConfig`), applied to the language model; None = none.
    """

    device: str = "cpu"
    dtype: str | None = None
    device_map: str | Mapping[str, str] | None = None
    quantization_config: Any = None

    @classmethod
    def choose(cls, device: str | None = None, dtype: str | None = None) -> Runtime:
        """Check what the user asked for; without a device take the best one present.

        Raises:
            ConfigError: a device that is absent or a dtype that is not offered.
        """
        with collector_paused():
            import torch

        present = ["cpu"]
        if torch.backends.mps.is_available():
            present.insert(0, "mps")
        if torch.cuda.is_available():
            present[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if device is not None and device not in present:
            raise ConfigError(f"device {device!r} is not available; this machine has: {', '.join(present)}")
        if dtype is not None and dtype not in (offered := [*DTYPES, INT8, AS_STORED]):
            raise ConfigError(f"unknown dtype {dtype!r}; {suggest(dtype, offered)}")
        return cls(device or present[0], dtype)

    @property
    def torch_device(self) -> torch.device:
        import torch

        return torch.device(self.device)

    @property
    def torch_dtype(self) -> torch.dtype | None:
        """The dtype of computation that is asked for by name; None = it depends on the files."""
        import torch

        if self.is_int8:
            return torch.float32
        return getattr(torch, self.dtype) if self.dtype in DTYPES else None

    @property
    def is_int8(self) -> bool:
        """Whether weights of the large parts are to be 8-bit integers."""
        return self.dtype == INT8


def leave_a_core(weights_bytes: int) -> None:
    """Let torch take one thread less than there are cores for a small model, since beside it frames are decoded, drawn on and encoded.

    Each of its matrix products takes about a millisecond: a last thread makes them little faster, and keeps a core busy while it waits for
    the others. A large model keeps every thread, and so does a user who has set OMP_NUM_THREADS.

    Args:
        weights_bytes: size of the model's files; 0 = not known.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and 0 < weights_bytes < SMALL_WEIGHTS_BYTES:
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def dtype_name(dtype: torch.dtype) -> str:
    """As a user writes it: "float32" and so on."""
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of the work, numbered from 1; each is done by a run of its own."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "2/8".

        Raises:
            ConfigError: it is no part of a whole.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f"shard {text!r} is no part of a whole; give e.g. 1/8 on the first of eight machines")
        return cls(int(match[1]), int(match[2]))

    def of(self, videos: Sequence[T]) -> list[T]:
        """Every `count`-th video: long and short ones are spread over the parts as they come."""
        return list(videos[self.number - 1 :: self.count])
