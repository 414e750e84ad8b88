"""Linear layers whose weights are 8-bit integers, for a CPU: a quarter of float32's memory, and products that are faster.

    y = s_x s_o (round(x / s_x) . q_o) + b       q_o = round(W_o / s_o), s_o = max |W_o| / 127 for each row o of W

x is quantised anew in every call with one scale s_x (torch's dynamic quantisation). Layers of the language model and of the encoders are
replaced, which hold almost all weights; what turns their results into masks stays in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from saymask.errors import ConfigError
from saymask.runtime import Runtime

_LEVELS = 127
_ROWS = 64


class Int8Linear(nn.Module):
    """Takes the place of an `nn.Linear` before its weights are filled in.

    Args:
        linear: built, its weight not yet filled.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.weight: Tensor | None = linear.weight
        self.bias = linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed = None

    def pack(self, weight_OI: Tensor) -> None:
        """Take the weights; from now on there is no float copy of them."""
        least_O, most_O = weight_OI.aminmax(dim=1)
        scale_O = torch.maximum(-least_O, most_O).float().clamp_min(torch.finfo(torch.float32).tiny) / _LEVELS
        rounded_OI = torch.empty(weight_OI.shape, dtype=torch.int8)
        for rows in torch.arange(len(scale_O)).split(_ROWS):  # no float copy of the whole, whose memory the process would keep
            rounded_OI[rows] = (weight_OI[rows].float() / scale_O[rows, None]).round().to(torch.int8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch announces that these tensors will be replaced some day
            quantised_OI = torch._make_per_channel_quantized_tensor(rounded_OI, scale_O, torch.zeros(len(scale_O), dtype=torch.long), 0)
        self._packed = torch.ops.quantized.linear_prepack(quantised_OI, None)
        self.weight = None

    def forward(self, x: Tensor) -> Tensor:
        # The range of x is halved: without that, sums of two products overflow on processors that add them in 16 bits.
        y = torch.ops.quantized.linear_dynamic(x, self._packed, reduce_range=True)
        return y if self.bias is None else y + self.bias


def use_int8(model: nn.Module, parts: Iterable[str], runtime: Runtime) -> None:
    """Replace the linear layers of parts of a model that is not yet filled.

    Args:
        model: any.
        parts: where they lie.
        runtime: where it will compute.

    Raises:
        ConfigError: on another device than a CPU, or where torch was built without such products.
    """
    if runtime.torch_device.type != "cpu" or runtime.device_map is not None:
        where = "a device map" if runtime.device_map is not None else f"device {runtime.device!r}"
        raise ConfigError(
            f"dtype int8 is for a CPU, not for {where}; in Python give quantization_config (docs/models.md), or dtype bfloat16"
        )
    if torch.backends.quantized.engine == "none":
        raise ConfigError("dtype int8: this build of torch has no 8-bit products; use dtype bfloat16")
    for part in parts:
        for module in list(model.get_submodule(part).modules()):
            for name, child in module.named_children():
                if type(child) is nn.Linear:
                    setattr(module, name, Int8Linear(child))


def has_int8(model: nn.Module) -> bool:
    """Whether some layer keeps its weights as 8-bit integers."""
    return any(isinstance(module, Int8Linear) for module in model.modules())
