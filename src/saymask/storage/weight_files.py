"""Weight files as others publish them: safetensors or `torch.save`, in one file or in shards with an index.

Reading is lazy (files are mapped, not loaded) and never runs code from a file (`weights_only`).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from safetensors import SafetensorError, safe_open

from saymask.errors import CheckpointError
from saymask.storage.json_files import read_json_object

if TYPE_CHECKING:
    from torch import Tensor

_MAX_SETTINGS_BYTES = 2**26  # the index of a model in hundreds of shards has a few megabytes
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights; safetensors are preferred.

    Raises:
        CheckpointError: there are none, or the index names shards that are not there.
    """
    for name in WEIGHT_FILES:
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(read_json(index).get("weight_map", {}).values()))
            if absent := [shard for shard in shards if not (folder / shard).is_file()]:
                raise CheckpointError(f"{folder}: no {', '.join(absent)}; {index.name} names it, so the copy is incomplete: fetch the rest")
            return [folder / shard for shard in shards]
        if (folder / name).is_file():
            return [folder / name]
    raise CheckpointError(f"{folder}: no weights; expected {' or '.join(WEIGHT_FILES)}, or shards with an index")


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor, without reading the tensors."""
    return {name: tuple(tensor.shape) for name, tensor in read_tensors(file)}


def read_tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of one file by its name there, mapped from disk one after the other.

    Raises:
        CheckpointError: the file is damaged, or holds something else than tensors.
    """
    import torch  # here, so that the files can be looked for without it

    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (no mapping: it cannot be iterated)
                    yield name, tensors.get_tensor(name)
        else:
            # Files from before torch 1.6 are no zip archives and cannot be mapped.
            for name, tensor in torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file)).items():
                if not isinstance(tensor, torch.Tensor):
                    raise TypeError(f"{name} is no tensor")
                yield name, tensor
    except (SafetensorError, RuntimeError, OSError, EOFError, AttributeError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{file}: cannot be read as weights ({reason}); fetch it again") from None


def read_json(file: Path) -> dict[str, Any]:
    """Settings that lie beside weights, or the index of their shards.

    Raises:
        CheckpointError: the file is absent, too large for settings, or holds something else than a JSON object.
    """
    remedy = "the copy is incomplete or damaged: fetch it again"
    return read_json_object(file, CheckpointError, remedy, max_bytes=_MAX_SETTINGS_BYTES)
