"""What is known of a model without its weights: its family, its configuration, and how many tokens a text has for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.lookup import families, suggest, table
from saymask.models.adapters import is_adapter
from saymask.models.checkpoints import bundled_folder
from saymask.models.family import Family
from saymask.models.parts.sentencepiece_tokenizer import MODEL_FILE
from saymask.models.parts.tokenizer import JSON_FILE, read_tokenizer
from saymask.models.workload import CountTokens
from saymask.storage.config_values import building_from
from saymask.storage.hub import HUB_ID, HubRepo
from saymask.storage.weight_files import read_json, require_plain_folder

CHARACTERS_PER_TOKEN = 4
"""Of English text; what is counted with where there is no tokenizer."""


@dataclass(frozen=True)
class DescribedModel:
    """A model whose weights are not read.

    Args:
        name: as it was given.
        family: which has a `workload`.
        config: of the network, a `CompositeConfig`.
        stored_dtype: of the weights' files.
        count_tokens: how many tokens a text has.
    """

    name: str
    family: Family
    config: Any
    stored_dtype: torch.dtype
    count_tokens: CountTokens

    def build(self, dtype: torch.dtype) -> Any:
        """The network on torch's meta device: shapes without values."""
        with torch.device("meta"):
            return self.family.load("model")(self.config).to(dtype).eval()

    @property
    def weights_bytes(self) -> int:
        """About the size of the weights' files."""
        return sum(parameter.numel() for parameter in self.build(self.stored_dtype).parameters()) * self.stored_dtype.itemsize


def describe_model(name_or_path: str | Path, vision_tower: Path | None = None) -> DescribedModel:
    """Find a model's configuration: that of the package, of a folder, of the hub's cache, or one that is known for the name.

    Args:
        name_or_path: a name of `saymask list`, a folder with a `config.json`, or a repository of the hub that is on this disk.
        vision_tower: of a folder in a released layout, the folder of its tower's configuration if it is not beside it.

    Raises:
        UnknownName: neither a known name nor a folder.
        CheckpointError: there is no configuration, or a damaged one.
        ConfigError: a model whose cost cannot be worked out.
    """
    name, folder = str(name_or_path), Path(name_or_path)
    family = next((one for one in families().values() if name in one.models), families().get(name.partition(":")[0]))
    if family and name in family.known_configs:
        return DescribedModel(name, family, family.known_config(name), torch.bfloat16, _by_characters)
    if family and family.workload and bundled_folder(name).is_dir():
        return _of_folder(bundled_folder(name), name, vision_tower)
    if family:
        raise ConfigError(
            f"{name}: what family {family.name!r} takes cannot be worked out from a configuration; measure it: "
            f"saymask bench SOURCE -m {name} --stages-only"
        )
    if folder.is_dir():
        return _of_folder(folder, name, vision_tower)
    if "+" in name and not folder.exists():
        raise ConfigError(f"{name}: a loaded adapter is part of its base's weights; give the base alone: -m {name.partition('+')[0]}")
    if HUB_ID.fullmatch(name) and not folder.exists():
        cached = HubRepo(name).cached()
        if cached is None:
            raise CheckpointError(f"{name}: not on this disk, and nothing is downloaded to plan; give a folder with its config.json as -m")
        return _of_folder(cached, name, vision_tower)
    raise UnknownName(f"unknown model {name!r} (and no such folder); {suggest(name, table('model'))}")


def _of_folder(folder: Path, name: str, vision_tower: Path | None) -> DescribedModel:
    """A model by its `config.json`."""
    if is_adapter(folder):
        raise ConfigError(f"{folder}: a loaded adapter is part of its base's weights; give the base model alone")
    require_plain_folder(folder)
    source = folder / "config.json"
    if not source.is_file():
        raise CheckpointError(f"{folder}: no config.json, which says how large the model is; the weights need not be there")
    values = read_json(source)
    family, config = _configuration(values, folder, vision_tower)
    return DescribedModel(name, family, config, _stored_dtype(values), _token_counter(folder))


def _configuration(values: Mapping[str, Any], folder: Path, vision_tower: Path | None) -> tuple[Family, Any]:
    """The family of a folder, and its configuration in our words."""
    for family in families().values():
        if family.release and (release := family.load("release")()).recognises(values):
            return family, release.read_config(folder, vision_tower)
        if family.model_type and family.model_type == values.get("model_type"):
            with building_from(folder / "config.json"):
                return family, family.load("model").config_class.from_dict(values)
    known = [family.model_type for family in families().values() if family.model_type]
    found = values.get("model_type")
    raise CheckpointError(f"{folder}/config.json: model_type {found!r} is not a saymask model; {suggest(str(found), known)}")


def _stored_dtype(values: Mapping[str, Any]) -> torch.dtype:
    """What the configuration says of the files; where it says nothing, what this package saves in."""
    named = getattr(torch, str(values.get("dtype") or values.get("torch_dtype")), torch.bfloat16)
    return named if isinstance(named, torch.dtype) else torch.bfloat16


def _token_counter(folder: Path) -> CountTokens:
    """The folder's tokenizer, or a rule of thumb where it has none."""
    if not any((folder / file).is_file() for file in (JSON_FILE, MODEL_FILE)):
        return _by_characters
    tokenizer = read_tokenizer(folder)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _by_characters(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)
