"""Errors a user can act on.

Every message says what was wrong, which value it was and what to do next. The command line prints the message alone and
exits with `exit_code`: 1 = the work failed, 2 = the request itself cannot be carried out as written.
"""


class SaymaskError(Exception):
    """Base of every error that is the user's to mend; anything else that escapes is a defect of saymask."""

    exit_code = 1


class UnknownName(SaymaskError):
    """A model, dataset, format ... that is in no table; the message offers the closest names."""

    exit_code = 2


class ConfigError(SaymaskError):
    """An option, override or query that cannot be used."""

    exit_code = 2


class VideoError(SaymaskError):
    """A video or image that cannot be read or written; names the file, the reason and the remedy."""


class CheckpointError(SaymaskError):
    """Weights that do not fit the model; lists missing, unexpected and wrong-shaped tensors."""


class DataError(SaymaskError):
    """A dataset, prediction folder or training sample that is incomplete or inconsistent."""


class ServiceError(SaymaskError):
    """A server that does not answer, or refuses; names the address and the reason."""
