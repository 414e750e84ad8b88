"""From a name, a folder or a repository to a loaded model, and back to a folder. Strict: every tensor is used, every parameter filled.

A saved model is a folder: `config.json`, `model.safetensors`, the tokenizer's files and, for published weights, a model card. Folders in
the released layout go to `release_loading`, repositories of the hub to `release_download`. No code from a file is ever run.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from transformers import AutoTokenizer

from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.lookup import MODELS, resolve, suggest
from saymask.models.adapters import is_adapter, merge_adapter, read_adapter
from saymask.models.base import Segmenter
from saymask.models.parts.auxiliary import AUX_PREFIX
from saymask.models.placement import language_quantisation, place
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.release_download import load_hub
from saymask.models.videolisa.release_loading import TOWER_OPTION, is_release, load_release
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.hub import HUB_ID
from saymask.storage.model_folder import replaced_folder
from saymask.storage.strict import quiet_transformers, raise_unless_exact

COPY_AGAIN = "copy the model folder again"


def load_model(name_or_path: str | Path, runtime: Runtime | None = None, vision_tower: str | Path | None = None) -> Segmenter:
    """Load a model by name, from a folder (ours or in the released layout) or from a repository of the hub, and place it.

    Args:
        name_or_path: a name of `saymask list`, a folder, a repository `owner/name`, or one of these and an adapter: "toy+path/to/adapter".
        runtime: device and dtype; without one the best device present and the checkpoint's own dtype.
        vision_tower: for released weights, the folder of their CLIP tower if it is not beside them.

    Raises:
        UnknownName: neither a known name nor a folder.
        CheckpointError: the folder is incomplete, its tensors do not fit, or the hub cannot be reached.
        ConfigError: a vision tower for a model that has one of its own, or an adapter without its base model.
    """
    runtime = runtime or Runtime.choose()
    name, folder, tower = str(name_or_path), Path(name_or_path), Path(vision_tower) if vision_tower else None
    if name in MODELS and tower is None:
        return resolve(name, "model")(runtime)
    if is_adapter(folder):
        raise ConfigError(f"{folder}: an adapter, which needs its base model; give both: -m {read_adapter(folder).base}+{folder}")
    if "+" in name and not folder.exists():
        return load_adapted(*_split_adapter(name), runtime, tower)
    if is_release(folder):
        return load_release(folder, runtime, folder.name, tower)
    if not folder.exists() and HUB_ID.fullmatch(name):
        return load_hub(name, runtime, name, tower)
    if tower is not None:
        raise ConfigError(f"{TOWER_OPTION} goes with a folder or repository of released weights; {name!r} is neither")
    if not folder.is_dir():
        raise UnknownName(f"unknown model {name!r} (and no such folder); {suggest(name, MODELS)}")
    return load_folder(folder, runtime, name=folder.name)


def load_adapted(base: str, adapter: Path, runtime: Runtime, vision_tower: Path | None = None) -> VideoLisaSegmenter:
    """Load a model, add an adapter to its weights, and place it.

    Raises:
        ConfigError: quantisation, which reads whole models only, or a base of another family.
        CheckpointError: the adapter was trained on another model, or does not fit.
    """
    if runtime.quantization_config is not None:
        raise ConfigError(
            f"{adapter}: quantisation reads a merged model; write one with `saymask convert {base}+{adapter} DST`, then load DST"
        )
    # Weights that are spread over devices cannot be added to, so the whole is put together in main memory first.
    loaded = load_model(base, Runtime("cpu", runtime.dtype), vision_tower)
    if not isinstance(loaded, VideoLisaSegmenter):
        raise ConfigError(f"{base}: adapters belong to VideoLISA models, and this is none")
    merged = merge_adapter(loaded, adapter)
    place(merged.model, runtime)
    return merged


def _split_adapter(name: str) -> tuple[str, Path]:
    """Base and folder of `base+folder`; a "+" may also be part of a path, so the folder that is there decides, the shortest first."""
    splits = [(name[:i], Path(name[i + 1 :])) for i in reversed(range(len(name))) if name[i] == "+"]
    found = next((split for split in splits if is_adapter(split[1])), None)
    if found is None:
        base, _, folder = name.partition("+")
        within = Path(folder, "model")
        remedy = f"did you mean '{base}+{within}'?" if is_adapter(within) else "give the folder that the training wrote"
        raise UnknownName(f"unknown model {name!r}: {folder!r} is no adapter folder (of {base!r}); {remedy}")
    return found


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
    quantisation = language_quantisation(runtime)
    with quiet_transformers():
        try:
            loaded: Any = VideoLisaModel.from_pretrained(
                folder,
                dtype=runtime.torch_dtype or "auto",
                output_loading_info=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                **quantisation,
            )
        except SafetensorError as error:
            raise CheckpointError(f"{folder}/model.safetensors: damaged or cut off ({error}); {COPY_AGAIN}") from None
        except ImportError as error:
            raise ConfigError(f"the quantisation's library cannot be imported ({error}); pip install 'saymask[quant]'") from None
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{folder}/config.json: no model can be built from it ({error}); {COPY_AGAIN}") from None
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
            raise CheckpointError(f"{folder}/tokenizer.json: cannot be read ({error!r}); {COPY_AGAIN}") from None
    model, info = loaded
    raise_unless_exact(folder, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    try:
        processor = VideoLisaProcessor(tokenizer, model.config)
    except ValueError as error:
        raise CheckpointError(f"{folder}: {error}; {COPY_AGAIN}") from None
    if not quantisation:  # which has placed it already
        model = place(model, runtime)
    return VideoLisaSegmenter(model, processor, name, [folder / "model.safetensors"])


def save_model(model: VideoLisaModel, processor: VideoLisaProcessor, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model as `load_model` reads it: auxiliary heads left out, every tensor in `dtype`.

    A model that is in the folder already is replaced only when the new one is complete.
    """
    state = {key: value.to(dtype) for key, value in model.state_dict().items() if not key.startswith(AUX_PREFIX)}
    config = VideoLisaConfig.from_dict({**model.config.to_dict(), "aux_loss_weight": 0.0})
    with init_empty_weights():
        plain = VideoLisaModel(config)
    plain.load_state_dict(state, assign=True)
    plain.language_model.tie_weights()  # what is shared is written once
    with replaced_folder(folder) as draft, quiet_transformers():
        plain.save_pretrained(draft)
        processor.tokenizer.save_pretrained(draft)
