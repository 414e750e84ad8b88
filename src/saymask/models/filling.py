"""Weights into a model that was built without memory: file by file, tensor by tensor, so that the peak is the model itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers.modeling_utils import PreTrainedModel

from saymask.models.int8 import Int8Linear
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_shapes, read_tensors


def fill(model: PreTrainedModel, files: Iterable[Path], dtype: torch.dtype) -> None:
    """Give every parameter the tensor of its name, and those that share one the same.

    Args:
        model: built without memory for its parameters.
        files: weights.
        dtype: of the filled parameters.

    Raises:
        CheckpointError: tensors are missing, unexpected or of the wrong shape, which is seen before one is read; or one is not finite.
    """
    files = list(files)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: shape for file in files for name, shape in read_shapes(file).items()}
    absent = wanted.keys() - found.keys()
    shared = {name for pair in model.all_tied_weights_keys.items() for name in pair if not absent.issuperset(pair)}
    mismatched = [(name, shape, wanted[name]) for name, shape in found.items() if name in wanted and shape != wanted[name]]
    raise_unless_exact(files[0].parent, absent - shared, found.keys() - wanted.keys(), mismatched)
    for file in files:
        for name, tensor in read_tensors(file):
            assign(model, name, tensor, dtype)
    model.tie_weights(missing_keys=set(absent), recompute_mapping=False)


def assign(model: nn.Module, name: str, tensor: Tensor, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
    """Make a tensor a model's parameter or buffer of this name.

    Args:
        model: whose tensor of that name has the same shape.
        name: as in its `state_dict`.
        tensor: of any dtype; integers stay what they are.
        dtype, device: of the parameter; where a layer keeps its weights as 8-bit integers, they are made here.
    """
    owner_name, _, last = name.rpartition(".")
    owner = model.get_submodule(owner_name)
    if isinstance(owner, Int8Linear) and last == "weight":
        owner.pack(tensor)
        return
    value = tensor.to(device, dtype if tensor.is_floating_point() else None)
    owner.load_state_dict({last: value}, strict=False, assign=True)
