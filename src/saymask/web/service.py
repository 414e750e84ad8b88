"""What the server does, whoever asks: videos, sessions, and jobs that survive the process.

Whatever needs a model goes through the one worker. A job is written down before it is promised, and its result together with its end, so
a server that was killed does each promised job once more from its beginning and no finished one twice.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from saymask.errors import CheckpointError, ConfigError, SaymaskError, UnknownName, VideoError
from saymask.exports.prediction_json import IN_MEMORY
from saymask.lookup import resolve
from saymask.records import FrameResult, Prediction
from saymask.session import Editor
from saymask.video.reader import open_source
from saymask.web import store
from saymask.web.engine import Engine, frame_to_json, state_of
from saymask.web.feed import Feed
from saymask.web.problems import Problem, not_found
from saymask.web.settings import Settings
from saymask.web.stills import Stills
from saymask.web.store import Store
from saymask.web.worker import Worker

MAX_NAME = 80
T = TypeVar("T")


class Service:
    """Used by any thread; `start` before the first call, `stop` after the last.

    Args:
        settings: its bounds and folders.
        engine: its models.
    """

    def __init__(self, settings: Settings, engine: Engine):
        self.settings = settings
        self.engine = engine
        self._worker = Worker(settings.max_waiting)
        self._feeds: dict[int, Feed] = {}
        self._stills = Stills()
        self._stopping = Event()
        (settings.data / "videos").mkdir(parents=True, exist_ok=True)
        self._store = Store(settings.data / "saymask.sqlite")

    def start(self) -> None:
        """Go on with the jobs that were promised."""
        for row in self._store.waiting_jobs():
            self._worker.take_place_unasked()
            self._begin(row["id"], row["session_id"], json.loads(row["request"]))

    def stop(self) -> None:
        """Jobs that have not ended are done after the next start."""
        self._stopping.set()
        self._worker.stop()
        self._store.close()

    # -- videos -----------------------------------------------------------------------------------------------------------------------

    def room_for_video(self) -> str:
        """An id for a new video.

        Raises:
            Problem: too many are kept.
        """
        if self._store.count("videos") >= self.settings.max_videos:
            self._make_room()
        if self._store.count("videos") >= self.settings.max_videos:
            raise Problem(429, "too_many_videos", f"{self.settings.max_videos} videos are kept already", "delete sessions of others first")
        return secrets.token_hex(12)

    def add_video(self, video_id: str, name: str, path: Path) -> dict[str, Any]:
        """Open a video and remember it; what a client needs to know of it.

        Raises:
            VideoError: it cannot be read, or is over a limit.
        """
        shown = "".join(letter for letter in name if letter.isprintable()).replace("\\", "/").rpartition("/")[2][:MAX_NAME] or "video"
        try:
            video = open_source(path, self.settings.limits)
        except VideoError as error:
            raise VideoError(str(error).replace(str(path), shown)) from None
        facts = {
            "id": video_id,
            "name": shown,
            "width": video.width,
            "height": video.height,
            "num_frames": video.num_frames,
            "duration": video.duration,
            "timestamps": video.timestamps_T.round(6).tolist(),
        }
        self._store.add_video(video_id, shown, path, json.dumps(facts))
        return facts

    def path_under_root(self, path: str) -> Path:
        """A file of the folder whose videos may be opened.

        Raises:
            Problem: there is no such folder or file, or it lies elsewhere.
        """
        root = self.settings.root
        if root is None:
            raise Problem(403, "no_root", "this server opens no paths", "upload the video, or start the server with --root")
        with suppress(OSError, ValueError):
            wanted = (root / path).resolve(strict=True)
            if wanted.is_relative_to(root.resolve()) and wanted.is_file():
                return wanted
        raise not_found("video under the server's root called", path)

    def video_file(self, video_id: str) -> Path:
        return Path(self._video_row(video_id)["path"])

    def still(self, video_id: str, frame_idx: int) -> bytes:
        """One frame as a JPEG file.

        Raises:
            Problem: there is no such video.
            SaymaskError: there is no such frame, or it cannot be decoded.
        """
        path = self.video_file(video_id)
        try:
            return self._stills.jpeg(video_id, lambda: open_source(path, self.settings.limits), frame_idx)
        except VideoError as error:
            raise VideoError(str(error).replace(str(path), "the video")) from None

    # -- sessions ---------------------------------------------------------------------------------------------------------------------

    def add_session(self, video_id: str) -> str:
        """A session about a video.

        Raises:
            Problem: there is no such video, or too many sessions are kept.
        """
        self._video_row(video_id)
        if self._store.count("sessions") >= self.settings.max_sessions:
            self._make_room()
        if self._store.count("sessions") >= self.settings.max_sessions:
            raise Problem(429, "too_many_sessions", f"{self.settings.max_sessions} sessions are kept already", "delete one first")
        return self._store.add_session(video_id)

    def session(self, session_id: str) -> dict[str, Any]:
        """Its video, its jobs that have not ended, and all masks as they are now."""
        row = self._session_row(session_id)
        jobs = [job["id"] for job in self._store.waiting_jobs() if job["session_id"] == session_id]
        video = json.loads(self._video_row(row["video_id"])["facts"])
        return {"id": session_id, "video": video, "jobs": jobs, "results": json.loads(row["state"])["results"]}

    def drop_session(self, session_id: str) -> None:
        """Forget a session, and its video if it was the last one about it."""
        video_id = self._session_row(session_id)["video_id"]
        self.cancel(session_id)
        self._store.drop_session(session_id)
        self._remove_videos(self._store.take_unused_videos(self.settings.idle_seconds, video_id))

    def cancel(self, session_id: str) -> int:
        """End the session's jobs; how many there were."""
        self._session_row(session_id)
        jobs = [row["id"] for row in self._store.waiting_jobs() if row["session_id"] == session_id]
        for job_id in jobs:
            if feed := self._feeds.get(job_id):
                feed.cancelled.set()
        return len(jobs)

    async def edit(self, session_id: str, change: Callable[[Editor], T]) -> T:
        """Change a session by one step and store it.

        Raises:
            Problem: there is no such session, or the server is busy.
            SaymaskError: the step is refused; then nothing has changed.
        """

        def work() -> T:
            with self._editor(session_id) as editor:
                result = change(editor)
                self._store.save(session_id, state_of(editor))
                return result

        return await self._do(session_id, work)

    async def export(self, session_id: str, format_name: str, directory: Path) -> Path:
        """Write a session's masks into a folder; the file or folder that was written."""
        writer = resolve(format_name, "format")

        def work() -> Path:
            with self._editor(session_id) as editor:
                prediction = editor.prediction()
                # Where the server keeps its videos is nobody's business.
                return writer(Prediction(replace(prediction.video, source=IN_MEMORY), prediction.results), directory)

        return await self._do(session_id, work)

    # -- jobs -------------------------------------------------------------------------------------------------------------------------

    def add_job(self, session_id: str, request: dict[str, Any]) -> int:
        """Promise to ask a query or to propagate; the job's id.

        Raises:
            Problem: there is no such session, or the server is busy.
        """
        self._session_row(session_id)
        self._worker.take_place()
        job_id = self._store.add_job(session_id, json.dumps(request))
        self._begin(job_id, session_id, request)
        return job_id

    async def follow(self, job_id: int) -> AsyncIterator[str]:
        """A job's events from its beginning, if it is still under way, and its end."""
        if feed := self._feeds.get(job_id):
            async for event in feed.follow():
                yield event
            return
        row = self.job(job_id)
        yield _event("end", {"state": row["state"], "problem": json.loads(row["problem"] or "null")})

    def job(self, job_id: int) -> sqlite3.Row:
        row = self._store.job(job_id)
        if row is None:
            raise not_found("job", job_id)
        return row

    def _begin(self, job_id: int, session_id: str, request: dict[str, Any]) -> None:
        self._feeds[job_id] = Feed()
        self._worker.submit(lambda: self._run(job_id, session_id, request))

    def _run(self, job_id: int, session_id: str, request: dict[str, Any]) -> None:
        """In the worker's thread."""
        feed = self._feeds[job_id]
        ended, problem, state = store.CANCELLED, None, None
        try:
            if not feed.cancelled.is_set() and not self._stopping.is_set():
                with self._editor(session_id) as editor:
                    ended = self._walk(*_frames(editor, request), feed)
                    state = state_of(editor)
        except (SaymaskError, Problem) as error:
            ended, problem = store.FAILED, (error if isinstance(error, Problem) else Problem.of(error)).content()
        except Exception:
            ended, problem = store.FAILED, {"code": "internal", "message": "the server made a mistake", "hint": "look at its log"}
            raise
        finally:
            if not self._stopping.is_set():
                self._store.end_job(job_id, ended, json.dumps(problem) if problem else None, state)
                del self._feeds[job_id]
            feed.end(_event("end", {"state": ended, "problem": problem}))

    def _walk(self, frames: Iterator[FrameResult], total: int, feed: Feed) -> str:
        for done, result in enumerate(frames, start=1):
            feed.add(_event("frame", {"done": done, "total": total, **frame_to_json(result)}))
            if feed.cancelled.is_set() or self._stopping.is_set():
                frames.close()  # pyright: ignore[reportAttributeAccessIssue] (a generator)
                return store.CANCELLED
        return store.DONE

    # -- within -----------------------------------------------------------------------------------------------------------------------

    async def _do(self, session_id: str, work: Callable[[], T]) -> T:
        self._session_row(session_id)
        self._worker.take_place()
        future: Future[T] = self._worker.submit(work)
        return await asyncio.shield(asyncio.wrap_future(future))

    @contextmanager
    def _editor(self, session_id: str) -> Iterator[Editor]:
        """A session's editor; after an error it is opened again from what is stored."""
        row = self._session_row(session_id)
        path = self._video_row(row["video_id"])["path"]
        try:
            yield self.engine.editor(session_id, lambda: open_source(path, self.settings.limits), row["state"])
        except (ConfigError, UnknownName, CheckpointError, Problem):
            raise  # refused before anything changed
        except VideoError as error:
            self.engine.close(session_id)
            raise VideoError(str(error).replace(path, "the video")) from None
        except Exception:
            self.engine.close(session_id)
            raise

    def _make_room(self) -> None:
        for session_id in self._store.idle_sessions(self.settings.idle_seconds):
            self._store.drop_session(session_id)
        self._remove_videos(self._store.take_unused_videos(self.settings.idle_seconds))

    def _remove_videos(self, paths: Sequence[Path]) -> None:
        """Delete those that were uploaded; files under the root are not the server's."""
        for path in paths:
            if path.parent == self.settings.data / "videos":
                path.unlink(missing_ok=True)

    def _session_row(self, session_id: str) -> sqlite3.Row:
        return self._store.session(session_id) or _raise(not_found("session", session_id))

    def _video_row(self, video_id: str) -> sqlite3.Row:
        return self._store.video(video_id) or _raise(not_found("video", video_id))


def _frames(editor: Editor, request: dict[str, Any]) -> tuple[Iterator[FrameResult], int]:
    """What a job walks through, and how many frames that are at most."""
    total = editor.video.num_frames
    if "query" not in request:
        return editor.propagate(request["frame_idx"], request["direction"], request["num_frames"]), total - 1
    options = dict(request)
    if "window" in options:
        first, last = options["window"]
        options["window"], total = range(first, last + 1), last + 1 - first
    return editor.ask(**options), total


def _event(kind: str, content: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"


def _raise(error: Exception) -> Any:
    raise error
