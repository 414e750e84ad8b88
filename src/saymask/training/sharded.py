"""Tensors of a module whose parameters may be spread over processes (FSDP2): read as wholes, written from wholes.

Reading a spread tensor is something that all processes do together, in the same order; writing needs nobody else, since each has the file.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor


def trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """What training changes: parameters that require a gradient, and buffers; a tensor that is shared appears once, by its first name."""
    tensors: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        is_frozen = isinstance(tensor, nn.Parameter) and not tensor.requires_grad
        if isinstance(tensor, Tensor) and not is_frozen and id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor
    return tensors


def gather_trained(module: nn.Module) -> dict[str, Tensor]:
    """The `trained_tensors`, complete and in main memory, in the first process; the others contribute and get nothing."""
    names = trained_tensors(module)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    gathered = get_model_state_dict(module, options=options)
    return {name: cast(Tensor, tensor) for name, tensor in gathered.items() if name in names}


def whole(tensor: Tensor) -> Tensor:
    """The complete tensor, detached, on its device."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()


@torch.no_grad()
def write(target: Tensor, values: Tensor) -> None:
    """Copy complete values into a tensor, or this process's part of them."""
    target.copy_(spread_like(target, values))


def spread_like(target: Tensor, values: Tensor) -> Tensor:
    """Complete values on the device of a tensor, and spread as it is."""
    values = values.to(target.device)
    if isinstance(target, DTensor):
        return distribute_tensor(values, target.device_mesh, target.placements, src_data_rank=None)
    return values.clone()
