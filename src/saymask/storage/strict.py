"""What every reader of weights owes its user: silence from transformers, and one error that names each tensor that does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from saymask.errors import CheckpointError
from saymask.runtime import Runtime
from saymask.storage.computing_dtype import computing_dtype
from saymask.storage.weight_files import read_json, require_plain_folder, require_sound, weight_files

MAX_SHOWN = 20


@contextmanager
def reading_settings(folder: Path) -> Iterator[None]:
    """While a processor or tokenizer is read from a folder: silence, and one error.

    Raises:
        CheckpointError: a file is absent or damaged.
    """
    with quiet_transformers():
        try:
            yield
        except Exception as error:  # the tokenizers library raises bare Exception for a damaged file
            reason = str(error).strip().partition("\n")[0]
            raise CheckpointError(f"{folder}: its tokenizer or image settings cannot be read ({reason}); copy the folder again") from None


def load_published(model_class: Any, folder: Path, runtime: Runtime, remedy: str = "give a folder of that kind", also_in: str = "") -> Any:
    """Read a folder as transformers publishes it, every tensor used, every parameter filled, and place the model for inference.

    Args:
        model_class: of transformers; its configuration's `model_type` must be the folder's.
        folder: `config.json` and weights.
        runtime: device and dtype.
        remedy: what to do about another kind of model.
        also_in: model type of folders that hold a larger model of which this one is a part; transformers knows what to leave.

    Raises:
        CheckpointError: another kind of model, damaged files, or tensors that do not fit.
    """
    model_type, wanted = read_json(folder / "config.json").get("model_type"), model_class.config_class.model_type
    if model_type not in (wanted, also_in or wanted):
        raise CheckpointError(f"{folder}/config.json: model_type {model_type!r} is not {wanted!r}; {remedy}")
    require_plain_folder(folder)
    require_sound(weight_files(folder))
    with quiet_transformers():
        try:
            model, info = model_class.from_pretrained(
                folder,
                dtype=computing_dtype(runtime, weight_files(folder)),
                output_loading_info=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                trust_remote_code=False,
            )
        except SafetensorError as error:
            raise CheckpointError(f"{folder}: the weights are damaged or cut off ({error}); copy the folder again") from None
        except (OSError, TypeError, ValueError, StrictDataclassError) as error:
            raise CheckpointError(f"{folder}: no model can be built from it ({error}); copy the folder again") from None
    raise_unless_exact(folder, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return model.eval().requires_grad_(False).to(runtime.torch_device)


@contextmanager
def quiet_transformers() -> Iterator[None]:
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


def raise_unless_exact(source: Path | str, missing: Iterable[str], unexpected: Iterable[str], mismatched: Iterable[tuple]) -> None:
    """Turn any difference between files and model into one error.

    Args:
        source: where the weights were read from.
        missing, unexpected: names of tensors.
        mismatched: (name, shape in the file, shape in the model).

    Raises:
        CheckpointError: any of the three is not empty.
    """
    problems = [f"missing {key}" for key in sorted(missing)]
    problems += [f"unexpected {key}" for key in sorted(unexpected)]
    problems += [f"wrong shape {key}: {list(found)} in the file, {list(wanted)} in the model" for key, found, wanted in sorted(mismatched)]
    if problems:
        shown = "\n  ".join(problems[:MAX_SHOWN])
        more = f"\n  ... and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
        raise CheckpointError(f"{source}: the weights do not fit the configuration; nothing was loaded\n  {shown}{more}")
