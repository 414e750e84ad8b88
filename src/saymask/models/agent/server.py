"""A vision-language model behind an OpenAI-compatible address: `POST BASE/chat/completions`."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from saymask.errors import ServiceError
from saymask.models.agent.vision_model import MAX_ANSWER_TOKENS, Reply

KEY_VARIABLES = ("SAYMASK_AGENT_KEY", "OPENAI_API_KEY")
TRY_AGAIN = (408, 429, 500, 502, 503, 504)
MAX_WAIT = 30.0
MAX_REPLY_BYTES = 2**24


class _NoRedirects(HTTPRedirectHandler):
    """The key must not go to an address that the user did not name."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class ServerModel:
    """Asks a server; tries again with growing pauses where that may help.

    Args:
        address: up to and with "/v1".
        name: the model's name there.
        timeout: seconds for one attempt.
        attempts: how often a question is sent at most.
        sleep: waits so many seconds.
    """

    def __init__(self, address: str, name: str, timeout: float = 120.0, attempts: int = 4, sleep: Callable[[float], None] = time.sleep):
        self.address = address.rstrip("/")
        self.name = name
        self.timeout = timeout
        self.attempts = attempts
        self._sleep = sleep
        self._opener = build_opener(_NoRedirects())

    def ask(self, text: str, images: Sequence[bytes]) -> Reply:
        urls = [f"data:image/jpeg;base64,{base64.b64encode(image).decode('ascii')}" for image in images]
        content = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
        message = {"role": "user", "content": content}
        body = {"model": self.name, "messages": [message], "temperature": 0, "max_tokens": MAX_ANSWER_TOKENS}
        answer = self._post(json.dumps(body).encode("utf-8"))
        try:
            written = answer["choices"][0]["message"]["content"]
            used = (answer.get("usage") or {}).get("total_tokens")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ServiceError(f"{self.address}: its answer is none of an OpenAI-compatible server; check the address") from None
        return Reply(str(written or ""), int(used) if isinstance(used, int) else len(text) // 4)

    def _post(self, body: bytes) -> Any:
        """The decoded answer of the first attempt that has one."""
        reason = ""
        for attempt in range(self.attempts):
            try:
                with self._opener.open(self._request(body), timeout=self.timeout) as response:
                    return json.loads(response.read(MAX_REPLY_BYTES))
            except HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                if error.code not in TRY_AGAIN:
                    said = error.read(300).decode("utf-8", "replace").strip()
                    raise ServiceError(f"{self.address}: {reason} ({said}); check the address, the model's name and the key") from None
                wait = _seconds(error.headers.get("Retry-After"))
            except (URLError, TimeoutError, ConnectionError) as error:
                reason, wait = str(getattr(error, "reason", error)), None
            except ValueError:
                raise ServiceError(f"{self.address}: its answer is no JSON; check the address") from None
            if attempt + 1 < self.attempts:
                self._sleep(min(MAX_WAIT, 0.5 * 2**attempt if wait is None else wait))
        raise ServiceError(f"{self.address}: no answer after {self.attempts} attempts ({reason}); check that the server runs, or try later")

    def _request(self, body: bytes) -> Request:
        headers = {"Content-Type": "application/json"}
        key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return Request(f"{self.address}/chat/completions", data=body, headers=headers, method="POST")


def _seconds(retry_after: str | None) -> float | None:
    """A pause that the server asks for, if it says it as a number."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
