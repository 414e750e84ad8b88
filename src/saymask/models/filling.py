"""Weights into a model that was built without memory: file by file, tensor by tensor, so that the peak is the model itself."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import PreTrainedModel

from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_shapes, read_tensors


def fill(model: PreTrainedModel, files: Iterable[Path], dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
    """Give every parameter the tensor of its name, and those that share one the same.

    Args:
        model: built without memory for its parameters.
        files: weights.
        dtype, device: of the filled parameters.

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
            owner, _, last = name.rpartition(".")
            value = tensor.to(device, dtype if tensor.is_floating_point() else None)
            model.get_submodule(owner).load_state_dict({last: value}, strict=False, assign=True)
    model.tie_weights(missing_keys=set(absent), recompute_mapping=False)
