"""What fine-tuning adds to a model, kept apart from it: LoRA matrices beside linear layers, and whole parts trained anew.

    layer(x) -> layer(x) + alpha / rank * B (A x)        A (rank, in), B (out, rank); only A and B are trained

An adapter is a folder that holds nothing but what was trained: `adapter_model.safetensors` and `adapter_config.json` in peft's layout, so
that peft reads it as well, and `saymask_adapter.json`, which names the base model and the digest of its weights. Training needs peft;
loading does not: the matrices are multiplied and added to the base's weights.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors.torch import save_file
from torch import nn

from saymask.config import Config
from saymask.errors import CheckpointError, ConfigError
from saymask.lookup import suggest
from saymask.models.family import Family
from saymask.storage.model_folder import replaced_folder
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_json, read_tensors

LORA = "lora"
"""The part that is no part of the model: LoRA matrices in its language model. The others are the family's `train_parts`."""

ADAPTER_FILE, TENSOR_FILE = "saymask_adapter.json", "adapter_model.safetensors"
_PEFT_PREFIX = "base_model.model."


class LoraConfig(Config):
    """LoRA matrices (arXiv 2106.09685), as VideoLISA's authors use them.

    Args:
        targets: names of linear layers of the language model, in every block; Phi-3 computes query, key and value in one, `qkv_proj`.
        rank: rows of A and columns of B.
        alpha: what B A is multiplied by, times the rank.
        dropout: share of the inputs of A left out in training.
    """

    targets: tuple[str, ...] = ("qkv_proj",)
    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)


class AdapterConfig(Config):
    """What an adapter is and which model it belongs to.

    Args:
        base: the model as it was named when the training began, for messages.
        base_sha256: `weights_digest` of its files.
        parts: what was trained.
        lora: numbers of the LoRA matrices, if "lora" is among the parts.
        new_words: words of the training sentences that are not in the base's lexicon; empty if that has none.
    """

    base: str
    base_sha256: str
    parts: tuple[str, ...] = Field(min_length=1)
    lora: LoraConfig = LoraConfig()
    new_words: tuple[str, ...] = ()


