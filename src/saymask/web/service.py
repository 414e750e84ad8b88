"""What the server does, whoever asks: sessions, and jobs that survive the process.

Whatever needs a model waits in the line of a worker, one for each device; a session stays with one of them. A job is written down before it
is promised, and its result together with its end, so a server that was killed does each promised job once more from its beginning and no
finished one twice. Steps by hand go before jobs that have not begun, those of the same session too.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from saymask.errors import CheckpointError, ConfigError, UnknownName, VideoError
from saymask.exports.prediction_json import IN_MEMORY
from saymask.lookup import resolve
from saymask.records import FrameResult, Prediction
from saymask.session import Editor
from saymask.web import store
from saymask.web.engine import Engine, frame_to_json, state_of
from saymask.web.feed import Feed
from saymask.web.problems import Problem, not_found, problem_of
from saymask.web.settings import Settings
from saymask.web.store import Store
from saymask.web.videos import Videos
from saymask.web.worker import Worker

MAX_BEGUN = 5
"""A job in which the process died so often is not tried again: it may be what it dies of."""
KEPT_FEEDS = 4
"""So many jobs keep their events when they have ended, for a client that asks for them a moment too late."""
T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """A device: its models, and what waits for them."""

    engine: Engine
    worker: Worker


class Service:
    """Used by any thread; `start` before the first call, `stop` after the last.

    Args:
        settings: its bounds and folders.
        engines: the models of each device.
    """

    def __init__(self, settings: Settings, engines: Sequence[Engine]):
        self.settings = settings
        self._lines = [Line(engine, Worker(settings.max_waiting)) for engine in engines]
        self._feeds: dict[int, Feed] = {}
        self._ended: deque[int] = deque()  # jobs whose feed is still there
        self._stopping = Event()
        self.scratch = settings.data / "scratch"
        """For files that live as long as a request."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self._store = Store(settings.data / "saymask.sqlite")
        self.videos = Videos(settings, self._store)

    @property
    def engine(self) -> Engine:
        """What is loaded is the same on every device."""
        return self._lines[0].engine

    def start(self) -> None:
        """Go on with the jobs that were promised."""
        self.videos.start()
        for row in self._store.waiting_jobs():
            self._line(row["session_id"]).worker.take_place_unasked()
            self._begin(row["id"], row["session_id"], json.loads(row["request"]))

    def stop(self) -> None:
        """Jobs that have not ended are done after the next start."""
        self._stopping.set()
        for line in self._lines:
            line.worker.stop()
        for feed in tuple(self._feeds.values()):
            feed.end()
        self._store.close()

    def expire(self) -> None:
        """Forget what nobody has used for long; jobs keep their sessions."""
        for session_id in self._store.idle_sessions(self.settings.idle_seconds):
            self._forget(session_id)
        self.videos.expire()

    # -- sessions ---------------------------------------------------------------------------------------------------------------------

    def add_session(self, video_id: str) -> str:
        """A session about a video.

        Raises:
            Problem: there is no such video, or too many sessions are kept.
        """
        self.videos.facts(video_id)
        if self._store.count("sessions") >= self.settings.max_sessions:
            raise Problem(429, "too_many_sessions", f"{self.settings.max_sessions} sessions are kept already", "delete one first")
        return self._store.add_session(video_id)

    def session(self, session_id: str) -> dict[str, Any]:
        """Its video, its jobs that have not ended, all masks as they are now, and on which frames some were given."""
        row = self._session_row(session_id)
        jobs = [job["id"] for job in self._store.waiting_jobs() if job["session_id"] == session_id]
        state = json.loads(row["state"])
        given = [{name: reference[name] for name in ("query", "obj_id", "frame_idx")} for reference in state["references"]]
        facts = self.videos.facts(row["video_id"])
        return {"id": session_id, "video": facts, "jobs": jobs, "results": state["results"], "given": given}

    def drop_session(self, session_id: str) -> None:
        """Forget a session, and its video if it was the last one about it."""
        video_id = self._session_row(session_id)["video_id"]
        self.cancel(session_id)
        self._forget(session_id)
        self.videos.expire(video_id)

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
                self._store.save(session_id, self._storable(editor))
                return result

        return await self._do(session_id, work, is_step=True)

    async def undo(self, session_id: str) -> bool:
        """Take the last change back; whether there was one.

        Raises:
            Problem: there is no such session, or the server is busy.
        """

        def work() -> bool:
            state = self._store.undo(session_id)
            if state is not None:
                self._line(session_id).engine.go_back(session_id, state)
            return state is not None

        return await self._do(session_id, work, is_step=True)

    async def export(self, session_id: str, format_name: str, directory: Path) -> Path:
        """Write a session's masks into a folder; the file or folder that was written."""
        writer = resolve(format_name, "format")

        def work() -> Path:
            with self._editor(session_id) as editor:
                prediction = editor.prediction()
                # Where the server keeps its videos is nobody's business.
                return writer(Prediction(replace(prediction.video, source=IN_MEMORY), prediction.results), directory)

        return await self._do(session_id, work)

    async def predict(self, work: Callable[[Engine], T]) -> T:
        """Ask a model about something that belongs to no session, where the line is shortest.

        Raises:
            Problem: the server is busy.
        """
        line = min(self._lines, key=lambda line: line.worker.taken)
        return await self._in_line(line, lambda: work(line.engine))

    # -- jobs -------------------------------------------------------------------------------------------------------------------------

    def add_job(self, session_id: str, request: dict[str, Any]) -> int:
        """Promise to ask a query or to propagate; the job's id.

        Raises:
            Problem: there is no such session, or the server is busy.
        """
        self._session_row(session_id)
        worker = self._line(session_id).worker
        worker.take_place()
        try:
            job_id = self._store.add_job(session_id, json.dumps(request))
        except BaseException:
            worker.give_back()
            raise
        self._begin(job_id, session_id, request)
        return job_id

    async def follow(self, job_id: int) -> AsyncIterator[str]:
        """A job's events from its beginning if it is under way or has just ended, else its end; without one if the server stops before."""
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
        self._line(session_id).worker.submit(lambda: self._run(job_id, session_id, request))

    def _run(self, job_id: int, session_id: str, request: dict[str, Any]) -> None:
        """In a worker's thread."""
        feed = self._feeds[job_id]
        ended, problem, state = store.CANCELLED, None, None
        try:
            if not feed.cancelled.is_set() and not self._stopping.is_set():
                if self._store.begin_job(job_id) > MAX_BEGUN:
                    raise Problem(500, "gave_up", f"the server ended {MAX_BEGUN} times while it did this", "ask for less")
                with self._editor(session_id) as editor:
                    ended = self._walk(*_frames(editor, request), feed)
                    state = self._storable(editor)
        except Exception as error:
            ended, problem = store.FAILED, problem_of(error)
        self._end(job_id, session_id, feed, ended, problem, state)

    def _end(self, job_id: int, session_id: str, feed: Feed, ended: str, problem: Problem | None, state: str | None) -> None:
        if self._stopping.is_set():
            self._store.put_back_job(job_id)
            return
        try:
            self._store.end_job(job_id, ended, json.dumps(problem.content()) if problem else None, state)
        except sqlite3.Error as error:  # then it is done again after the next start
            self._line(session_id).engine.close(session_id)
            ended, problem = store.FAILED, problem_of(error)
        feed.end(_event("end", {"state": ended, "problem": problem.content() if problem else None}))
        self._ended.append(job_id)
        if len(self._ended) > KEPT_FEEDS:
            del self._feeds[self._ended.popleft()]

    def _walk(self, frames: Iterator[FrameResult], total: int, feed: Feed) -> str:
        for done, result in enumerate(frames, start=1):
            feed.add(_event("frame", {"done": done, "total": total, **frame_to_json(result)}))
            if feed.cancelled.is_set() or self._stopping.is_set():
                frames.close()  # pyrefly: ignore[missing-attribute] (a generator)
                return store.CANCELLED
        return store.DONE

    # -- within -----------------------------------------------------------------------------------------------------------------------

    def _line(self, session_id: str) -> Line:
        """The device that a session stays with: its id is random."""
        return self._lines[int(session_id, 16) % len(self._lines)]

    async def _do(self, session_id: str, work: Callable[[], T], is_step: bool = False) -> T:
        self._session_row(session_id)
        return await self._in_line(self._line(session_id), work, is_step)

    async def _in_line(self, line: Line, work: Callable[[], T], is_step: bool = False) -> T:
        line.worker.take_place()
        return await asyncio.shield(asyncio.wrap_future(line.worker.submit(work, is_step)))

    @contextmanager
    def _editor(self, session_id: str) -> Iterator[Editor]:
        """A session's editor; after an error it is opened again from what is stored."""
        row = self._session_row(session_id)
        engine = self._line(session_id).engine
        try:
            yield engine.editor(session_id, lambda: self.videos.open(row["video_id"]), row["state"])
        except (ConfigError, UnknownName, CheckpointError):
            raise  # refused before anything changed
        except VideoError as error:
            engine.close(session_id)
            raise VideoError(str(error).replace(str(self.videos.path(row["video_id"])), "the video")) from None
        except BaseException:
            engine.close(session_id)
            raise

    def _storable(self, editor: Editor) -> str:
        """What is stored of a session.

        Raises:
            Problem: it has become too large.
        """
        state = state_of(editor)
        if len(state) > self.settings.max_state_bytes:
            message = f"the masks of this session would take more than {self.settings.max_state_bytes} bytes"
            raise Problem(413, "session_full", message, "drop objects, or begin a new session")
        return state

    def _forget(self, session_id: str) -> None:
        self._store.drop_session(session_id)
        line = self._line(session_id)
        line.worker.take_place_unasked()
        line.worker.submit(lambda: line.engine.close(session_id))

    def _session_row(self, session_id: str) -> sqlite3.Row:
        row = self._store.session(session_id)
        if row is None:
            raise not_found("session", session_id)
        return row


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
