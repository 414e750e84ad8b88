"""Requests that ask for what nobody may have: each by its name, with what sends it. All are to be refused with a status from 400 to 499."""

from __future__ import annotations

import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

Send = Callable[["Target"], int]
MAX_UPLOAD = 2**20
"""Of the attacked server, as are a second for a body and a head, and 50 KB for bodies of JSON."""


@dataclass(frozen=True)
class Target:
    """A server, and what is there already.

    Args:
        client: of httpx2 or Starlette.
        clip: a sound video.
        video_id, session_id: of one that was uploaded.
        port: of a real server, for what no client would send.
    """

    client: Any
    clip: bytes
    video_id: str
    session_id: str
    port: int | None = None

    def status(self, method: str, path: str, **options: Any) -> int:
        response = self.client.request(method, path, **options)
        assert response.status_code < 400 or response.text == "" or set(response.json()) == {"code", "message", "hint"}, response.text
        return response.status_code

    def upload(self, content: Any) -> int:
        return self.status("POST", "/v1/videos", content=content)

    def in_session(self, verb: str, **options: Any) -> int:
        return self.status("POST", f"/v1/sessions/{self.session_id}/{verb}", **options)

    def part(self, size: int, offset: object, content: Any) -> int:
        address = self.client.post("/v1/uploads", headers={"upload-length": str(size)}).headers["location"]
        headers = {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        return self.status("PATCH", address, headers=headers, content=content)

    def raw(self, *pieces: bytes, wait: float = 0.0) -> int:
        """Bytes as they are, with a pause between them; the status of the last answer."""
        assert self.port is not None
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(wait)
            answer = b""
            while more := connection.recv(65536):
                answer += more
        return int(answer.rpartition(b"HTTP/1.1 ")[2][:3])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int) -> bytes:
    """A PNG of some hundred bytes that claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + _chunk(b"IEND", b"")


def packed_png() -> bytes:
    """A sound image of one pixel beside half a gigabyte of text in half a megabyte."""
    packer = zlib.compressobj(9, wbits=-15)
    megabyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = struct.pack(">I", (512 * 2**20 % 65521) << 16 | 1)  # Adler's, of zeros
    text = b"\x78\xda" + 512 * megabyte + packer.flush() + checksum
    pixel = _chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"zTXt", b"Comment\0\0" + text) + pixel + _chunk(b"IEND", b"")


def gif_bomb() -> bytes:
    """A GIF of a screen of 65535 x 65535 pixels."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0xF0, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02D\x01\0"
    return screen + image + b";"


def index_bomb(clip: bytes) -> bytes:
    """The clip, whose table of sample sizes claims two billion samples of one size."""
    at = clip.index(b"stsz") + 8
    return clip[:at] + struct.pack(">II", 1, 2**31 - 1) + clip[at + 8 :]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def packed_index() -> bytes:
    """An mp4 whose index of a gigabyte is compressed to a megabyte."""
    packed = zlib.compress(bytes(2**20)) * 500
    index = _box(b"cmov", _box(b"dcom", b"zlib") + _box(b"cmvd", struct.pack(">I", 2**30) + packed))
    return _box(b"ftyp", b"isom\0\0\2\0isom") + _box(b"moov", index)


FFCONCAT = b"ffconcat version 1.0\nfile '/etc/passwd'\nfile 'http://169.254.169.254/latest'\n"
PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXTINF:1,\nhttp://127.0.0.1:22/\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
HEAD = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def _by_path(path: str) -> Send:
    return lambda target: target.status("POST", "/v1/videos/by-path", json={"path": path})


def _get(path: str) -> Send:
    return lambda target: target.status("GET", path)


def _upload(content: bytes) -> Send:
    return lambda target: target.upload(content)


def _predict(content: bytes, *queries: str) -> Send:
    return lambda target: target.status("POST", "/v1/predict", params={"query": list(queries or ["x"])}, content=content)


