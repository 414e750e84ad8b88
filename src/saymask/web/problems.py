"""What a client is told when something cannot be done: a status, and {"code", "message", "hint"}."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

from fastapi.responses import JSONResponse

from saymask.errors import CheckpointError, ConfigError, SaymaskError, UnknownName, VideoError

STATUS: dict[type[SaymaskError], tuple[int, str]] = {
    UnknownName: (404, "unknown_name"),
    ConfigError: (400, "cannot_be_done"),
    VideoError: (422, "unreadable_video"),
    CheckpointError: (503, "model_not_ready"),
}
"""Errors of the library -> status and code; another one is the server's own trouble."""


RETRY_SECONDS = 2
"""When a client that was told to come again should."""


class Problem(Exception):
    """A request that is refused.

    Args:
        status: of the response.
        code: one word for programs.
        message, hint: what is wrong, and what to do.
        headers: of the response.
    """

    def __init__(self, status: int, code: str, message: str, hint: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: SaymaskError) -> Problem:
        """The library's messages say what is wrong, a semicolon, what to do."""
        status, code = next((found for kind, found in STATUS.items() if isinstance(error, kind)), (500, "failed"))
        message, _, hint = str(error).rpartition("; ")
        return cls(status, code, message or str(error), hint if message else "")

    def content(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def response(self) -> JSONResponse:
        return JSONResponse(self.content(), self.status, self.headers)


def not_found(what: str, name: object) -> Problem:
    """There is none of that name."""
    return Problem(404, "not_found", f"there is no {what} {str(name)[:40]!r}", "it may have expired; begin anew")


def busy(num_waiting: int) -> Problem:
    """So much waits that more would wait too long."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(503, "busy", f"{num_waiting} requests wait already", f"try again in {RETRY_SECONDS} seconds", headers)


def too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"the body has more than {limit} bytes", "send less, or start the server with higher limits")


def too_slow(seconds: float) -> Problem:
    return Problem(408, "too_slow", f"the body took longer than {seconds:g} seconds", "try again on a faster connection")


def internal() -> Problem:
    """A bug; the log has its place in the code, and nothing of what the client sent."""
    return Problem(500, "internal", "the server made a mistake", "look at its log")


def problem_of(error: Exception) -> Problem:
    """What a client is told; a bug's place in the code goes to the log, without its message, which may have something of the client's."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, SaymaskError):
        return Problem.of(error)
    log_bug(error)
    return internal()


def log_bug(error: BaseException) -> None:
    """Type and place of an error, and nothing that was uploaded or asked."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logging.getLogger("saymask.web").error("%s\n%s", type(error).__qualname__, places)
