"""An OpenAI-compatible address: `POST BASE/chat/completions`, again with growing pauses where that may help."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException, IncompleteRead
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from saymask.errors import ServiceError

TRY_AGAIN = (408, 429, 500, 502, 503, 504)
MAX_WAIT = 30.0
MAX_REPLY_BYTES = 2**24


class _NoRedirects(HTTPRedirectHandler):
    """The key must not go to an address that the user did not name."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class ChatServer:
    """Posts chats.

    Args:
        address: up to and with "/v1".
        key_variables: environment variables of which the first one that is set holds the key; none set, none sent.
        timeout: seconds for one attempt.
        attempts: how often a chat is sent at most.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        address: str,
        key_variables: Sequence[str],
        timeout: float = 120.0,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.address = address.rstrip("/")
        self.key_variables = tuple(key_variables)
        self.timeout = timeout
        self.attempts = attempts
        self._sleep = sleep
        self._opener = build_opener(_NoRedirects())

    def post(self, body: dict[str, Any]) -> Any:
        """The decoded answer of the first attempt that has one.

        Raises:
            ServiceError: the address cannot be reached, refuses, or answers no JSON.
        """
        data = json.dumps(body).encode("utf-8")
        reason = ""
        for attempt in range(self.attempts):
            try:
                with self._opener.open(self._request(data), timeout=self.timeout) as response:
                    received = response.read(MAX_REPLY_BYTES)
                    if response.length:  # announced, and did not come: reading up to a limit does not say so itself
                        raise IncompleteRead(received, response.length)
                    return json.loads(received)
            except HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                if error.code not in TRY_AGAIN:
                    said = self._without_key(error.read(300).decode("utf-8", "replace").strip())
                    raise ServiceError(f"{self.address}: {reason} ({said}); check the address, the model's name and the key") from None
                wait = _seconds(error.headers.get("Retry-After"))
            except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
                reason, wait = str(getattr(error, "reason", error)), None
            except ValueError:
                raise ServiceError(f"{self.address}: its answer is no JSON; check the address") from None
            if attempt + 1 < self.attempts:
                self._sleep(min(MAX_WAIT, 0.5 * 2**attempt if wait is None else wait))
        raise ServiceError(f"{self.address}: no answer after {self.attempts} attempts ({reason}); check that the server runs, or try later")

    def _request(self, data: bytes) -> Request:
        headers = {"Content-Type": "application/json"}
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        return Request(f"{self.address}/chat/completions", data=data, headers=headers, method="POST")

    def _key(self) -> str | None:
        return next((os.environ[name] for name in self.key_variables if os.environ.get(name)), None)

    def _without_key(self, said: str) -> str:
        """A server's words, some of which repeat a key that they refuse."""
        key = self._key()
        return said.replace(key, "***") if key else said


def text_part(text: str) -> dict[str, Any]:
    """Words in a message's content."""
    return {"type": "text", "text": text}


def image_part(image: bytes) -> dict[str, Any]:
    """A JPEG in a message's content."""
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(image).decode('ascii')}"}}


def _seconds(retry_after: str | None) -> float | None:
    """A pause that the server asks for, if it says it as a number."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
