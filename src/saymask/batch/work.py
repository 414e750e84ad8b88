"""One job from its source to its result: the function that every backend runs, in whatever process and on whatever machine."""

from __future__ import annotations

from pathlib import Path

from saymask.batch.jobs import Job
from saymask.batch.manifest import Manifest
from saymask.batch.per_video import VideoAsker, disk_trouble_named, why_failed
from saymask.exports.feed import Feed


def do_job(job: Job, asker: VideoAsker, manifest: Manifest) -> str | None:
    """Segment a job's source and keep the result, or note why there is none.

    Done twice, at once or one after the other, it gives one result.

    Returns:
        Why it failed; None if the job is done.
    """
    source = Path(job.source)
    try:
        with Feed(manifest.settings.formats, manifest.scratch(job)) as feed:
            prediction = asker.ask(source, job.queries, feed, job.options)
            with disk_trouble_named(source):
                manifest.keep(job, prediction, feed)
    except Exception as error:
        why = why_failed(error, source)
        manifest.fail(job, why)
        return why
    return None
