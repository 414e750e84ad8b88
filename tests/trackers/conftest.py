"""The full-size XMem network with weights from a formula instead of a file (tests/golden/xmem/README.md, section 1)."""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.network import XMemNetwork

GAINS = {
    "key_proj.key_proj": 0.45,
    "key_proj.d_proj": 0.15,
    "key_proj.e_proj": 0.3,
    "decoder.pred": 1.0,
    "value_encoder.fuser": 0.7,
    "value_encoder.hidden_reinforce": 1.0,
    "decoder.fuser": 0.8,
    "decoder.hidden_update.transform": 1.0,
    "decoder.hidden_update": 0.7,
    "decoder.up": 1.0,
    "": 1.4,
}
"""By the beginning of a name; the first that fits counts."""

LOUD_CHANNELS = {
    "value_encoder.conv1.weight": slice(3, 5),
    "decoder.fuser.block1.conv1.weight": slice(1536, 1600),
    "decoder.fuser.block1.downsample.weight": slice(1536, 1600),
}
"""Input channels (masks, sensory memory) whose weights are four times as large."""


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of XMem's golden data."""
    return Path(__file__).parents[1] / "golden" / "xmem"


@pytest.fixture(scope="session")
def formula_weights(golden: Path) -> dict[str, torch.Tensor]:
    """The published checkpoint's tensors by name, with values of the formula."""
    manifest = json.loads((golden / "xmem_manifest.json").read_text(encoding="utf-8"))["keys"]
    return {name: _formula_tensor(name, entry["shape"]) for name, entry in manifest.items()}


@pytest.fixture(scope="session")
def formula_network(formula_weights: dict[str, torch.Tensor]) -> XMemNetwork:
    """The published network with these weights, in evaluation mode; shared, so do not change it."""
    with torch.device("meta"):
        network = XMemNetwork(XMemConfig())
    network.load_state_dict(formula_weights, assign=True)
    return network.eval().requires_grad_(False)


def _formula_tensor(name: str, shape: list[int]) -> torch.Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    centre, spread = _range(name, shape)
    seed = _mix(np.array([zlib.crc32(name.encode())], np.uint32))
    index = np.arange(math.prod(shape), dtype=np.uint32)
    uniform = (_mix(index * np.uint32(0x9E3779B9) + seed) + 0.5) / 2**31 - 1
    values = (centre + spread * uniform).reshape(shape)
    if name in LOUD_CHANNELS:
        values[:, LOUD_CHANNELS[name]] *= 4
    return torch.from_numpy(values.astype(np.float32))


def _range(name: str, shape: list[int]) -> tuple[float, float]:
    """Centre and half width of the interval that a tensor's values fill."""
    if name.endswith("running_mean"):
        return 0.0, 0.1
    if name.endswith("running_var"):
        return 1.0, 0.3
    if name.endswith("bias"):
        return (-1.5 if name == "decoder.pred.bias" else 0.0), 0.1
    if len(shape) == 1:
        return (0.3 if name.startswith("key_encoder.") and name.endswith("bn3.weight") else 1.0), 0.2
    gain = next(gain for prefix, gain in GAINS.items() if name.startswith(prefix))
    return 0.0, gain * math.sqrt(3 / math.prod(shape[1:]))


def _mix(x: np.ndarray) -> np.ndarray:
    """An integer hash modulo 2^32."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
