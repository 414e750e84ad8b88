"""Models of transformers as they are published: one folder of settings and weights, read strictly and placed for inference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers.models.auto.tokenization_auto import AutoTokenizer

from saymask.errors import CheckpointError
from saymask.runtime import Runtime
from saymask.storage.computing_dtype import computing_dtype
from saymask.storage.config_values import building_from, require_fitting_model, require_plausible_sizes
from saymask.storage.strict import raise_unless_exact, reading_settings
from saymask.storage.weight_files import read_json, read_shapes, require_plain_folder, require_sound, weight_files


def load_published(model_class: Any, folder: Path, runtime: Runtime, remedy: str = "give a folder of that kind", also_in: str = "") -> Any:
    """Read a folder of one kind of model.

    Args:
        model_class: of transformers; its configuration's `model_type` must be the folder's.
        folder: `config.json` and weights.
        runtime: device and dtype.
        remedy: what to do about another kind of model.
        also_in: model type of folders that hold a larger model of which this one is a part; transformers knows what to leave.

    Raises:
        CheckpointError: another kind of model, damaged files, or tensors that do not fit.
    """
    values = read_json(folder / "config.json")
    model_type, wanted = values.get("model_type"), model_class.config_class.model_type
    if model_type not in (wanted, also_in or wanted):
        raise CheckpointError(f"{folder}/config.json: model_type {model_type!r} is not {wanted!r}; {remedy}")
    return load_strictly(model_class, folder, runtime, lambda values: model_class(model_class.config_class.from_dict(values)))


def load_strictly(model_class: Any, folder: Path, runtime: Runtime, build: Callable[[dict[str, Any]], Any]) -> Any:
    """Read a folder, every tensor used, every parameter filled.

    Args:
        model_class: what has `from_pretrained`.
        folder, runtime: as of `load_published`.
        build: makes the model from the content of `config.json`.

    Raises:
        CheckpointError: damaged files, a configuration that asks for more than the weights are, or tensors that do not fit.
    """
    source = folder / "config.json"
    values = read_json(source)
    require_plain_folder(folder)
    files = weight_files(folder)
    require_sound(files)
    shapes = {name: shape for file in files for name, shape in read_shapes(file).items()}
    require_plausible_sizes(source, values, shapes)
    require_fitting_model(source, lambda: build(values), shapes)
    with building_from(source):
        model, info = model_class.from_pretrained(
            folder,
            dtype=computing_dtype(runtime, files),
            output_loading_info=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            trust_remote_code=False,
        )
    raise_unless_exact(folder, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return model.eval().requires_grad_(False).to(runtime.torch_device)


def load_tokenizer(folder: Path, num_rows: int) -> Any:
    """Read the tokenizer beside a model.

    Args:
        folder: the model's.
        num_rows: of its embeddings.

    Raises:
        CheckpointError: a file is absent or damaged, or a text gets an id that has no row.
    """
    with reading_settings(folder):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        spare = set(tokenizer.added_tokens_decoder) - set(tokenizer.all_special_ids)  # published folders hold some that nobody uses
        ids = {token: number for token, number in tokenizer.get_vocab().items() if number not in spare}
        tokenizer(["a", "a b"], padding=True)  # what is contradictory shows when texts are read
    for token, number in ids.items():
        if number >= num_rows:
            raise CheckpointError(
                f"{folder}: its tokenizer gives {token!r} the id {number}, the embeddings end at {num_rows - 1}; copy the folder again"
            )
    return tokenizer
