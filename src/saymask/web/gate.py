"""What every request passes before anything is done for it: who asks, from where, and how much it brings.

A page of another site must not use a server on this machine through the user's browser: the address that was asked for must be the
server's own (names that are made to point here are refused), and so must the page's origin. No CORS header is ever sent.
"""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from saymask.web.problems import Problem
from saymask.web.settings import Settings, is_local

OPEN_PATHS, OPEN_FOLDER = ("/", "/health"), "/page/"
"""They hold nothing of anybody."""
UPLOAD_PATH = "/v1/videos"
"""Its body goes to the disk piece by piece, and is measured there."""


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            self._check_sender(scope["path"], headers)
            if scope["method"] != "GET" and scope["path"] != UPLOAD_PATH:
                receive = _replayed(await self._body(headers, receive), receive)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_sender(self, path: str, headers: Headers) -> None:
        host, origin, token = headers.get("host", ""), headers.get("origin"), self._settings.token
        if token is None and not is_local(urlsplit(f"//{host}").hostname or ""):
            raise Problem(403, "foreign_host", f"this server is not {host[:60]!r}", "use the address that it printed")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Problem(403, "foreign_origin", f"pages of {origin[:60]!r} may not use this server", "use the server's own page")
        if token is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(shown.encode(), token.encode()):
            message = "the token is absent or wrong"
            raise Problem(401, "no_token", message, "send `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"})

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        limit, seconds = self._settings.max_body_bytes, self._settings.max_body_seconds
        check_claimed(headers, limit)
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        raise too_large(limit)
        except TimeoutError:
            raise too_slow(seconds) from None
        return bytes(body)


def check_claimed(headers: Headers, limit: int) -> None:
    """Refuse by what the client says before a byte is read.

    Raises:
        Problem: more than `limit` bytes.
    """
    claimed = headers.get("content-length", "0")
    if not claimed.isdecimal() or len(claimed) > 18 or int(claimed) > limit:
        raise too_large(limit)


def too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"the body has more than {limit} bytes", "send less, or start the server with higher limits")


def too_slow(seconds: float) -> Problem:
    return Problem(408, "too_slow", f"the body took longer than {seconds:g} seconds", "try again on a faster connection")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read, once more; then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
