"""What a client is told when something cannot be done: a status, and {"code", "message", "hint"}."""

from __future__ import annotations

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
