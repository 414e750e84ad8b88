"""What outlives the process: uploads, videos, sessions and jobs, in one SQLite database.

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

from saymask.errors import ConfigError

_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER, received INTEGER NOT NULL DEFAULT 0, used REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS videos (id TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT, facts TEXT NOT NULL, added REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, video_id TEXT NOT NULL REFERENCES videos, state TEXT NOT NULL, used REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS history (
    number INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE, state TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS history_of_session ON history (session_id);
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    request TEXT NOT NULL, state TEXT NOT NULL, problem TEXT, begun INTEGER NOT NULL DEFAULT 0
);
"""
WAITING, DONE, FAILED, CANCELLED = "waiting", "done", "failed", "cancelled"
"""States of a job; one that is under way still waits, so that it is done again if the process dies."""
EMPTY = '{"results": [], "references": []}'
"""State of a new session."""
MAX_UNDO, MAX_UNDO_BYTES = 50, 16 * 2**20
"""Of a session; the state before the last change is kept whatever its size."""
_FORGET = """
DELETE FROM history WHERE session_id = :session AND number NOT IN (
    SELECT number FROM (
        SELECT number, ROW_NUMBER() OVER newest AS place, SUM(LENGTH(state)) OVER newest AS bytes
        FROM history WHERE session_id = :session WINDOW newest AS (ORDER BY number DESC)
    ) WHERE place = 1 OR (place <= :most AND bytes <= :most_bytes)
)
"""
_USED_WITHIN = 60.0
"""Seconds: the time of a session's last use is this exact; reading it often is then no write."""


