"""report.html of a batch: how far it is, what was found, contact sheets, and what has failed and why.

The page loads the sheets from the results beside it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from saymask.batch.jobs import Job
from saymask.batch.manifest import Failure, Manifest, Record

REPORT = "report.html"
_SHEET = "sheet.png"


@dataclass(frozen=True)
class _Row:
    """One job as the page shows it; `record` and `failure` are None if it has none."""

    job: Job
    record: Record | None
    failure: Failure | None

    @property
    def folder(self) -> str:
        return f"results/{quote(self.job.id)}/"

    @property
    def sheet(self) -> str | None:
        """Address of its contact sheet."""
        return f"{self.folder}{_SHEET}" if self.record is not None and _SHEET in self.record.files else None

    @property
    def found(self) -> list[Mapping[str, Any]]:
        return list(self.record.found) if self.record is not None else []


def write_report(manifest: Manifest) -> None:
    """Write the page about everything that is in the manifest, also about jobs of other machines."""
    rows = []
    states = manifest.states()
    for job in manifest.jobs:
        record = manifest.record(job) if states[job.id] == "done" else None
        failure = manifest.failure(job) if states[job.id] == "failed" else None
        rows.append(_Row(job, record, failure))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    page = environment.from_string(files("saymask.batch").joinpath("report.html.jinja").read_text(encoding="utf-8"))
    done = [row for row in rows if row.record is not None]
    content = page.render(
        settings=manifest.settings,
        num_jobs=len(rows),
        done=done,
        failed=[row for row in rows if row.failure is not None],
        num_todo=sum(state == "to do" for state in states.values()),
        frames=sum(row.record.source.frames for row in done if row.record is not None),
        nothing=[row for row in done if not any(entry["frames"] for entry in row.found)],
    )
    manifest.place.replace(REPORT, content)
