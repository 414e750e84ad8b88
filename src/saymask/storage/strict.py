"""What every reader of weights owes its user: silence from transformers, and one error that names each tensor that does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from saymask.startup import lean_transformers  # isort: skip  # noqa: F401 (first, and here: what imports model classes imports this file)
from transformers.utils import logging as transformers_logging

from saymask.errors import CheckpointError

MAX_SHOWN = 20


@contextmanager
def reading_settings(place: Path) -> Iterator[None]:
    """While a processor or tokenizer is read from a folder or file: silence, and one error that names it.

    Raises:
        CheckpointError: a file is absent or damaged.
    """
    with quiet_transformers():
        try:
            yield
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # the tokenizers library raises bare Exception for a damaged file, or panics, which is no Exception
            reason = str(error).strip().partition("\n")[0]
            raise CheckpointError(f"{place}: cannot be read as tokenizer or image settings ({reason}); copy the folder again") from None


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
