"""A vision-language model behind an OpenAI-compatible address."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from saymask.errors import ServiceError
from saymask.models.agent.vision_model import MAX_ANSWER_TOKENS, Reply
from saymask.storage.chat_server import ChatServer, image_part, text_part

KEY_VARIABLES = ("SAYMASK_AGENT_KEY", "OPENAI_API_KEY")


class ServerModel:
    """Asks a server.

    Args:
        address: up to and with "/v1".
        name: the model's name there.
        timeout, attempts, sleep: as for `ChatServer`.
    """

    def __init__(self, address: str, name: str, timeout: float = 120.0, attempts: int = 4, sleep: Callable[[float], None] = time.sleep):
        self.name = name
        self._server = ChatServer(address, KEY_VARIABLES, timeout, attempts, sleep)

    def ask(self, text: str, images: Sequence[bytes]) -> Reply:
        message = {"role": "user", "content": [text_part(text), *map(image_part, images)]}
        answer = self._server.post({"model": self.name, "messages": [message], "temperature": 0, "max_tokens": MAX_ANSWER_TOKENS})
        try:
            written = answer["choices"][0]["message"]["content"]
            used = (answer.get("usage") or {}).get("total_tokens")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ServiceError(f"{self._server.address}: its answer is none of an OpenAI-compatible server; check the address") from None
        return Reply(str(written or ""), int(used) if isinstance(used, int) else len(text) // 4)
