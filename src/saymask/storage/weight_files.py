"""Weight files as others publish them: safetensors or `torch.save`, in one file or in shards with an index.

Reading is lazy (files are mapped, not loaded) and never runs code from a file (`weights_only`). A weight that is no finite
number, or that was relabelled as an integer, would give wrong masks without a word: it is an error that names its tensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

from safetensors import safe_open

from saymask.errors import CheckpointError
from saymask.storage.json_files import is_nested_deeper, read_json_object

if TYPE_CHECKING:
    from torch import Tensor

_MAX_SETTINGS_DEPTH = 32
_MAX_SETTINGS_BYTES = 2**26  # the index of a model in hundreds of shards has a few megabytes
_WHOLE_NUMBERS = ("position_ids", "num_batches_tracked")  # the buffers that hold integers; every weight is a floating-point number
_NAME = re.compile(r"\w[\w.-]{0,200}")
_ADAPTER_FILE = "adapter_config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights; safetensors are preferred.

    Raises:
        CheckpointError: there are none, or the index names shards that are not there.
    """
    for name in WEIGHT_FILES:
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = _shards(index)
            if absent := [shard for shard in shards if not (folder / shard).is_file()]:
                raise CheckpointError(f"{folder}: no {', '.join(absent)}; {index.name} names it, so the copy is incomplete: fetch the rest")
            return [folder / shard for shard in shards]
        if (folder / name).is_file():
            return [folder / name]
    raise CheckpointError(f"{folder}: no weights; expected {' or '.join(WEIGHT_FILES)}, or shards with an index")


def _shards(index: Path) -> list[str]:
    """Names of the files that an index lists, which lie beside it.

    Raises:
        CheckpointError: it lists none, or something else than names of files in this folder.
    """
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{index}: 'weight_map' is {str(names)[:40]}, expected the file of every tensor; fetch it again")
    for tensor, name in names.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise CheckpointError(f"{index}: the file of {tensor} is {str(name)[:60]!r}, which is no file in this folder; fetch it again")
    return sorted(set(names.values()))


def read_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor, without reading the tensors."""
    return {name: tuple(tensor.shape) for name, tensor in mapped_tensors(file)}


def read_tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of one file by its name there, mapped from disk one after the other.

    Raises:
        CheckpointError: the file is damaged, or holds something else than tensors of finite numbers.
    """
    for name, tensor in mapped_tensors(file):
        if not (tensor.is_floating_point() or name.endswith(_WHOLE_NUMBERS)):
            raise CheckpointError(f"{file}: {name} is of {tensor.dtype}, but weights are floating-point numbers; fetch the file again")
        if tensor.numel() and not all(end.isfinite() for end in tensor.aminmax()):
            raise CheckpointError(f"{file}: {name} holds NaN or infinity; fetch the file again, or train from the last sound checkpoint")
        yield name, tensor


def require_plain_folder(folder: Path) -> None:
    """Look at a folder whose files other libraries are going to open.

    Raises:
        CheckpointError: something in it is a pipe, a device or a link to nowhere, or an adapter lies beside the weights, which peft would
            add unasked.
    """
    for path in sorted(folder.iterdir()):
        if not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path}: neither a regular file nor a folder; replace it by the file, or remove it")
    if (folder / _ADAPTER_FILE).exists():
        raise CheckpointError(
            f"{folder}: {_ADAPTER_FILE} lies beside whole weights, and an adapter is only used where it is named (-m MODEL+ADAPTER); "
            "move the adapter's files to a folder of their own"
        )


def require_sound(files: Iterable[Path]) -> None:
    """Look at weights that another library is going to load; errors of `read_tensors`."""
    for file in files:
        for _ in read_tensors(file):
            pass


def mapped_tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor as the file has it.

    Raises:
        CheckpointError: the file is damaged, or holds something else than tensors.
    """
    import torch  # here, so that the files can be looked for without it

    if not file.is_file():
        raise CheckpointError(f"{file}: not a regular file; put the weights there")
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
    except Exception as error:  # a damaged pickle makes the libraries raise anything; only they are called here
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{file}: cannot be read as weights ({reason}); fetch it again") from None


def read_json(file: Path) -> dict[str, Any]:
    """Settings that lie beside weights, or the index of their shards.

    Raises:
        CheckpointError: the file is absent, too large for settings, or holds something else than a JSON object.
    """
    remedy = "the copy is incomplete or damaged: fetch it again"
    values = read_json_object(file, CheckpointError, remedy, max_bytes=_MAX_SETTINGS_BYTES)
    if is_nested_deeper(values, _MAX_SETTINGS_DEPTH):
        raise CheckpointError(f"{file}: nested deeper than {_MAX_SETTINGS_DEPTH} levels, which no settings are; {remedy}")
    return values
