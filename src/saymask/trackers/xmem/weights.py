"""XMem's weights: our folder (`config.json`, `model.safetensors`) or the published `XMem.pth`, a bare state_dict.

Parameters bear the published names, so neither needs a table of names. Strict: every tensor is used, every parameter filled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from saymask.errors import CheckpointError
from saymask.runtime import Runtime
from saymask.storage.computing_dtype import computing_dtype
from saymask.storage.config_values import building_from, require_declared_types, require_plausible_sizes
from saymask.storage.model_folder import replaced_folder
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_json, read_tensors, weight_files
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.network import XMemNetwork

MASK_CONV = "value_encoder.conv1.weight"
RGB_AND_MASK = 4
"""Input channels of that convolution in networks made for one object, which have none for the other objects."""


def load_xmem(path: Path | str, runtime: Runtime) -> XMemNetwork:
    """Load a network, in evaluation mode.

    Args:
        path: a folder that `save_xmem` wrote, or a published file.
        runtime: device and dtype.

    Raises:
        CheckpointError: nothing is there, it holds something else, or tensors are missing, unexpected or of the wrong shape.
    """
    path = Path(path)
    if path.is_dir():
        values, files = read_json(path / "config.json"), weight_files(path)
        tensors = {name: tensor for file in files for name, tensor in read_tensors(file)}
        network = _build(path / "config.json", values, tensors)
    elif path.is_file():
        files = [path]
        tensors = _with_others_channel(dict(read_tensors(path)))
        network = _build(path, _published_config(path, tensors), tensors)
    else:
        raise CheckpointError(f"{path}: no such file or folder; give a folder with config.json and model.safetensors, or XMem.pth")
    _fill(network, tensors, path)
    return network.to(runtime.torch_device, computing_dtype(runtime, files)).eval()  # pyrefly: ignore[bad-argument-type]


def save_xmem(network: XMemNetwork, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a network as `load_xmem` reads it, every tensor in `dtype` (but for BatchNorm's counters).

    A network that is in the folder already is replaced only when the new one is complete.
    """
    state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in network.state_dict().items()}
    with replaced_folder(folder) as draft:
        # Not `save_pretrained`, which takes the memory's top_k for a language model's and refuses it.
        network.config.to_json_file(draft / "config.json")
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, draft / "model.safetensors", metadata={"format": "pt"})


def _build(source: Path, values: dict[str, Any], tensors: dict[str, Tensor]) -> XMemNetwork:
    """The network without memory for its parameters, if such weights can be meant."""
    family = values.get("model_type")
    if family != XMemConfig.model_type:
        raise CheckpointError(f"{source}: model_type {family!r} is not an XMem tracker; expected {XMemConfig.model_type!r}")
    require_plausible_sizes(source, values, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    require_declared_types(source, values, XMemConfig)
    with building_from(source), torch.device("meta"):
        return XMemNetwork(XMemConfig.from_dict(values))


def _published_config(file: Path, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The published network with the three widths that its variants differ in, read off the file."""
    try:
        key_dim = tensors["key_proj.key_proj.weight"].shape[0]
        value_dim = tensors["value_encoder.fuser.block2.conv2.weight"].shape[0]
    except (KeyError, IndexError):
        raise CheckpointError(f"{file}: not XMem's weights (no key_proj or fuser); give XMem.pth as its authors publish it") from None
    transform = tensors.get("decoder.hidden_update.transform.weight")
    hidden_dim = 0 if transform is None else len(transform) // 3
    return {"model_type": XMemConfig.model_type, "key_dim": key_dim, "value_dim": value_dim, "hidden_dim": hidden_dim}


def _with_others_channel(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network for one object as one for several, which pays no heed to the others."""
    weight = tensors.get(MASK_CONV)
    if weight is not None and weight.ndim == 4 and weight.shape[1] == RGB_AND_MASK:
        return tensors | {MASK_CONV: functional.pad(weight, (0, 0, 0, 0, 0, 1))}
    return tensors


def _fill(network: XMemNetwork, tensors: dict[str, Tensor], source: Path) -> None:
    """Give every parameter and buffer its tensor, or say what does not fit."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    mismatched = [(name, found[name], wanted[name]) for name in found.keys() & wanted.keys() if found[name] != wanted[name]]
    raise_unless_exact(source, wanted.keys() - found.keys(), found.keys() - wanted.keys(), mismatched)
    network.load_state_dict(tensors, assign=True)
