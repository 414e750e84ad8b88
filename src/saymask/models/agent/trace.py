"""How an answer was found, as files that lie beside the result: JSON for programs, one page with the images for people."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined

from saymask.models.agent.calls import Exchange

PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ query }}</title>
<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:auto;padding:1em}img{max-width:100%}pre{white-space:pre-wrap}</style></head>
<body><h1>{{ query }}</h1><pre>{{ notes }}</pre>
{% for exchange in exchanges %}
<h2>Question {{ loop.index }}{{ " (answer kept from before)" if exchange.cached else "" }}</h2><pre>{{ exchange.prompt }}</pre>
{% for image in exchange.images %}<img alt="image {{ loop.index }}" src="data:image/jpeg;base64,{{ image | base64 }}">
{% endfor %}<h3>Answer</h3><pre>{{ exchange.answer }}</pre>
{% endfor %}</body></html>
"""


def trace_files(number: int, query: str, notes: Mapping[str, Any], exchanges: Sequence[Exchange]) -> dict[str, bytes]:
    """`trace-<number>.json` and `trace-<number>.html` of one query."""
    steps = [
        {
            "prompt": exchange.prompt,
            "images_sha256": [hashlib.sha256(image).hexdigest() for image in exchange.images],
            "answer": exchange.answer,
            "tokens": exchange.tokens,
            "seconds": round(exchange.seconds, 3),
            "cached": exchange.cached,
        }
        for exchange in exchanges
    ]
    record = json.dumps({"query": query, "notes": notes, "exchanges": steps}, indent=1, ensure_ascii=False)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")  # pyrefly: ignore[bad-argument-type]
    page = environment.from_string(PAGE).render(query=query, notes=json.dumps(notes, indent=1, ensure_ascii=False), exchanges=exchanges)
    return {f"trace-{number}.json": record.encode("utf-8"), f"trace-{number}.html": page.encode("utf-8")}