class Store:
    """Used by any thread.

    Args:
        path: of the database.

    Raises:
        ConfigError: the database is of another version.
    """

    def __init__(self, path: Path):
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        found = self._database.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, _VERSION):
            self._database.close()
            raise ConfigError(f"{path}: a database of version {found}, this program writes version {_VERSION}; give another --data")
        self._database.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
        self._lock = Lock()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database:
            yield self._database

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def _row(self, query: str, *values: object) -> sqlite3.Row | None:
        return next(iter(self._rows(query, *values)), None)

    def close(self) -> None:
        self._database.close()

    def count(self, *tables: str) -> int:
        return sum(self._rows(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables)

    # -- uploads and videos -----------------------------------------------------------------------------------------------------------

    def add_upload(self, upload_id: str, name: str, size: int | None) -> None:
        with self._change() as database:
            database.execute("INSERT INTO uploads VALUES (?, ?, ?, 0, ?)", (upload_id, name, size, time.time()))

    def upload(self, upload_id: str) -> sqlite3.Row | None:
        return self._row("SELECT * FROM uploads WHERE id = ?", upload_id)

    def uploads(self) -> list[sqlite3.Row]:
        return self._rows("SELECT * FROM uploads")

    def receive(self, upload_id: str, received: int) -> None:
        """So many of its bytes are on the disk."""
        with self._change() as database:
            database.execute("UPDATE uploads SET received = ?, used = ? WHERE id = ?", (received, time.time(), upload_id))

    def drop_upload(self, upload_id: str) -> None:
        with self._change() as database:
            database.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))

    def bytes_promised(self) -> int:
        """What uploads under way still want to bring."""
        return self._rows("SELECT COALESCE(SUM(size - received), 0) FROM uploads WHERE size IS NOT NULL")[0][0]

    def add_video(self, video_id: str, name: str, path: str | None, facts: str) -> None:
        """A video that can be used; if it was an upload, which has no path of its own, it is none any more."""
        with self._change() as database:
            database.execute("DELETE FROM uploads WHERE id = ?", (video_id,))
            database.execute("INSERT INTO videos VALUES (?, ?, ?, ?, ?)", (video_id, name, path, facts, time.time()))

    def video(self, video_id: str) -> sqlite3.Row | None:
        return self._row("SELECT * FROM videos WHERE id = ?", video_id)

    def known_files(self) -> set[str]:
        """Ids of all uploads and videos: the names of their files."""
        return {row["id"] for row in self._rows("SELECT id FROM uploads UNION SELECT id FROM videos")}

    def take_unused_videos(self, seconds: float, video_id: str | None = None) -> list[str]:
        """Forget the videos of no session that are so old, and this one if it has none either; ids of those that were uploaded."""
        query = "DELETE FROM videos WHERE (id = ? OR added < ?) AND id NOT IN (SELECT video_id FROM sessions) RETURNING id, path"
        with self._change() as database:
            gone = database.execute(query, (video_id, time.time() - seconds)).fetchall()
        return [row["id"] for row in gone if row["path"] is None]

    # -- sessions ---------------------------------------------------------------------------------------------------------------------

    def add_session(self, video_id: str) -> str:
        session_id = secrets.token_hex(12)
        with self._change() as database:
            database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", (session_id, video_id, EMPTY, time.time()))
        return session_id

    def session(self, session_id: str) -> sqlite3.Row | None:
        """A session, which is used by this."""
        now = time.time()
        with self._change() as database:
            database.execute("UPDATE sessions SET used = ? WHERE id = ? AND used < ?", (now, session_id, now - _USED_WITHIN))
        return self._row("SELECT * FROM sessions WHERE id = ?", session_id)

    def idle_sessions(self, seconds: float) -> list[str]:
        """Sessions that nobody used for so long, and that have no job to be done."""
        busy = "SELECT session_id FROM jobs WHERE state = ?"
        query = f"SELECT id FROM sessions WHERE used < ? AND id NOT IN ({busy})"
        return [row["id"] for row in self._rows(query, time.time() - seconds, WAITING)]

    def save(self, session_id: str, state: str) -> None:
        """A session as it is now; what it was before can be gone back to."""
        with self._change() as database:
            _save(database, session_id, state)

    def undo(self, session_id: str) -> str | None:
        """The session is what it was before its last change; None if no change is known."""
        newest = "(SELECT MAX(number) FROM history WHERE session_id = ?)"
        with self._change() as database:
            rows = database.execute(f"DELETE FROM history WHERE number = {newest} RETURNING state", (session_id,)).fetchall()
            for row in rows:
                database.execute("UPDATE sessions SET state = ?, used = ? WHERE id = ?", (row["state"], time.time(), session_id))
        return rows[0]["state"] if rows else None

    def drop_session(self, session_id: str) -> None:
        with self._change() as database:
            database.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    # -- jobs -------------------------------------------------------------------------------------------------------------------------

    def add_job(self, session_id: str, request: str) -> int:
        with self._change() as database:
            values = (session_id, request, WAITING)
            added = database.execute("INSERT INTO jobs (session_id, request, state) VALUES (?, ?, ?)", values)
            assert added.lastrowid is not None
            return added.lastrowid

    def job(self, job_id: int) -> sqlite3.Row | None:
        return self._row("SELECT * FROM jobs WHERE id = ?", job_id)

    def waiting_jobs(self) -> list[sqlite3.Row]:
        """Jobs that have not ended, the oldest first."""
        return self._rows("SELECT * FROM jobs WHERE state = ? ORDER BY id", WAITING)

    def begin_job(self, job_id: int) -> int:
        """A job is begun; how often it was, this time included: more than once only if the process died in it."""
        with self._change() as database:
            rows = database.execute("UPDATE jobs SET begun = begun + 1 WHERE id = ? RETURNING begun", (job_id,)).fetchall()
        return rows[0]["begun"] if rows else 1

    def put_back_job(self, job_id: int) -> None:
        """A job that the process leaves in good order, to be begun again."""
        with self._change() as database:
            database.execute("UPDATE jobs SET begun = MAX(begun - 1, 0) WHERE id = ?", (job_id,))

    def end_job(self, job_id: int, ended: str, problem: str | None = None, session_state: str | None = None) -> None:
        """A job has ended; with it, in one step, the session as the job has left it."""
        with self._change() as database:
            database.execute("UPDATE jobs SET state = ?, problem = ? WHERE id = ?", (ended, problem, job_id))
            job = database.execute("SELECT session_id FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if session_state is not None and job is not None:
                _save(database, job["session_id"], session_state)


def _save(database: sqlite3.Connection, session_id: str, state: str) -> None:
    before = "SELECT id, state FROM sessions WHERE id = ? AND state != ?"
    database.execute(f"INSERT INTO history (session_id, state) {before}", (session_id, state))
    database.execute(_FORGET, {"session": session_id, "most": MAX_UNDO, "most_bytes": MAX_UNDO_BYTES})
    database.execute("UPDATE sessions SET state = ?, used = ? WHERE id = ?", (state, time.time(), session_id))
