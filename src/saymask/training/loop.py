"""The training loop: batches that are a pure function of (seed, step), bf16 autocast, JSON lines, exact resume.

A run lives in one folder: `train.json` (the resolved configuration), `log.jsonl`, `state.pt` (the last save) and `model/` (what
`load_model` reads), written at every save. Interrupted runs go on with `resume=True` and give the same curve.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from saymask.data.toyworld import COLOURS, KINDS, TIMELINE, corpus, draw_batch, lexicon
from saymask.errors import ConfigError, DataError
from saymask.models.auxiliary import RegionTargets
from saymask.models.checkpoints import save_model
from saymask.models.prompts import ABSENT_ANSWER, FORCED_ANSWER, chat, phrase
from saymask.models.videolisa import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa_processor import VideoLisaProcessor
from saymask.runtime import Runtime
from saymask.training.checkpoint import STATE_FILE, load_state, save_state
from saymask.training.config import TrainConfig, require_equal
from saymask.training.optim import build_optimizer, lr_at
from saymask.training.tokenizer import train_tokenizer
from saymask.video.sampling import jittered

LOSSES = ("loss", "lm_loss", "mask_bce_loss", "mask_dice_loss", "aux_loss")


class StepBatches(Dataset):
    """Batch of every step, drawn from the toy world; item `step` depends on (seed, step) alone, whoever asks for it."""

    def __init__(self, config: TrainConfig, processor: VideoLisaProcessor):
        self.config = config
        self.processor = processor

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        num_sparse = self.processor.config.num_sparse
        # Only the frames that are used are drawn: one of each of S equal parts of the timeline, the same for the batch.
        frame_idx = jittered(TIMELINE, num_sparse, self.processor.config.num_dense, rng).sparse_frame_idx
        mix = config.data.mix(step, config.steps)
        samples = draw_batch(config.seed, step, 0, config.batch_size, mix, size=config.data.size, frame_idx=frame_idx)
        return self.processor.to_batch(samples, rng)


def build(config: TrainConfig) -> tuple[VideoLisaModel, VideoLisaProcessor]:
    """A fresh model and its processor; the same configuration gives the same weights.

    Raises:
        ConfigError: numbers no model can be built from.
    """
    sentences = corpus(config.tokenizer_sentences)
    chats = (chat(phrase(text), answer, config.model["system_prompt"]) for text in sentences for answer in (FORCED_ANSWER, ABSENT_ANSWER))
    tokenizer = train_tokenizer(chats, config.vocab_size)
    values = {**config.model, "seg_token_id": tokenizer.convert_tokens_to_ids("[SEG]")}
    values["text_config"] = {
        **values["text_config"],
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    values |= {"lexicon": list(lexicon()), "region_words": [*COLOURS, *KINDS]}
    torch.manual_seed(config.seed)
    try:
        model_config = VideoLisaConfig(**values)
        model = VideoLisaModel(model_config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no model can be built from these numbers ({error}); check the model.* overrides") from None
    if config.num_supervised is not None and config.num_supervised > model_config.num_sparse:
        raise ConfigError(f"num_supervised = {config.num_supervised}: a clip has only {model_config.num_sparse} frames (model.num_sparse)")
    return model, VideoLisaProcessor(tokenizer, model_config, config.num_supervised)


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
        DataError: a loss that is not finite; names the step, and the last saved state stays.
    """
    if resume:
        require_resumable(out_dir)
        require_equal(TrainConfig.load(out_dir / "train.json"), config)
    elif (out_dir / "train.json").exists():
        raise ConfigError(f"{out_dir} already holds a run; continue it with --resume or choose another folder")
    device = (runtime or Runtime.choose()).torch_device
    model, processor = build(config)
    nn.Module.to(model, device).train()
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
        StepBatches(config, processor), batch_size=None, sampler=range(done, config.steps), num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
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
            for name in LOSSES:
                if output[name] is not None:
                    sums[name] = sums.get(name, torch.zeros((), device=device)) + output[name].detach().float()
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
                save_model(model, processor, out_dir / "model")
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


def _to_device(value: Any, device: torch.device) -> Any:
    """Move a batch's tensors, also those inside lists, dictionaries and records."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: _to_device(item, device) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_device(item, device) for item in value]
    if isinstance(value, RegionTargets):
        return RegionTargets(*(_to_device(getattr(value, field.name), device) for field in fields(value)))
    return value