def weights_digest(files: Iterable[Path]) -> str:
    """SHA-256 of the files' contents one after the other, as `cat FILES | sha256sum` gives it."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def add_adapter(family: Family, model: nn.Module, parts: Sequence[str], lora: LoraConfig) -> None:
    """Freeze a model but for the named parts, and put fresh LoRA matrices into its language model if "lora" is among them.

    B begins with zeros, so the model computes what it did before. A is drawn from torch's global random numbers.

    Raises:
        ConfigError: the family has no such part, peft is not installed, or the language model has no such layer.
    """
    if unknown := [part for part in parts if part not in (LORA, *family.train_parts)]:
        raise ConfigError(f"train_parts: {family.name} has no part {unknown[0]!r}; {suggest(unknown[0], [LORA, *family.train_parts])}")
    model.requires_grad_(False)
    if LORA in parts:
        _require_targets(family, model, lora)
        try:
            import peft
        except ImportError as error:
            raise ConfigError(f"training LoRA needs peft, which cannot be imported ({error}); pip install 'saymask[train]'") from None
        numbers = peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(lora.targets))  # pyrefly: ignore[bad-argument-type]
        peft.inject_adapter_in_model(numbers, model.get_submodule(_blocks(family)))
    for part in parts:
        if part != LORA:
            model.get_submodule(family.train_parts[part]).requires_grad_(True)


def save_adapter(family: Family, model: nn.Module, config: AdapterConfig, folder: Path) -> None:
    """Write what was trained; an adapter that is in the folder already is replaced only when the new one is complete."""
    trained = {name: parameter for name, parameter in model.named_parameters() if ".lora_" in name}
    trained |= dict(_whole_parts(family, model, config.parts))
    tensors = {_PEFT_PREFIX + name.replace(".default.", "."): value.detach().cpu().contiguous() for name, value in trained.items()}
    with replaced_folder(folder) as draft:
        save_file(tensors, draft / TENSOR_FILE, metadata={"format": "pt"})
        (draft / "adapter_config.json").write_text(json.dumps(_for_peft(family, config), indent=2) + "\n", encoding="utf-8")
        config.save(draft / ADAPTER_FILE)


def _for_peft(family: Family, config: AdapterConfig) -> dict[str, Any]:
    """The adapter in peft's words; the parts trained as a whole are its `modules_to_save`."""
    targets = rf"{re.escape(_blocks(family))}\..*\.({'|'.join(config.lora.targets)})"  # not the layers of that name in the vision tower
    return {
        "peft_type": "LORA",
        "base_model_name_or_path": config.base,
        "inference_mode": True,
        "target_modules": targets if LORA in config.parts else "dummy-target-modules",
        "modules_to_save": [family.train_parts[part] for part in config.parts if part != LORA] or None,
        "r": config.lora.rank,
        "lora_alpha": config.lora.alpha,
        "lora_dropout": config.lora.dropout,
        "bias": "none",
    }


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter of ours."""
    return (folder / ADAPTER_FILE).is_file()


def read_adapter(folder: Path) -> AdapterConfig:
    """The configuration of an adapter.

    Raises:
        CheckpointError: it is absent or not readable.
        ConfigError: it says something this version does not know.
    """
    return AdapterConfig.parse(read_json(folder / ADAPTER_FILE), str(folder / ADAPTER_FILE))


@torch.no_grad()
def merge_adapter(base: Any, folder: Path) -> Any:
    """Add an adapter to the weights of a loaded model, which must be the one it was trained on.

    Args:
        base: a segmenter with a network (`checkpoints.require_network`); its weights are changed.
        folder: the adapter's.

    Returns:
        A segmenter of the same class.

    Raises:
        CheckpointError: it was trained on another model, or its tensors do not fit.
    """
    config = read_adapter(folder)
    digest = weights_digest(base.weights_files)
    if digest != config.base_sha256:
        raise CheckpointError(
            f"{folder}: trained on {config.base!r} with weights {config.base_sha256[:16]}…, "
            f"but {base.name!r} has {digest[:16]}…; load it with the model it was trained on"
        )
    model, family = base.model, base.family
    if unknown := [part for part in config.parts if part not in (LORA, *family.train_parts)]:
        raise CheckpointError(
            f"{folder}/{ADAPTER_FILE}: part {unknown[0]!r} is none of {family.name}; {suggest(unknown[0], list(family.train_parts))}"
        )
    tensors = {name.removeprefix(_PEFT_PREFIX): tensor for name, tensor in read_tensors(folder / TENSOR_FILE)}
    wanted = _wanted_shapes(family, model, config)
    mismatched = [(name, tuple(t.shape), wanted[name]) for name, t in tensors.items() if name in wanted and tuple(t.shape) != wanted[name]]
    raise_unless_exact(folder, wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys(), mismatched)
    for name, parameter in _whole_parts(family, model, config.parts):
        parameter.copy_(tensors[name])
    for name, layer in _target_layers(family, model, config):
        delta = config.lora.alpha / config.lora.rank * tensors[f"{name}.lora_B.weight"].float() @ tensors[f"{name}.lora_A.weight"].float()
        layer.weight.copy_(layer.weight.float() + delta.to(layer.weight.device))
    if model.config.lexicon:
        model.config.lexicon = [*model.config.lexicon, *config.new_words]
    files = (*base.weights_files, folder / TENSOR_FILE, folder / ADAPTER_FILE)
    return type(base)(model, base.processor, f"{base.name}+{folder.name}", files)


def _wanted_shapes(family: Family, model: nn.Module, config: AdapterConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor that an adapter of this configuration has."""
    shapes = {name: tuple(parameter.shape) for name, parameter in _whole_parts(family, model, config.parts)}
    for name, layer in _target_layers(family, model, config):
        shapes[f"{name}.lora_A.weight"] = (config.lora.rank, layer.in_features)
        shapes[f"{name}.lora_B.weight"] = (layer.out_features, config.lora.rank)
    return shapes


def _whole_parts(family: Family, model: nn.Module, parts: Sequence[str]) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters of the parts that are trained as a whole; one that two of them share (tied embeddings) comes once."""
    seen: set[int] = set()
    for part in parts:
        where = family.train_parts.get(part)  # none for LoRA
        for name, parameter in model.get_submodule(where).named_parameters(where) if where else ():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter


def _target_layers(family: Family, model: nn.Module, config: AdapterConfig) -> list[tuple[str, nn.Linear]]:
    """Linear layers beside which the adapter has matrices."""
    if LORA not in config.parts:
        return []
    return [(name, layer) for name, layer in _linear_layers(family, model) if name.rpartition(".")[2] in config.lora.targets]


def _blocks(family: Family) -> str:
    """Where the language model's transformer lies in the model."""
    return f"{family.language_model}.model"


def _linear_layers(family: Family, model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in model.get_submodule(_blocks(family)).named_modules(prefix=_blocks(family)):
        if isinstance(module, nn.Linear):
            yield name, module


def _require_targets(family: Family, model: nn.Module, lora: LoraConfig) -> None:
    present = dict.fromkeys(name.rpartition(".")[2] for name, _ in _linear_layers(family, model))
    if unknown := [target for target in lora.targets if target not in present]:
        raise ConfigError(f"lora.targets: the language model has no layer {unknown[0]!r}; it has {', '.join(present)}")
