"""What outlives the process: videos, sessions and jobs, in one SQLite database.

Whatever was written here before a client was answered is there after any crash: every change is one transaction of a write-ahead log.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

_TABLES = """
CREATE TABLE IF NOT EXISTS videos (id TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, facts TEXT NOT NULL, added REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, video_id TEXT NOT NULL REFERENCES videos, state TEXT NOT NULL, used REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    request TEXT NOT NULL, state TEXT NOT NULL, problem TEXT
);
"""
WAITING, DONE, FAILED, CANCELLED = "waiting", "done", "failed", "cancelled"
"""States of a job; one that is under way still waits, so that it is done again if the process dies."""
EMPTY = '{"results": [], "references": []}'
"""State of a new session."""


class Store:
    """Used by any thread.

    Args:
        path: of the database.
    """

    def __init__(self, path: Path):
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.executescript(_TABLES)
        self._lock = Lock()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database:
            yield self._database

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def close(self) -> None:
        self._database.close()

    # -- videos and sessions ----------------------------------------------------------------------------------------------------------

    def add_video(self, video_id: str, name: str, path: Path, facts: str) -> None:
        with self._change() as database:
            database.execute("INSERT INTO videos VALUES (?, ?, ?, ?, ?)", (video_id, name, str(path), facts, time.time()))

    def video(self, video_id: str) -> sqlite3.Row | None:
        return next(iter(self._rows("SELECT * FROM videos WHERE id = ?", video_id)), None)

    def count(self, table: str) -> int:
        return self._rows(f"SELECT COUNT(*) FROM {table}")[0][0]

    def add_session(self, video_id: str) -> str:
        session_id = secrets.token_hex(12)
        with self._change() as database:
            database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (session_id, video_id, EMPTY, time.time()))
        return session_id

    def session(self, session_id: str) -> sqlite3.Row | None:
        return next(iter(self._rows("SELECT * FROM sessions WHERE id = ?", session_id)), None)

    def idle_sessions(self, seconds: float) -> list[str]:
        """Sessions that nobody used for so long."""
        return [row["id"] for row in self._rows("SELECT id FROM sessions WHERE used < ?", time.time() - seconds)]

    def drop_session(self, session_id: str) -> None:
        with self._change() as database:
            database.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def take_unused_videos(self, seconds: float, video_id: str | None = None) -> list[Path]:
        """Forget the videos of no session that are so old, and this one if it has none either; where they lie."""
        query = "DELETE FROM videos WHERE (id = ? OR added < ?) AND id NOT IN (SELECT video_id FROM sessions) RETURNING path"
        with self._change() as database:
            gone = database.execute(query, (video_id, time.time() - seconds)).fetchall()
        return [Path(row["path"]) for row in gone]

    # -- work -------------------------------------------------------------------------------------------------------------------------

    def save(self, session_id: str, state: str) -> None:
        """A session as it is now."""
        with self._change() as database:
            database.execute("UPDATE sessions SET state = ?, used = ? WHERE id = ?", (state, time.time(), session_id))

    def add_job(self, session_id: str, request: str) -> int:
        with self._change() as database:
            added = database.execute("INSERT INTO jobs VALUES (NULL, ?, ?, ?, NULL)", (session_id, request, WAITING))
            assert added.lastrowid is not None
            return added.lastrowid

    def job(self, job_id: int) -> sqlite3.Row | None:
        return next(iter(self._rows("SELECT * FROM jobs WHERE id = ?", job_id)), None)

    def waiting_jobs(self) -> list[sqlite3.Row]:
        """Jobs that have not ended, the oldest first."""
        return self._rows("SELECT * FROM jobs WHERE state = ? ORDER BY id", WAITING)

    def end_job(self, job_id: int, ended: str, problem: str | None = None, session_state: str | None = None) -> None:
        """A job has ended; with it, in one step, the session as the job has left it."""
        with self._change() as database:
            database.execute("UPDATE jobs SET state = ?, problem = ? WHERE id = ?", (ended, problem, job_id))
            if session_state is not None:
                of_job = "(SELECT session_id FROM jobs WHERE id = ?)"
                database.execute(f"UPDATE sessions SET state = ?, used = ? WHERE id = {of_job}", (session_state, time.time(), job_id))
