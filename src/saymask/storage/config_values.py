"""Does a model folder's configuration fit its weights? Asked before anything is built from it.

A configuration is a text that anybody can write: one number in it can ask for any amount of memory or time. No size can be larger than the
number of weights in the files, and no stack can have more layers than the files have tensors. What passes is built, which takes no
memory before the weights are filled in, and may have no more parameters than the files can account for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from huggingface_hub.errors import StrictDataclassError
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch.overrides import TorchFunctionMode
from transformers.configuration_utils import PreTrainedConfig
from transformers.initialization import no_init_weights

from saymask.errors import CheckpointError
from saymask.storage.strict import quiet_transformers, raise_unless_exact

REMEDY = "copy the model folder again"

_LIBRARY_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""What libraries raise for values that they did not expect."""

_FREE = ("token_id", "seed", "position_embeddings", "theta", "model_max_length", "max_length", "layer_idx")
"""Endings of keys whose numbers are no size of a tensor."""
_STACKS = ("layers", "depths", "blocks_per_stage", "num_stages")
"""Endings of keys that say how many modules are made, one after the other."""
_SIZES = ("_size", "_dim", "_width", "_heads", "_layers", "_channels", "_depths")
"""Endings of keys whose numbers cannot be negative."""
_POSITIVE = ("theta", "_eps")
"""Endings of keys whose numbers are divided by, or of which a root or a logarithm is taken."""
_STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)
_ALLOCATING = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn)
_MAX_POSITIONS = 2**24
"""No model numbers more positions."""
_SMALL = 2**16
"""A number below may be a size, whatever the number of weights: queries, positions and pixels have none of their own."""
_SPARE = 2
"""A model may have as many times more parameters than its files: tied ones are stored once."""


@contextmanager
def building_from(source: Path) -> Iterator[None]:
    """While libraries build a configuration or a model from a file's values: silence, and one error. Nothing else stands in the block.

    Raises:
        CheckpointError: names the file and what the library said of its values.
    """
    with quiet_transformers():
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except ImportError as error:
            raise CheckpointError(f"{source}: a library is not installed: {' '.join(str(error).split())}") from None
        except _LIBRARY_ERRORS as error:
            reason = " ".join(str(error).split())[:300] or "no reason given"
            raise CheckpointError(f"{source}: no model can be built from it ({type(error).__name__}: {reason}); {REMEDY}") from None


def require_plausible_sizes(source: Path, values: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Look at every number of a configuration.

    Args:
        source: the file, for messages.
        values: its content.
        shapes: of every tensor in the weight files.

    Raises:
        CheckpointError: a number is not finite, a negative size, or larger than any size in these weights; names its key.
    """
    num_weights = sum(math.prod(shape) for shape in shapes.values())
    for key, number in _numbers(values):
        name = key.rstrip("0123456789.")
        limit = len(shapes) if name.endswith(_STACKS) else max(num_weights, _SMALL)
        too_small = (number < 0 and name.endswith(_SIZES)) or (number <= 0 and name.endswith(_POSITIVE))
        if not math.isfinite(number) or too_small or (abs(number) > limit and not name.endswith(_FREE)):
            raise CheckpointError(
                f"{source}: {key} is {number:.6g}, but the weights are {num_weights} numbers in {len(shapes)} tensors; {REMEDY}"
            )


def require_declared_types(source: Path, values: Mapping[str, Any], config_class: type) -> None:
    """Compare a configuration with the annotations of its class's constructor, and of those above it in this package.

    Args:
        source: the file, for messages.
        values: its content.
        config_class: a `PreTrainedConfig` of ours; transformers checks its own.

    Raises:
        CheckpointError: a value has another type; names its key.
    """
    for owner in config_class.__mro__:
        if owner.__module__.startswith("saymask.") and "__init__" in vars(owner):
            for key, wanted in get_type_hints(owner.__init__).items():
                if key in values and not any(isinstance(form, type) and issubclass(form, PreTrainedConfig) for form in get_args(wanted)):
                    try:
                        TypeAdapter(wanted, config=_STRICT).validate_python(values[key])
                    except ValidationError as error:
                        problem = error.errors()[0]["msg"]
                        raise CheckpointError(f"{source}: {key} is {str(values[key])[:60]!r}: {problem}; {REMEDY}") from None


class _Unfilled(TorchFunctionMode):
    """What a module allocates to be filled is left as it is, which takes no memory until it is written.

    Beyond `limit` numbers it is on torch's meta device: nothing there can run out of memory, but the first use loads torch's compiler.
    """

    def __init__(self, limit: int):
        super().__init__()
        self._left = limit

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _ALLOCATING and kwargs.get("device") is None:
            on_meta: dict[str, Any] = {**kwargs, "device": "meta"}
            shape = torch.empty(*args, **on_meta)
            self._left -= shape.numel()
            return torch.empty(shape.shape, dtype=shape.dtype, requires_grad=shape.requires_grad) if self._left >= 0 else shape
        if func is torch.arange and max(abs(float(number)) for number in args[:2]) > _MAX_POSITIONS:
            raise ValueError(f"asks for positions 0 to {args[-1]:.0e}")
        return func(*args, **kwargs)


def require_fitting_model(source: Path, build: Callable[[], Any], shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Build a model, compare it with the files and return it, its parameters not yet filled.

    Args:
        source: the configuration, for messages.
        build: makes the model from it.
        shapes: of every tensor in the weight files.

    Raises:
        CheckpointError: no model can be built, a tensor has another shape there, or the model is far larger than its files.
    """
    present = sum(math.prod(shape) for shape in shapes.values())
    limit = _SPARE * present + _SMALL
    with building_from(source), _Unfilled(limit), no_init_weights():
        model = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    mismatched = [(name, shape, wanted[name]) for name, shape in shapes.items() if name in wanted and shape != wanted[name]]
    raise_unless_exact(source.parent, (), (), mismatched)  # which names there are at all is known only to `from_pretrained`
    asked = sum(math.prod(shape) for shape in wanted.values())
    if asked > limit:
        raise CheckpointError(f"{source}: asks for a model of {asked} numbers, but the weights are {present}; {REMEDY}")
    return model


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
