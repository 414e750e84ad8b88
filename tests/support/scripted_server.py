"""An OpenAI-compatible server on this machine that answers what its script says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Say:
    """One answer: a text, or a status other than 200, perhaps after a pause."""

    text: str = ""
    status: int = 200
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Scripted:
    """The address, and every request that came: its decoded body and its headers."""

    address: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def prompts(self) -> list[str]:
        return [request["messages"][0]["content"][0]["text"] for request in self.requests]


@contextmanager
def scripted_server(script: Sequence[Say] | Callable[[dict[str, Any]], Say]) -> Iterator[Scripted]:
    """Serve `/v1/chat/completions`: the script's entries in turn, or what it makes of a request."""
    scripted = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            say = script(body) if callable(script) else script[len(scripted.requests)]
            scripted.requests.append(body)
            scripted.headers.append(dict(self.headers))
            time.sleep(say.pause)
            answer = {"choices": [{"message": {"content": say.text}}], "usage": {"total_tokens": 100}}
            data = json.dumps(answer if say.status == 200 else {"error": say.text}).encode()
            try:
                self.send_response(say.status if self.path == "/v1/chat/completions" else 404)
                for name, value in {"Content-Length": str(len(data)), **say.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # whoever asked has stopped waiting

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        scripted.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
