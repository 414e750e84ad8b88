"""What every request passes before anything is done for it: who asks, from where, and how much it brings.

A page of another site must not use a server on this machine through the user's browser: the address that was asked for must be the
server's own (names that are made to point here are refused), and so must the page's origin. No CORS header is ever sent.
"""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from saymask.web.problems import Problem, busy, internal, log_bug, too_large, too_slow
from saymask.web.settings import Settings, is_local

OPEN_PATHS, OPEN_FOLDER = ("/", "/health"), "/page/"
"""They hold nothing of anybody."""
_STREAMED = ("/v1/videos", "/v1/predict", "/v1/uploads/")
"""Bodies of these go to the disk piece by piece, and are measured there; the last one is the beginning of many."""


class Gate:
    """ASGI middleware; the outermost, so that whatever goes wrong within is answered here."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app = app
        self._settings = settings
        self._num_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def watched_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        self._num_requests += 1
        try:
            await self._pass(scope, receive, watched_send)
        except Problem as problem:
            await problem.response()(scope, receive, send)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception as error:
            log_bug(error)
            if not answered:
                await internal().response()(scope, receive, send)
        finally:
            self._num_requests -= 1

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._check_sender(scope["path"], headers)
        if self._num_requests > self._settings.max_requests:
            raise busy(self._num_requests - 1)
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD") and path not in _STREAMED[:2] and not path.startswith(_STREAMED[2]):
            receive = _replayed(await self._body(headers, receive), receive)
        await self._app(scope, receive, send)

    def _check_sender(self, path: str, headers: Headers) -> None:
        host, origin, token = headers.get("host", ""), headers.get("origin"), self._settings.token
        if token is None and not is_local(_split(f"//{host}").hostname or ""):
            raise Problem(403, "foreign_host", f"this server is not {host[:60]!r}", "use the address that it printed")
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
        is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_open
        if is_foreign or (origin is not None and _split(origin).netloc != host):
            shown = (origin or "others")[:60]
            raise Problem(403, "foreign_origin", f"pages of {shown!r} may not use this server", "use the server's own page")
        if token is None or is_open:
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
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        raise too_large(limit)
        except TimeoutError:
            raise too_slow(seconds) from None
        return bytes(body)


def check_claimed(headers: Headers, limit: int) -> int | None:
    """Refuse by what the client says before a byte is read; how many bytes that are, None if it does not say.

    Raises:
        Problem: more than `limit` bytes.
    """
    claimed = headers.get("content-length")
    if claimed is None:
        return None
    if not claimed.isdecimal() or len(claimed) > 18 or int(claimed) > limit:
        raise too_large(limit)
    return int(claimed)


def _split(address: str) -> SplitResult:
    """Parts of an address; none of one that is malformed."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


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
