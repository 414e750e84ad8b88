"""Checkpoints of an unfinished run: everything that training changes, whole, whoever computed it, as safetensors and a little JSON.

    <run>/checkpoints/step-000500/state.json            `RunState`
    <run>/checkpoints/step-000500/model.safetensors     or shards with an index: `weights.<name>`, `exp_avg.<name>`, `exp_avg_sq.<name>`,
                                                        `step.<name>` of every parameter; buffers as weights

A folder appears under its name when it is complete. Frozen parameters are not in it: `TrainConfig.task` makes them again, and their digest
tells whether they are the same. A run can be continued by another number of processes.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor, nn

from saymask.config import Config
from saymask.errors import CheckpointError, ConfigError
from saymask.storage.model_folder import replaced_folder
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import mapped_tensors, weight_files
from saymask.training.run_log import LogState
from saymask.training.sharded import gather_trained, spread_like, trained_tensors, whole, write

FOLDER = "checkpoints"
_STATE, _WEIGHTS, _MOMENTS = "state.json", "weights", ("exp_avg", "exp_avg_sq", "step")
_NAME = re.compile(r"step-(\d{6,})")


class RunState(Config):
    """What a run must know beside its tensors.

    Args:
        step: steps done.
        frozen_sha256: `frozen_digest` of the module.
        log: what the next line of the log has so far.
        best: highest score of a validation; None = none yet.
    """

    step: int
    frozen_sha256: str | None
    log: LogState
    best: float | None = None


def frozen_digest(module: nn.Module) -> str | None:
    """SHA-256 of the parameters that training does not change; None if there are none."""
    frozen = [(name, parameter) for name, parameter in module.named_parameters() if not parameter.requires_grad]
    digest = hashlib.sha256()
    for name, parameter in frozen:
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if frozen else None


def collect(module: nn.Module, optimizer: torch.optim.Optimizer, keep: bool) -> dict[str, Tensor]:
    """All tensors of a checkpoint, in main memory.

    Args:
        module, optimizer: of the run; if they are spread over processes, all call this together.
        keep: whether this process wants them; otherwise it only contributes, and gets nothing.
    """
    collected = {f"{_WEIGHTS}.{name}": tensor.contiguous() for name, tensor in gather_trained(module).items()}
    # Not `get_optimizer_state_dict`: where a parameter has no moments yet it takes a step to make some, and the run is no longer the same.
    for name, parameter in module.named_parameters():
        moments = optimizer.state.get(parameter, {})
        for moment in (moment for moment in _MOMENTS if moment in moments):
            complete = whole(moments[moment])
            if keep:
                collected[f"{moment}.{name}"] = complete.cpu().contiguous()
    return collected


def save_checkpoint(run: Path, state: RunState, tensors: dict[str, Tensor], shard_mb: float | None, keep_last: int) -> None:
    """Write the checkpoint of `state.step` and remove all but the `keep_last` newest; a stop at any moment leaves complete ones.

    Args:
        run: the run's folder.
        tensors: of `collect`.
        shard_mb, keep_last: see `TrainConfig`.
    """
    with replaced_folder(run / FOLDER / f"step-{state.step:06d}") as draft:
        _write_shards(draft, tensors, shard_mb)
        state.save(draft / _STATE)
    for leftover in (run / FOLDER).glob(".step-*"):  # of a stop in the midst of writing or removing
        shutil.rmtree(leftover, ignore_errors=True)
    for old in _checkpoints(run)[:-keep_last]:
        doomed = old.with_name(f".{old.name}.retired")
        old.rename(doomed)  # half a checkpoint must not look like one
        shutil.rmtree(doomed, ignore_errors=True)


def newest_checkpoint(run: Path) -> Path | None:
    """The run's last checkpoint; None if it has none."""
    return next(reversed(_checkpoints(run)), None)


def load_checkpoint(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, frozen_sha256: str | None) -> RunState:
    """Restore a run.

    Args:
        folder: of a checkpoint.
        module, optimizer: as the run's configuration makes them; may be spread over processes, each takes its part.
        frozen_sha256: of this module, before it was spread.

    Raises:
        CheckpointError: a file is damaged, or it is not this module's checkpoint; names the tensors.
    """
    try:
        state = RunState.load(folder / _STATE)
        if state.frozen_sha256 != frozen_sha256:
            raise CheckpointError(f"{folder}: the weights that stay frozen were others then; restore those, or begin a new run")
        _read_into(folder, module, optimizer)
    except (CheckpointError, ConfigError, OSError) as error:
        raise CheckpointError(f"{error}\nto go on from the checkpoint before it, if there is one, delete {folder}") from None
    return state


def _read_into(folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    weights, parameters = trained_tensors(module), dict(module.named_parameters())
    missing, unexpected, mismatched = set(weights), [], []
    for file in weight_files(folder):
        for full_name, values in mapped_tensors(file):
            kind, name = full_name.split(".", 1)
            target = weights.get(name) if kind == _WEIGHTS else parameters.get(name) if kind in _MOMENTS else None
            if target is None:
                unexpected.append(full_name)
            elif kind == "step":
                optimizer.state[target][kind] = values.clone()
            elif values.shape != target.shape:
                mismatched.append((full_name, list(values.shape), list(target.shape)))
            elif kind == _WEIGHTS:
                write(target, values)
                missing.discard(name)
            else:
                optimizer.state[target][kind] = spread_like(target, values)
    raise_unless_exact(folder, missing, unexpected, mismatched)


def _write_shards(folder: Path, tensors: dict[str, Tensor], shard_mb: float | None) -> None:
    headers = sum(len(name) + 128 for name in tensors)
    limit = sum(tensor.nbytes for tensor in tensors.values()) + 1 if shard_mb is None else max(1, int(shard_mb * 10**6) - headers)
    shards = split_torch_state_dict_into_shards(tensors, max_shard_size=limit)
    for name, members in shards.filename_to_tensors.items():
        save_file({member: tensors[member] for member in members}, folder / name, metadata={"format": "pt"})
    if shards.is_sharded:
        index = {"metadata": shards.metadata, "weight_map": shards.tensor_to_filename}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _checkpoints(run: Path) -> list[Path]:
    """Complete checkpoints, the oldest first."""
    found: Iterable[Path] = (run / FOLDER).iterdir() if (run / FOLDER).is_dir() else ()
    return sorted((path for path in found if _NAME.fullmatch(path.name)), key=lambda path: int(path.name.removeprefix("step-")))
