"""The Hugging Face hub as far as a client that lists, asks after and downloads files of models sees it, on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789" * 4


@dataclass
class LocalHub:
    """What it serves, and what it is asked.

    Args:
        repos: repository -> file -> content; files of weights are described as large ones are, by SHA-256.
        stall_after: bytes of weights after which it sends no more until the client gives up; None = never.
        stalled: set while it does.
        ranges: the `Range` of every download of weights, "" if it began at the beginning.
    """

    repos: dict[str, dict[str, bytes]]
    address: str = ""
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    ranges: list[str] = field(default_factory=list)

    def listing(self, repo_id: str) -> list[dict[str, Any]]:
        files = []
        for name, content in self.repos[repo_id].items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            lfs = {"sha256": _sha256(content), "size": len(content), "pointerSize": 130} if _is_large(name) else None
            files.append({"rfilename": name, "size": len(content), "blobId": blob, "lfs": lfs})
        return files


def _is_large(name: str) -> bool:
    return name.endswith(".safetensors")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def local_hub(repos: dict[str, dict[str, bytes]]) -> Iterator[LocalHub]:
    """Serve these repositories, each with one commit on `main`."""
    hub = LocalHub(repos)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/").split("/")
            if path[:2] == ["api", "models"] and (repo_id := "/".join(path[2:4])) in hub.repos:
                self._json(self._tree(repo_id) if path[4:5] == ["tree"] else self._info(repo_id))
            elif path[2:3] == ["resolve"] and (content := hub.repos.get("/".join(path[:2]), {}).get(path[-1])) is not None:
                self._file(path[-1], content)
            else:
                self._json({"error": "not found"}, status=404)

        def _info(self, repo_id: str) -> dict[str, Any]:
            return {"id": repo_id, "modelId": repo_id, "sha": COMMIT, "siblings": hub.listing(repo_id), "tags": [], "private": False}

        def _tree(self, repo_id: str) -> list[dict[str, Any]]:
            return [
                {
                    "type": "file",
                    "path": each["rfilename"],
                    "size": each["size"],
                    "oid": each["blobId"],
                    **({"lfs": {**each["lfs"], "oid": each["lfs"]["sha256"]}} if each["lfs"] else {}),
                }
                for each in hub.listing(repo_id)
            ]

        def _json(self, values: Any, status: int = 200) -> None:
            data = json.dumps(values).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def _file(self, name: str, content: bytes) -> None:
            given = self.headers.get("Range", "") if self.command == "GET" else ""
            start = int(given.removeprefix("bytes=").partition("-")[0] or 0)
            etag = _sha256(content) if _is_large(name) else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "GET":
                self._send(content[start:], given, large=_is_large(name))

        def _send(self, data: bytes, given: str, large: bool) -> None:
            if large:
                hub.ranges.append(given)
            if not large or hub.stall_after is None or len(data) <= hub.stall_after:
                self.wfile.write(data)
                return
            self.wfile.write(data[: hub.stall_after])
            self.wfile.flush()
            hub.stalled.set()
            hub.ended.wait()
            self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        hub.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
