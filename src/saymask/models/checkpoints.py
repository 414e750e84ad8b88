"""From a name, a folder or a repository to a loaded model, and back to a folder. Strict: every tensor is used, every parameter filled.

A saved model is a folder: `config.json`, `model.safetensors`, the tokenizer's files and, for published weights, a model card. `config.json`
says which family it belongs to; a family with a published layout reads that itself (`Family.release`). No code from a file is ever run.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.lookup import families, resolve, suggest, table
from saymask.models.adapters import is_adapter, merge_adapter, read_adapter
from saymask.models.base import TOWER_OPTION, Release, Segmenter
from saymask.models.family import Family
from saymask.models.filling import fill
from saymask.models.int8 import has_int8, use_int8
from saymask.models.parts.auxiliary import AUX_PREFIX
from saymask.models.parts.tokenizer import read_tokenizer
from saymask.models.placement import language_quantisation, place
from saymask.runtime import AS_STORED, Runtime
from saymask.storage.computing_dtype import computing_dtype
from saymask.storage.config_values import building_from, require_declared_types, require_fitting_model, require_plausible_sizes
from saymask.storage.hub import HUB_ID, fetch_config
from saymask.storage.model_folder import replaced_folder
from saymask.storage.strict import quiet_transformers, raise_unless_exact
from saymask.storage.weight_files import read_json, read_shapes, require_plain_folder, require_sound


def load_model(name_or_path: str | Path, runtime: Runtime | None = None, vision_tower: str | Path | None = None) -> Segmenter:
    """Load a model by name, from a folder (ours or in the released layout) or from a repository of the hub, and place it.

    Args:
        name_or_path: a name of `saymask list`, a folder, a repository `owner/name`, or one of these and an adapter: "toy+path/to/adapter";
            of a family whose parts can be chosen, "<family>:PARTS".
        runtime: device and dtype; without one the best device present and the fastest dtype that fits.
        vision_tower: for released weights, the folder of their CLIP tower if it is not beside them.

    Raises:
        UnknownName: neither a known name nor a folder.
        CheckpointError: the folder is incomplete, its tensors do not fit, or the hub cannot be reached.
        ConfigError: a vision tower for a model that has one of its own, or an adapter without its base model.
    """
    runtime = runtime or Runtime.choose()
    name, folder, tower = str(name_or_path), Path(name_or_path), Path(vision_tower) if vision_tower else None
    models = table("model")
    if name in models and tower is None:
        return resolve(name, "model")(runtime)
    family, colon, spec = name.partition(":")
    if colon and family in families() and families()[family].open_spec:
        if tower is not None:
            raise ConfigError(f"{TOWER_OPTION} goes with a folder or repository of released weights; {name!r} is neither")
        return families()[family].load("open_spec")(spec, runtime)
    if is_adapter(folder):
        raise ConfigError(f"{folder}: an adapter, which needs its base model; give both: -m {read_adapter(folder).base}+{folder}")
    if "+" in name and not folder.exists():
        return load_adapted(*_split_adapter(name), runtime, tower)
    if not folder.exists() and HUB_ID.fullmatch(name):
        config = fetch_config(name)
        return _release_of(read_json(config), f"{name} on the hub").load_hub(name, runtime, name, tower)
    if folder.is_dir():
        require_plain_folder(folder)
    if folder.is_dir() and (release := _find_release(folder)):
        return release.load(folder, runtime, folder.name, tower)
    if tower is not None:
        raise ConfigError(f"{TOWER_OPTION} goes with a folder or repository of released weights; {name!r} is neither")
    if not folder.is_dir():
        raise UnknownName(f"unknown model {name!r} (and no such folder); {suggest(name, models)}")
    return load_folder(folder, runtime, name=folder.name)


def _releases() -> list[Release]:
    """The published layouts that some family reads."""
    return [family.load("release")() for family in families().values() if family.release]


def _find_release(folder: Path) -> Release | None:
    """The published layout a folder is in; None for ours and for one that is damaged, of which its loader says what is wrong."""
    try:
        values = read_json(folder / "config.json")
    except CheckpointError:
        return None
    return next((release for release in _releases() if release.recognises(values)), None)


def _release_of(values: dict[str, Any], source: str) -> Release:
    """The published layout of a repository."""
    found = next((release for release in _releases() if release.recognises(values)), None)
    if found is None:
        raise CheckpointError(f"{source}: model_type {values.get('model_type')!r} is of no family that saymask reads from the hub")
    return found


def load_adapted(base: str, adapter: Path, runtime: Runtime, vision_tower: Path | None = None) -> Segmenter:
    """Load a model, add an adapter to its weights, and place it.

    Raises:
        ConfigError: quantisation, which reads whole models only, or a base of a family that has no parts to adapt.
        CheckpointError: the adapter was trained on another model, or does not fit.
    """
    if runtime.quantization_config is not None or runtime.is_int8:
        raise ConfigError(
            f"{adapter}: quantisation reads a merged model; write one with `saymask convert {base}+{adapter} DST`, then load DST"
        )
    # Weights that are spread over devices cannot be added to, so the whole is put together in main memory first.
    dtype = runtime.dtype or (None if runtime.device == "cpu" else AS_STORED)  # it is chosen for where the model is going to be
    merged = merge_adapter(require_network(load_model(base, Runtime("cpu", dtype), vision_tower), "an adapter belongs to"), adapter)
    place(merged.model, runtime, merged.family.language_model)
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


def assemble(language: Path, tower: Path, mask_model: Path, runtime: Runtime) -> Any:
    """Put published parts together as an untrained model, of the family whose training begins with such a language model.

    Args:
        language, tower, mask_model: folders of the language model, the vision tower and Segment Anything.
        runtime: device and dtype.

    Raises:
        CheckpointError: a file is absent or damaged, or no family begins with such parts.
    """
    values = read_json(language / "config.json")
    for family in families().values():
        if family.start_point and family.load("release")().recognises(values):
            return family.load("start_point")(language, tower, mask_model, runtime)
    raise CheckpointError(f"{language}: model_type {values.get('model_type')!r} is what no family's training begins with")


def require_network(segmenter: Segmenter, purpose: str) -> Any:
    """The segmenter, which then has `model` and `processor`: a network of ours.

    Args:
        segmenter: any.
        purpose: the beginning of the error: "adapters belong to", "an adapter belongs to" …

    Raises:
        ConfigError: its family has no network of ours.
    """
    if not segmenter.family.model:
        raise ConfigError(f"{segmenter.name}: {purpose} a trainable network, and family {segmenter.family.name!r} has none")
    return segmenter


def load_folder(folder: Path, runtime: Runtime, name: str) -> Segmenter:
    """Read a model in our layout.

    Raises:
        CheckpointError: a file is missing, the family is unknown, or tensors are missing, unexpected or of the wrong shape.
    """
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise CheckpointError(f"{folder}: no {file}; a model folder holds config.json, model.safetensors and a tokenizer")
    values = read_json(folder / "config.json")
    family = _family_of(values.get("model_type"), f"{folder}/config.json")
    source, weights = folder / "config.json", folder / "model.safetensors"
    model_class: Any = family.load("model")
    shapes = read_shapes(weights)
    require_plausible_sizes(source, values, shapes)
    require_declared_types(source, values, model_class.config_class)
    model = require_fitting_model(source, lambda: model_class(model_class.config_class.from_dict(values)), shapes)
    dtype = computing_dtype(runtime, [weights])
    tokenizer = read_tokenizer(folder)
    if runtime.quantization_config is None:
        if runtime.is_int8:
            use_int8(model, family.int8_parts, runtime)
        fill(model, [weights], dtype)
        model.config.dtype = dtype
        model = place(model.eval(), runtime, family.language_model)
    else:
        model = _quantised(model_class, folder, runtime, dtype, family, shapes)
    with building_from(source):
        processor = family.load("processor")(tokenizer, model.config)
    return family.load("segmenter")(model, processor, name, [weights])


def _quantised(model_class: Any, folder: Path, runtime: Runtime, dtype: torch.dtype, family: Family, names: Iterable[str]) -> Any:
    """Have transformers read a model, quantise its language model and place it; errors of `load_folder`."""
    require_sound([folder / "model.safetensors"])
    quantisation = language_quantisation(runtime, family.language_model, {name.split(".")[0] for name in names})
    with building_from(folder / "config.json"):
        try:
            model, info = model_class.from_pretrained(
                folder,
                dtype=dtype,
                output_loading_info=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                trust_remote_code=False,
                **quantisation,
            )
        except ImportError as error:
            raise ConfigError(f"the quantisation's library cannot be imported ({error}); pip install 'saymask[quant]'") from None
    raise_unless_exact(folder, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return model


def _family_of(model_type: Any, source: str) -> Family:
    """The family whose layout of ours has this `model_type`."""
    model_type = model_type if isinstance(model_type, str) else str(model_type)
    by_type = {family.model_type: family for family in families().values() if family.model_type}
    if model_type not in by_type:
        raise CheckpointError(f"{source}: model_type {model_type!r} is not a saymask model; {suggest(model_type, by_type)}")
    return by_type[model_type]


def save_model(model: Any, processor: Any, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a model as `load_model` reads it: auxiliary heads left out, every tensor in `dtype`.

    A model that is in the folder already is replaced only when the new one is complete.

    Args:
        model: a `PreTrainedModel` of a family; its configuration says how the model is without what only training needs.
        processor: its tokenizer is saved beside it.
        folder: where to.
        dtype: of every tensor.

    Raises:
        ConfigError: a model whose weights are 8-bit integers.
    """
    if has_int8(model):
        raise ConfigError("8-bit weights are made while a model is loaded, not saved; save it in another dtype and load it with dtype int8")
    state = {key: value.to(dtype) for key, value in model.state_dict().items() if not key.startswith(AUX_PREFIX)}
    with torch.device("meta"):
        plain = type(model)(model.config.without_training_aids())
    plain.load_state_dict(state, assign=True)
    family = _family_of(model.config.model_type, type(model).__name__)
    plain.get_submodule(family.language_model).tie_weights()  # what is shared is written once
    with replaced_folder(folder) as draft, quiet_transformers():
        plain.save_pretrained(draft)
        processor.tokenizer.save_pretrained(draft)
