"""Files that clients bring, whole or in parts, and files under the server's root: all of them videos once they could be opened.

An upload has the id that its video will have. Its bytes lie in `videos/ID` from the first one on, and the database says how many of them
are safe on the disk: what was confirmed to a client is there after any crash, and what came after it is sent once more.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from saymask.errors import SaymaskError, VideoError
from saymask.records import Video
from saymask.video.reader import open_source
from saymask.web.problems import Problem, not_found, too_large, too_slow
from saymask.web.settings import Settings
from saymask.web.stills import Stills
from saymask.web.store import Store

MAX_NAME = 80
_CONFIRM_EVERY = 16 * 2**20
"""Bytes of one request after which they are made safe before it ends."""


class Videos:
    """Used by the server's event loop; what takes long is for another thread, and says so.

    Args:
        settings: bounds and folders.
        store: the database.
    """

    def __init__(self, settings: Settings, store: Store):
        self._settings = settings
        self._store = store
        self._folder = settings.data.resolve() / "videos"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stills = Stills()
        self._receiving: set[str] = set()

    def start(self) -> None:
        """Finish uploads that had come whole when the process died, and remove files that belong to nobody."""
        for upload in self._store.uploads():
            if upload["size"] is None:
                self._drop(upload["id"])  # only the request that has died could go on with it
            elif upload["received"] == upload["size"]:
                with suppress(SaymaskError):  # it is no video, and is gone
                    self.finish(upload["id"])
        known = self._store.known_files()
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()

    # -- uploads ----------------------------------------------------------------------------------------------------------------------

    def begin_upload(self, name: str, size: int, in_parts: bool) -> str:
        """Promise to take a file; its id, which is the video's too.

        Args:
            name: as the client calls it; never used as a path.
            size: bytes that will come; without parts that may be less.
            in_parts: as many requests may bring it as it takes, and it may go on after a crash.

        Raises:
            Problem: it is too large, the disk is too full, or too many videos are kept.
        """
        most = self._settings.max_upload_bytes
        if size > most:
            raise too_large(most)
        self._require_room()
        free = shutil.disk_usage(self._folder).free - self._store.bytes_promised() - size
        if free < self._settings.min_free_bytes:
            raise _disk_full()
        upload_id = secrets.token_hex(12)
        (self._folder / upload_id).touch(exist_ok=False)
        self._store.add_upload(upload_id, _shown(name), size if in_parts else None)
        return upload_id

    def progress(self, upload_id: str) -> tuple[int, int]:
        """Bytes of an upload that are safe, and bytes in all; of a finished one too.

        Raises:
            Problem: there is none.
        """
        if upload := self._store.upload(upload_id):
            return upload["received"], self._limit(upload)
        if (video := self._store.video(upload_id)) is None or video["path"] is not None:
            raise not_found("upload", upload_id)
        return (size := self.path(upload_id).stat().st_size), size

    async def receive(self, upload_id: str, offset: int, pieces: AsyncIterator[bytes]) -> int:
        """Append what a request brings; how many bytes are safe then.

        Raises:
            Problem: there is no such upload, it has another length, another request brings bytes for it, they are too many or too slow,
                or the disk is full. What came before is safe.
        """
        upload = self._store.upload(upload_id)
        if upload is None:
            raise not_found("upload", upload_id)
        self._require_alone(upload_id)
        if offset != upload["received"]:
            headers = {"Upload-Offset": str(upload["received"])}
            raise Problem(409, "wrong_offset", f"byte {upload['received']} is the next one, not {offset}", "go on from there", headers)
        limit = self._limit(upload)
        self._receiving.add(upload_id)
        try:
            with (self._folder / upload_id).open("r+b") as file:
                file.truncate(offset)
                file.seek(offset)
                try:
                    async with asyncio.timeout(self._settings.max_upload_seconds):
                        await self._append(upload_id, file, pieces, limit)
                finally:
                    received = await asyncio.to_thread(self._confirm, upload_id, file)
        except TimeoutError:
            raise too_slow(self._settings.max_upload_seconds) from None
        except OSError:
            raise _disk_full() from None
        finally:
            self._receiving.discard(upload_id)
        return received

    async def _append(self, upload_id: str, file: BinaryIO, pieces: AsyncIterator[bytes], limit: int) -> None:
        confirmed = file.tell()
        async for piece in pieces:
            if file.tell() + len(piece) > limit:
                raise too_large(limit)
            file.write(piece)
            if file.tell() - confirmed >= _CONFIRM_EVERY:
                confirmed = await asyncio.to_thread(self._confirm, upload_id, file)

    def _confirm(self, upload_id: str, file: BinaryIO) -> int:
        """What was written is safe, whatever happens next."""
        file.flush()
        os.fsync(file.fileno())
        self._store.receive(upload_id, file.tell())
        return file.tell()

    def finish(self, upload_id: str) -> dict[str, Any]:
        """An upload that has come whole becomes a video. For another thread.

        Raises:
            Problem: there is no such upload.
            VideoError: it is no video, or over a limit; then it is gone.
        """
        upload = self._store.upload(upload_id)
        if upload is None:
            raise not_found("upload", upload_id)
        self._require_alone(upload_id)
        self._receiving.add(upload_id)
        try:
            return self._add(upload_id, upload["name"], None)
        except BaseException:
            self._drop(upload_id)
            raise
        finally:
            self._receiving.discard(upload_id)

    def drop_upload(self, upload_id: str) -> None:
        """Forget an upload and what has come of it.

        Raises:
            Problem: a request brings bytes for it.
        """
        self._require_alone(upload_id)
        if self._store.upload(upload_id) is None:
            raise not_found("upload", upload_id)
        self._drop(upload_id)

    def _drop(self, upload_id: str) -> None:
        self._store.drop_upload(upload_id)
        (self._folder / upload_id).unlink(missing_ok=True)

    def _require_alone(self, upload_id: str) -> None:
        if upload_id in self._receiving:
            raise Problem(423, "upload_busy", "another request is at this upload", "wait until it has ended, then ask for the offset")

    def _limit(self, upload: sqlite3.Row) -> int:
        return self._settings.max_upload_bytes if upload["size"] is None else upload["size"]

    # -- videos -----------------------------------------------------------------------------------------------------------------------

    def add_path(self, wanted: str) -> dict[str, Any]:
        """A file under the root becomes a video. For another thread.

        Raises:
            Problem: no such folder or file, it lies elsewhere, or too many videos are kept.
            VideoError: it is no video, or over a limit.
        """
        root = self._settings.root
        if root is None:
            raise Problem(403, "no_root", "this server opens no paths", "upload the video, or start the server with --root")
        with suppress(OSError, ValueError):
            path = (root / wanted).resolve(strict=True)
            if path.is_relative_to(root.resolve()) and path.is_file():
                self._require_room()
                return self._add(secrets.token_hex(12), _shown(path.name), path)
        raise not_found("video under the server's root called", wanted)

    def facts(self, video_id: str) -> dict[str, Any]:
        """What a client needs to know of a video.

        Raises:
            Problem: there is none.
        """
        return json.loads(self._row(video_id)["facts"])

    def path(self, video_id: str) -> Path:
        """Where it lies. Raises Problem if there is none."""
        return Path(self._row(video_id)["path"] or self._folder / video_id)

    def open(self, video_id: str) -> Video:
        """Open it. Raises VideoError if it cannot be read any more."""
        path = self.path(video_id)
        with _named(path, "the video"):
            return open_source(path, self._settings.limits)

    def still(self, video_id: str, frame_idx: int) -> bytes:
        """One frame as a JPEG file. For another thread.

        Raises:
            Problem: there is no such video.
            SaymaskError: there is no such frame, or it cannot be decoded.
        """
        path = self.path(video_id)
        with _named(path, "the video"):
            return self._stills.jpeg(video_id, lambda: open_source(path, self._settings.limits), frame_idx)

    def expire(self, video_id: str | None = None) -> None:
        """Forget what nobody has used for long: uploads that got nothing, videos of no session, and this one if it has none either."""
        for unused in self._store.take_unused_videos(self._settings.idle_seconds, video_id):
            (self._folder / unused).unlink(missing_ok=True)
        for upload in self._store.uploads():
            if upload["used"] < time.time() - self._settings.upload_idle_seconds and upload["id"] not in self._receiving:
                self._drop(upload["id"])

    def _add(self, video_id: str, name: str, path: Path | None) -> dict[str, Any]:
        """`path` None = it was uploaded."""
        where = path or self._folder / video_id
        with _named(where, name):
            video = open_source(where, self._settings.limits)
        facts = {
            "id": video_id,
            "name": name,
            "width": video.width,
            "height": video.height,
            "num_frames": video.num_frames,
            "duration": video.duration,
            "timestamps": video.timestamps_T.round(6).tolist(),
        }
        self._store.add_video(video_id, name, str(path) if path else None, json.dumps(facts))
        return facts

    def _require_room(self) -> None:
        if self._store.count("videos", "uploads") >= self._settings.max_videos:
            raise Problem(429, "too_many_videos", f"{self._settings.max_videos} videos are kept already", "delete sessions of others first")

    def _row(self, video_id: str) -> sqlite3.Row:
        return self._store.video(video_id) or _raise(not_found("video", video_id))


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Where the server keeps its files is nobody's business: messages have a name instead."""
    try:
        yield
    except VideoError as error:
        raise VideoError(str(error).replace(str(path), name)) from None


def _shown(name: str) -> str:
    """A name for people: its last part, without what no screen shows."""
    return "".join(letter for letter in name if letter.isprintable()).replace("\\", "/").rpartition("/")[2][:MAX_NAME] or "video"


def _disk_full() -> Problem:
    return Problem(507, "disk_full", "the server's disk is full", "ask who runs it to make room")


def _raise(error: Exception) -> Any:
    raise error
