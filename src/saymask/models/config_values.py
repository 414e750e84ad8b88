"""Does a model folder's configuration fit its weights? Asked before anything is built from it.

A configuration is a text that anybody can write: one number in it can ask for any amount of memory or time. No size can be larger than the
number of weights in the file, and no stack can have more layers than the file has tensors. What passes is built without memory (on torch's
meta device), and every tensor of the file must have its shape there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from saymask.errors import CheckpointError
from saymask.storage.strict import quiet_transformers, raise_unless_exact
from saymask.storage.weight_files import read_shapes

REMEDY = "copy the model folder again"

_BUILD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""What libraries raise for values that they did not expect. Only building from a file's values stands in the block that turns them."""

_FREE = ("token_id", "seed", "position_embeddings", "theta", "model_max_length", "max_length")
"""Endings of keys whose numbers are no size of a tensor."""


def require_fitting_config(folder: Path, values: Mapping[str, Any], model_class: Any) -> None:
    """Compare `config.json` with `model.safetensors`.

    Args:
        folder: of the model.
        values: content of its `config.json`.
        model_class: of the family, a `PreTrainedModel`.

    Raises:
        CheckpointError: a value has the wrong type or is out of range, no model can be built from it, or a tensor has another shape.
    """
    source = folder / "config.json"
    shapes = read_shapes(folder / "model.safetensors")
    num_weights = sum(prod(shape) for shape in shapes.values())
    for key, number in _numbers(values):
        limit = len(shapes) if key.endswith("num_hidden_layers") else num_weights
        if not key.endswith(_FREE) and abs(number) > max(limit, 2**16 if limit == num_weights else 0):
            raise CheckpointError(
                f"{source}: {key} is {number:.6g}, but the weights are {num_weights} numbers in {len(shapes)} tensors; {REMEDY}"
            )
    try:
        with quiet_transformers(), torch.device("meta"):
            model = model_class(model_class.config_class.from_dict(dict(values)))
    except _BUILD_ERRORS as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(f"{source}: no model can be built from it ({type(error).__name__}: {reason}); {REMEDY}") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    mismatched = [(name, shape, wanted[name]) for name, shape in shapes.items() if name in wanted and shape != wanted[name]]
    if mismatched:
        raise_unless_exact(folder, wanted.keys() - shapes.keys(), shapes.keys() - wanted.keys(), mismatched)


def _numbers(values: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Every whole number or fraction in a configuration, with the keys that lead to it."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from _numbers(value, f"{place}.{number}")
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield place, values