def _json(verb: str, text: str) -> Send:
    headers = {"content-type": "application/json"}
    return lambda target: target.in_session(verb, content=text.encode("utf-8", "surrogatepass"), headers=headers)


def _rle(size: list[int], counts: object, **place: object) -> Send:
    return lambda target: target.in_session("masks", json={"frame_idx": 0, "rle": {"size": size, "counts": counts}, **place})


def _with(**headers: str) -> Send:
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda target: target.status("POST", "/v1/sessions", json={"video_id": target.video_id}, headers=shown)


def _many_sessions(target: Target) -> int:
    """Ten thousand, on one connection; the status of the last."""
    body = json.dumps({"video_id": target.video_id})
    connection = HTTPConnection("127.0.0.1", target.port)
    for _ in range(10_000):
        connection.request("POST", "/v1/sessions", body, {"Content-Type": "application/json"})
        (answer := connection.getresponse()).read()
    connection.close()
    return answer.status


ATTACKS: dict[str, Send] = {
    "path in the id of a video": _get("/v1/videos/..%2f..%2fetc%2fpasswd/file"),
    "path in the id of a session": _get("/v1/sessions/..%2f..%2fsaymask.sqlite"),
    "path in the id of an upload": lambda target: target.status("HEAD", "/v1/uploads/..%2f..%2fsecret"),
    "path in the id of a job": _get("/v1/jobs/..%2f1/events"),
    "path in the name of a format": lambda target: target.status("GET", f"/v1/sessions/{target.session_id}/export/..%2f..%2fetc"),
    "path in the name of a part of the page": _get("/page/..%2fsettings.py"),
    "id of a job that no database holds": _get(f"/v1/jobs/{10**30}"),
    "frame that no video has": lambda target: target.status("GET", f"/v1/videos/{target.video_id}/frames/{10**30}"),
    "path above the root": _by_path("../secret.mp4"),
    "path of the machine": _by_path("/etc/passwd"),
    "path through a link": _by_path("link.mp4"),
    "path of a folder": _by_path("."),
    "path with a zero byte": _by_path("good.mp4\0.png"),
    "path of the home folder": _by_path("~/.ssh/id_rsa"),
    "address of a file": _by_path("file:///etc/passwd"),
    "address of the cloud's secrets": _by_path("http://169.254.169.254/latest/meta-data"),
    "address of a private network": _by_path("rtsp://10.0.0.1/stream"),
    "upload that says it is too large": lambda target: target.upload(bytes(MAX_UPLOAD + 1)),
    "upload that does not say it": lambda target: target.upload(iter([bytes(MAX_UPLOAD), b"x"])),
    "parts that say it": lambda target: target.status("POST", "/v1/uploads", headers={"upload-length": str(2**50)}),
    "parts of no number of bytes": lambda target: target.status("POST", "/v1/uploads", headers={"upload-length": "9" * 400}),
    "part before the first byte": lambda target: target.part(100, -1, b"x"),
    "part with a gap": lambda target: target.part(100, 50, b"x"),
    "more parts than promised": lambda target: target.part(100, 0, bytes(101)),
    "image that is too large": _predict(bytes(MAX_UPLOAD + 1)),
    "body that is too large": lambda target: target.in_session("clicks", content=bytes(60_000)),
    "name that points here": _with(host="evil.example"),
    "name that is none": _with(host="[::"),
    "no name": _with(host=""),
    "page of another site": _with(origin="https://evil.example"),
    "page of no site": _with(origin="null"),
    "page with a malformed name": _with(origin="http://[::"),
    "link on another site": _with(sec_fetch_site="cross-site"),
    "image of 3.6 gigapixels": _upload(png_bomb(60_000)),
    "image of 3.6 gigapixels, asked about": _predict(png_bomb(60_000)),
    "text of half a gigabyte in an image": _predict(packed_png()),
    "animation of 4.3 gigapixels": _upload(gif_bomb()),
    "index of two billion frames": lambda target: target.upload(index_bomb(target.clip)),
    "index of a gigabyte, packed": _upload(packed_index()),
    "list of files": _upload(FFCONCAT),
    "playlist": _upload(PLAYLIST),
    "drawing that reads files": _upload(SVG),
    "drawing that reads files, asked about": _predict(SVG),
    "archive": _upload(b"PK\x03\x04" + bytes(100)),
    "nothing": _upload(b""),
    "half a video": lambda target: target.upload(target.clip[: len(target.clip) // 2]),
    "nested JSON": _json("clicks", "[" * 40_000),
    "number of 40,000 digits": _json("clicks", '{"frame_idx": 0, "y": 1, "x": ' + "9" * 40_000 + "}"),
    "number that is none": _json("clicks", '{"frame_idx": 0, "y": 1, "x": NaN}'),
    "number without bounds": _json("boxes", '{"frame_idx": 0, "box": [0, 0, 1e999, 9]}'),
    "half a letter": _json("queries", '{"query": "\\ud800"}'),
    "no JSON": _json("queries", "\0\0\0"),
    "field that nobody knows": _json("queries", '{"query": "the fish", "template": "{x.__class__}"}'),
    "sentence of 40,000 letters": lambda target: target.in_session("queries", json={"query": "x" * 40_000}),
    "twenty sentences": _predict(b"", *["x"] * 20),
    "click before the first frame": lambda target: target.in_session("clicks", json={"frame_idx": -1, "x": 1, "y": 1}),
    "click after the last frame": lambda target: target.in_session("clicks", json={"frame_idx": 10**30, "x": 1, "y": 1}),
    "click outside": lambda target: target.in_session("clicks", json={"frame_idx": 0, "x": -1e300, "y": 1}),
    "walk from no frame": lambda target: target.in_session("propagate", json={"frame_idx": -1}),
    "window of frames that are not there": lambda target: target.in_session("queries", json={"query": "x", "window": [-5, 3]}),
    "mask of 4.2 gigapixels": _rle([65_000, 65_000], [65_000 * 65_000]),
    "mask of a run that is too long": _rle([128, 128], [2**40]),
    "mask of negative runs": _rle([128, 128], [-(2**31), 2**31 + 128 * 128]),
    "mask of 40,000 letters": _rle([128, 128], "o" * 40_000),
    "mask of no letters": _rle([128, 128], "\u00e9"),
    "mask of another's object": _rle([128, 128], [128 * 128], obj_id=10**30),
}
"""For any client."""

RAW_ATTACKS: dict[str, Send] = {
    "head of 100 KB": lambda target: target.raw(HEAD + b"X-Flood: " + b"x" * 100_000 + b"\r\n\r\n"),
    "10,000 lines of head": lambda target: target.raw(HEAD + b"".join(b"X-%d: x\r\n" % i for i in range(10_000)) + b"\r\n"),
    "head that never ends": lambda target: target.raw(HEAD, b"X-Slow: ", b"1", wait=0.2),
    "no head at all": lambda target: target.raw(b""),
    "body that never ends": lambda target: target.raw(HEAD + b"Connection: close\r\nContent-Length: 99\r\n\r\n{", b'"', wait=0.2),
    "upload that never ends": lambda target: target.raw(
        b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", wait=0.2
    ),
    "body that is longer than it says": lambda target: target.raw(HEAD + b"Content-Length: 2\r\n\r\n{}" + b"\0 /etc/passwd\r\n\r\n"),
    "length that is no number": lambda target: target.raw(HEAD + b"Content-Length: 1e3\r\n\r\n{}"),
    "two lengths": lambda target: target.raw(HEAD + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    "negative length": lambda target: target.raw(HEAD + b"Content-Length: -1\r\n\r\n{}"),
    "no request": lambda target: target.raw(b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03" + bytes(100) + b"\r\n\r\n"),
    "method that nobody knows": lambda target: target.raw(b"TRACK / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    "10,000 sessions": _many_sessions,
}
"""For a real server: what no client would send, and what takes long."""
