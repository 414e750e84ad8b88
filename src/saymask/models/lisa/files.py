"""Weight files of the LISA layout (`names`) read into a model of ours, and the folder of the vision tower that belongs to them.

Every name and shape is compared with what the files hold before a tensor is read; then file by file, in the dtype and on the device wanted:
the peak is the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from saymask.errors import CheckpointError
from saymask.models.base import TOWER_OPTION
from saymask.models.family import Family
from saymask.models.filling import assign
from saymask.models.int8 import use_int8
from saymask.models.lisa.names import TOWER_PREFIX, our_name, released_name
from saymask.models.parts.reasoning import ReasoningModel
from saymask.runtime import Runtime
from saymask.storage.computing_dtype import computing_dtype
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_shapes, read_tensors


def tower_beside(folder: Path, values: Mapping[str, Any], usual: str) -> Path:
    """The vision tower's folder, in or next to the release.

    Args:
        folder: the release.
        values: its configuration, which names the tower's repository.
        usual: the repository, if it does not.

    Raises:
        CheckpointError: there is none; says where it belongs.
    """
    repo_id = str(values.get("mm_vision_tower", usual))
    places = [parent / repo_id.rpartition("/")[2] for parent in (folder, folder.resolve().parent)]
    for candidate in places:
        if candidate.is_dir():
            return candidate
    raise CheckpointError(
        f"{folder}: its vision tower is not part of it; fetch https://huggingface.co/{repo_id} and give its folder as {TOWER_OPTION}, "
        f"or put it at {places[0]}"
    )


def fill(model: ReasoningModel, family: Family, files: Mapping[Path, str], runtime: Runtime, source: str) -> None:
    """Check all files against the model, then give every parameter its tensor.

    Args:
        model: built without memory.
        family: the model's.
        files: each file with what a released name has in front of the file's own names.
        runtime: device and dtype; such models were trained in bf16.
        source: what was given, for messages.

    Raises:
        CheckpointError: tensors are missing, unexpected or of the wrong shape, named as in the release.
    """
    wanted = {released_name(key): tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    found: dict[str, tuple[int, ...]] = {}
    unexpected: list[str] = []
    for file, prefix in files.items():
        for own_name, shape in read_shapes(file).items():
            released = prefix + own_name
            if _is_left_out(own_name, prefix):
                continue
            if released not in wanted or released.startswith(TOWER_PREFIX) != bool(prefix):
                unexpected.append(released)
            else:
                found[released] = shape
    mismatched = [(released, shape, wanted[released]) for released, shape in found.items() if shape != wanted[released]]
    raise_unless_exact(source, wanted.keys() - found.keys(), unexpected, mismatched)
    dtype = computing_dtype(runtime, files, torch.bfloat16)
    device = runtime.torch_device if runtime.device_map is None else "cpu"
    if runtime.is_int8:
        use_int8(model, family.int8_parts, runtime)
    for file, prefix in files.items():
        for own_name, tensor in read_tensors(file):
            if not _is_left_out(own_name, prefix):
                assign(model, our_name(prefix + own_name), tensor, dtype, device)


def is_of_another_model(own_name: str) -> bool:
    """Of a tensor in the tower's folder: CLIP's repository also holds its text half, and positions, which are computed."""
    return not own_name.startswith("vision_model.") or own_name.endswith(".position_ids")


def _is_left_out(own_name: str, prefix: str) -> bool:
    """Of what has no place in our model: another model's tensors beside the tower, and tables that older libraries saved with the rest."""
    return is_of_another_model(own_name) if prefix else own_name.endswith(".rotary_emb.inv_freq")
