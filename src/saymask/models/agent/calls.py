"""Every question that one query costs: counted against its budget, remembered on disk, written down for the trace."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saymask.errors import SaymaskError
from saymask.models.agent.options import AgentOptions
from saymask.models.agent.vision_model import Reply, VisionModel
from saymask.models.agent.wording import Parsed, parse, repair_prompt
from saymask.storage.atomic import replaced_file
from saymask.storage.json_files import read_json_object


class BudgetSpent(Exception):
    """A further question would cost more than the query may; caught in the loop."""


@dataclass(frozen=True)
class Exchange:
    """One question and its answer, as the trace shows it."""

    prompt: str
    images: tuple[bytes, ...] = field(repr=False)
    answer: str
    tokens: int
    seconds: float
    cached: bool


class Calls:
    """Asks a model on behalf of one query.

    Args:
        model: who is asked.
        options: budgets and cache.
        clock: seconds since some moment.
    """

    def __init__(self, model: VisionModel, options: AgentOptions, clock: Callable[[], float] = time.monotonic):
        self.model = model
        self.exchanges: list[Exchange] = []
        self._options = options
        self._clock = clock
        self._start = clock()
        self._cache = options.cache.expanduser() if options.cache else None

    @property
    def num_calls(self) -> int:
        """How many questions were sent, not found in the cache."""
        return sum(not exchange.cached for exchange in self.exchanges)

    @property
    def tokens(self) -> int:
        return sum(exchange.tokens for exchange in self.exchanges if not exchange.cached)

    @property
    def seconds(self) -> float:
        return self._clock() - self._start

    def ask_json(self, prompt: str, images: Sequence[bytes], kind: type[Parsed]) -> Parsed | None:
        """An answer of that kind; asked once more if the first cannot be read, None if the second cannot either.

        Raises:
            BudgetSpent: before a question that would exceed it.
            ServiceError: the model cannot be reached.
        """
        asked = prompt
        for _ in range(2):
            try:
                return parse(self._ask(asked, images).text, kind)
            except ValueError as problem:
                asked = repair_prompt(prompt, str(problem))
        return None

    def _ask(self, prompt: str, images: Sequence[bytes]) -> Reply:
        file = self._file(prompt, images)
        start = self._clock()
        reply = _read(file) if file else None
        cached = reply is not None
        if reply is None:
            spent = (self.num_calls >= self._options.max_calls, self.tokens >= self._options.max_tokens)
            if any(spent) or self.seconds >= self._options.max_seconds:
                raise BudgetSpent
            reply = self.model.ask(prompt, images)
            if file:
                _write(file, reply)
        self.exchanges.append(Exchange(prompt, tuple(images), reply.text, reply.tokens, self._clock() - start, cached))
        return reply

    def _file(self, prompt: str, images: Sequence[bytes]) -> Path | None:
        """Where the answer to this question is kept."""
        if self._cache is None:
            return None
        key = [self.model.name, prompt, *(hashlib.sha256(image).hexdigest() for image in images)]
        return self._cache / f"{hashlib.sha256(json.dumps(key).encode('utf-8')).hexdigest()}.json"


def _read(file: Path) -> Reply | None:
    """An answer that was kept; a damaged file is as good as none."""
    try:
        values = read_json_object(file, SaymaskError, "it is asked again")
        return Reply(str(values["text"]), int(values["tokens"]))
    except (SaymaskError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, reply: Reply) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(file) as draft:
        draft.write_text(json.dumps({"text": reply.text, "tokens": reply.tokens}), encoding="utf-8")
