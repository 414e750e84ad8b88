"""`saymask segment` for an address or a camera: masks as the frames come, a recording, and the masks of the recording."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from saymask.cli.output import free_folder, note, output_folder, progress_bar
from saymask.errors import VideoError

if TYPE_CHECKING:
    from saymask.models.base import Segmenter
    from saymask.records import Prediction
    from saymask.trackers.base import Tracker
    from saymask.video.stream import Stream

RECORDING = "recording.mp4"


@dataclass(frozen=True)
class LiveWork:
    """What is asked of a stream.

    Args:
        queries, options: as for `VideoSession.segment`.
        segmenter, tracker: what finds and carries.
        cadence: `ask_every`, if it was given.
        formats: what is written beside the recording.
    """

    queries: Sequence[str]
    options: dict[str, Any]
    segmenter: Segmenter
    tracker: Tracker | None
    cadence: Mapping[str, Any]
    formats: Sequence[str]


def segment_stream(stream: Stream, work: LiveWork, wanted: Path) -> tuple[Prediction, list[Path]]:
    """Follow a stream to its end, or until Ctrl-C, and write the folder.

    Raises:
        VideoError: the stream breaks off, or the disk refuses.
    """
    from saymask.exports.encoder import record_video
    from saymask.session import Collected, LiveSession
    from saymask.video.reader import open_source

    final = free_folder(wanted)
    live = LiveSession(
        (stream.height, stream.width),
        stream.fps,
        work.segmenter,
        work.tracker,
        name=stream.name,
        tags=stream.tags,
        **work.cadence,
    )
    live.add_queries(work.queries, **work.options)
    collected = Collected(live)
    with output_folder(final) as draft:
        with progress_bar(stream.name) as progress, _stopped_by_interrupt() as stopped:

            def pushed() -> Iterator[tuple[float, np.ndarray]]:
                for number, (time, frame_HWC) in enumerate(stream.timed_frames, start=1):
                    collected.add(live.push(frame_HWC, time))
                    progress(number, 0, f"{stream.name}: {time:.1f} s, {number} frames")
                    yield time, frame_HWC
                    if stopped.is_set():
                        note(f"stopped after {number} frames; writing what was found")
                        return

            record_video(draft / RECORDING, pushed(), stream.fps, stream.tags)
        video = replace(open_source(draft / RECORDING), name=stream.name, source=str(final / RECORDING), tags=stream.tags)
        if video.num_frames != live.latest().frame_idx + 1:
            raise VideoError(f"{stream.source}: {live.latest().frame_idx + 1} frames came, the recording has {video.num_frames}; try again")
        prediction = collected.prediction(video)
        with progress_bar(f"writing {', '.join(work.formats)}"):
            written = [draft / RECORDING, *prediction.save(draft, work.formats)]
    return prediction, [final / path.relative_to(draft) for path in written]


@contextmanager
def _stopped_by_interrupt() -> Iterator[Event]:
    """The first Ctrl-C ends the stream instead of the program; a second one ends that."""
    stopped = Event()
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: Any) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
