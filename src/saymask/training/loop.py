"""The training loop: any module whose `forward(**batch)` returns a loss; bf16 autocast, JSON lines, exact resume.

A run lives in one folder: `train.json` (the resolved configuration), `log.jsonl`, `state.pt` (the last save) and `model/` (what
the trained thing's loader reads), written at every save. Interrupted runs go on with `resume=True` and give the same curve.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers.utils import ModelOutput

from saymask.errors import ConfigError, DataError
from saymask.runtime import Runtime
from saymask.training.checkpoint import STATE_FILE, load_state, save_state
from saymask.training.config import TrainConfig, require_same_run
from saymask.training.optim import build_optimizer, lr_at


def train(
    config: TrainConfig,
    out_dir: Path,
    resume: bool = False,
    runtime: Runtime | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Run (or continue) a training and return the folder of the finished model.

    Args:
        config: the run.
        out_dir: its folder; must be empty or new unless `resume`.
        resume: continue from the folder's last saved state.
        runtime: device; the best one present by default.
        progress: called with (step, steps, means of the losses since the last call) at every log line.

    Raises:
        ConfigError: the folder is in use, or the saved run has another configuration.
        DataError: a gradient that is not finite; names the step, and the last saved state stays.
    """
    if resume:
        require_resumable(out_dir)
        require_same_run(out_dir / "train.json", config)
    elif (out_dir / "train.json").exists():
        raise ConfigError(f"{out_dir} already holds a run; continue it with --resume or choose another folder")
    device = (runtime or Runtime.choose()).torch_device
    task = config.task()
    model = nn.Module.to(task.module, device).train()
    optimizer = build_optimizer(model, config.optim)
    out_dir.mkdir(parents=True, exist_ok=True)
    if resume:
        done = load_state(out_dir, model, optimizer)
        _forget_after(out_dir / "log.jsonl", done)
    else:
        done = 0
        save_state(out_dir, done, model, optimizer)  # so that a run can be continued from its first second
    config.save(out_dir / "train.json")
    loader = DataLoader(
        task.batches, batch_size=None, sampler=range(done, config.steps), num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        generator=torch.Generator(),  # else it would draw from the module's random numbers, once per start
    )  # fmt: skip
    sums: dict[str, Tensor] = {}
    started, since = time.perf_counter(), done
    with (out_dir / "log.jsonl").open("a", encoding="utf-8") as log:
        for step, batch in enumerate(loader, start=done):
            for group in optimizer.param_groups:
                group["lr"] = lr_at(step, config.steps, config.optim)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.autocast):
                output = model(**_to_device(batch, device))
            optimizer.zero_grad(set_to_none=True)
            output.loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
            if not torch.isfinite(norm):
                raise DataError(
                    f"step {step}: the gradient is not finite; the state of {out_dir} is that of the last save, try a lower optim.lr"
                )
            optimizer.step()
            for name, value in _losses(output).items():
                sums[name] = sums.get(name, torch.zeros((), device=device)) + value.detach().float()
            if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
                means = {name: (total / (step + 1 - since)).item() for name, total in sums.items()}
                seconds = time.perf_counter() - started
                line = {
                    "step": step + 1,
                    **means,
                    "lr": optimizer.param_groups[0]["lr"],
                    "samples_per_s": (step + 1 - since) * config.batch_size / seconds,
                }
                log.write(json.dumps({key: round(value, 6) for key, value in line.items()}) + "\n")
                log.flush()
                if progress:
                    progress(step + 1, config.steps, means)
                sums, started, since = {}, time.perf_counter(), step + 1
            if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
                save_state(out_dir, step + 1, model, optimizer)
                task.save(out_dir / "model")
    return out_dir / "model"


def require_resumable(out_dir: Path) -> None:
    """Raise ConfigError unless the folder holds the state of a run."""
    if not (out_dir / STATE_FILE).is_file():
        raise ConfigError(f"{out_dir}: nothing to resume, there is no {STATE_FILE}; start without --resume")


def _forget_after(log: Path, done: int) -> None:
    """Drop the log lines of steps after the last save, which are about to be made again."""
    if log.exists():
        kept = [line for line in log.read_text(encoding="utf-8").splitlines() if json.loads(line)["step"] <= done]
        log.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _losses(output: ModelOutput) -> dict[str, Tensor]:
    """What an output holds of `loss` and its parts, `*_loss`."""
    return {name: value for name, value in output.items() if name == "loss" or name.endswith("_loss")}


def _to_device(value: Any, device: torch.device) -> Any:
    """Move a batch's tensors, also those inside lists, dictionaries and records."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _to_device(item, device) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_device(item, device) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _to_device(getattr(value, field.name), device) for field in fields(value)})
    return value
