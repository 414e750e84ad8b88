"""The only reader and writer of model weights. Loading is strict: every tensor is used and every parameter filled.

A saved model is a folder: `config.json`, `model.safetensors`, the tokenizer's files and, for published weights, a model card. Nothing is
ever unpickled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from saymask.errors import CheckpointError, UnknownName
from saymask.lookup import MODELS, resolve, suggest
from saymask.models.auxiliary import AUX_PREFIX
from saymask.models.base import Segmenter
from saymask.models.videolisa import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa_processor import VideoLisaProcessor
from saymask.models.videolisa_segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime

COPY_AGAIN = "copy the model folder again"


def load_model(name_or_path: str | Path, runtime: Runtime | None = None) -> Segmenter:
    """Load a bundled model by name, or a folder written by `save_model`, and place it.

    Args:
        name_or_path: a name of `saymask list`, or a folder.
        runtime: device and dtype; without one the best device present and the checkpoint's own dtype.

    Raises:
        UnknownName: neither a known name nor a folder.
        CheckpointError: the folder is incomplete or its tensors do not fit.
    """
    runtime = runtime or Runtime.choose()
    if str(name_or_path) in MODELS:
        return resolve(str(name_or_path), "model")(runtime)
    folder = Path(name_or_path)
    if not folder.is_dir():
        raise UnknownName(f"unknown model {str(name_or_path)!r} (and no such folder); {suggest(str(name_or_path), MODELS)}")
    return load_folder(folder, runtime, name=folder.name)


def load_bundled_toy(runtime: Runtime) -> Segmenter:
    """The model in this package, trained by this repository on drawn scenes."""
    return load_folder(bundled_folder("toy"), runtime, name="toy")


def bundled_folder(name: str) -> Path:
    """Folder of weights that ship with the package."""
    return Path(str(files("saymask") / "weights" / name))


def load_folder(folder: Path, runtime: Runtime, name: str) -> VideoLisaSegmenter:
    """Read a VideoLISA model in our layout.

    Raises:
        CheckpointError: a file is missing, the family is unknown, or tensors are missing, unexpected or of the wrong shape.
    """
    for file in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / file).is_file():
            raise CheckpointError(f"{folder}: no {file}; a model folder holds config.json, model.safetensors and tokenizer.json")
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{folder}/config.json: not valid JSON ({error}); {COPY_AGAIN}") from None
    family = values.get("model_type") if isinstance(values, dict) else None
    if family != VideoLisaConfig.model_type:
        raise CheckpointError(
            f"{folder}/config.json: model_type {family!r} is not a saymask model; expected {VideoLisaConfig.model_type!r}"
        )
    with _quiet_transformers():
        try:
            loaded: Any = VideoLisaModel.from_pretrained(
                folder, dtype=runtime.torch_dtype or "auto", output_loading_info=True, use_safetensors=True, ignore_mismatched_sizes=True
            )
        except SafetensorError as error:
            raise CheckpointError(f"{folder}/model.safetensors: damaged or cut off ({error}); {COPY_AGAIN}") from None
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{folder}/config.json: no model can be built from it ({error}); {COPY_AGAIN}") from None
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
            raise CheckpointError(f"{folder}/tokenizer.json: cannot be read ({error!r}); {COPY_AGAIN}") from None
    model, info = loaded
    _raise_unless_exact(folder, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    try:
        processor = VideoLisaProcessor(tokenizer, model.config)
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}; {COPY_AGAIN}") from None
    return VideoLisaSegmenter(model.to(runtime.torch_device), processor, name, folder / "model.safetensors")


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hold back transformers' progress bars and its own table of ill-fitting tensors; ours is an error."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def _raise_unless_exact(folder: Path, missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[tuple]) -> None:
    """Turn any difference between file and model into one error that names the tensors."""
    problems = [f"missing {key}" for key in sorted(missing)]
    problems += [f"unexpected {key}" for key in sorted(unexpected)]
    problems += [f"wrong shape {key}: {list(found)} in the file, {list(wanted)} in the model" for key, found, wanted in sorted(mismatched)]
    if problems:
        shown = "\n  ".join(problems[:20])
        more = f"\n  ... and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise CheckpointError(f"{folder}: the weights do not fit the configuration; nothing was loaded\n  {shown}{more}")


def save_model(model: VideoLisaModel, processor: VideoLisaProcessor, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model as `load_model` reads it: auxiliary heads left out, every tensor in `dtype`.

    A model that is in the folder already is replaced only when the new one is complete.
    """
    state = {key: value.to(dtype) for key, value in model.state_dict().items() if not key.startswith(AUX_PREFIX)}
    config = VideoLisaConfig.from_dict({**model.config.to_dict(), "aux_loss_weight": 0.0})
    plain = VideoLisaModel(config)
    nn.Module.to(plain, dtype)
    plain.load_state_dict(state)
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    with _quiet_transformers():
        plain.save_pretrained(draft)
    processor.tokenizer.save_pretrained(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
