"""`saymask segment SOURCE QUERY [QUERY …]`: masks of what the queries name, one output folder per source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from saymask import records
from saymask.batch.per_video import VideoAsker, Wording, disk_trouble_named, why_failed
from saymask.batch.sources import source_names
from saymask.cli.output import (
    first_free,
    free_folder,
    note,
    output_folder,
    progress_bar,
    report_error,
    say,
    scratch_beside,
    shown,
    write_index,
)
from saymask.cli.streaming import LiveWork, segment_stream
from saymask.errors import ConfigError, SaymaskError
from saymask.lookup import resolve_writers
from saymask.models import choice
from saymask.runtime import Runtime, leave_a_core
from saymask.trackers.references import MIN_STABILITY
from saymask.video.limits import ReadLimits

if TYPE_CHECKING:
    from saymask.exports.feed import Feed
    from saymask.models.base import Segmenter
    from saymask.records import Prediction, QueryResult
    from saymask.session import VideoSession
    from saymask.trackers.base import Tracker

OUT = Path("saymask-out")
MAX_LISTED = 8
"""So many names of files that are left out are said."""
MAX_REMARKS = 4
"""So many remarks about the tracking of a query are said."""


def _check_model(model: str) -> str:
    """Refuse the empty name, which as a path would mean the working folder."""
    if not model.strip():
        raise ConfigError("-m is empty; give a name of `saymask list` or a folder")
    return model


ModelOption = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        callback=_check_model,
        help="A name of `saymask list`, a folder of weights, or a hub repository; with an adapter: MODEL+FOLDER; "
        "auto: the right one on this disk.",
    ),
]
AnswerOption = Annotated[
    Literal["forced", "generate"] | None,
    typer.Option(
        help="forced: always segment; generate: the model writes its answer, perhaps a refusal; the model's default if not given."
    ),
]
TemplateOption = Annotated[
    str | None,
    typer.Option(help="How the query is worded: auto, or another template of the model (docs/models.md)."),
]
MinPresenceOption = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Leave out objects that the model is less sure of; for models that say how sure they are."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any option of the model (docs/models.md); may be repeated."),
]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps …; the best one present if not given.")]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        help="float32, bfloat16, float16, checkpoint for that of the files, or int8 for 8-bit weights (CPU); the fastest here if not given."
    ),
]

VisionTowerOption = Annotated[
    Path | None,
    typer.Option("--vision-tower", metavar="DIR", exists=True, file_okay=False, help="Folder of the CLIP tower if not beside the weights."),
]

TrackerOption = Annotated[
    str | None,
    typer.Option("-t", "--tracker", help="A tracker of `saymask list`: masks are tracked from the frames that the model trusts most."),
]
TrackerWeightsOption = Annotated[
    Path | None,
    typer.Option(metavar="PATH", exists=True, help="The tracker's weights, a file or folder; its default ones if not given."),
]
EveryOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="The model's masks on every N-th frame alone, tracked in between (docs/trackers.md): N times less for its encoder.",
    ),
]


def segment(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A video, an image, a folder of frames or of videos, a quoted glob; an address, or 0 for a camera."
        ),
    ],
    queries: Annotated[list[str], typer.Argument(metavar="QUERY", help='What to look for: "the red fish".', show_default=False)],
    model: ModelOption = choice.AUTO,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Output folder; with several sources one folder in it for each. saymask-out/<name> if not given."),
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated names of `saymask list`.")] = "overlay,png",
    template: TemplateOption = None,
    answer: AnswerOption = None,
    min_presence: MinPresenceOption = None,
    settings: SetOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    vision_tower: VisionTowerOption = None,
    tracker: TrackerOption = None,
    tracker_weights: TrackerWeightsOption = None,
    min_stability: Annotated[
        float, typer.Option(min=0, max=1, help="With -t: do not track from masks that are less stable (docs/trackers.md).")
    ] = MIN_STABILITY,
    every: EveryOption = None,
    causal: Annotated[bool, typer.Option("--causal", help="Use of each frame only what came before it (docs/streaming.md).")] = False,
    ask_every: Annotated[
        float | None,
        typer.Option(min=0.01, metavar="SECONDS", help="With --causal or a live source: from one answer to the next; 2 if not given."),
    ] = None,
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Open addresses (rtsp://, http://, https://).")] = False,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.01, help="Of a live source, read no more than this; Ctrl-C ends it at any time.")
    ] = None,
    max_frames: Annotated[int, typer.Option(min=1, help="Refuse longer videos.")] = ReadLimits.max_frames,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger frames.")] = ReadLimits.max_pixels,
) -> None:
    """Segment what the queries name, on every frame."""
    if not source.strip():
        raise ConfigError("SOURCE is empty; give a video, an image or a folder")
    _check_queries(queries)
    names = parse_formats(formats)
    from saymask.exports.feed import Feed
    from saymask.video.reader import find_sources, left_out
    from saymask.video.stream import is_stream, open_stream

    limits = ReadLimits(max_pixels, max_frames)
    wording = Wording(template, answer, min_presence, tuple(settings or ()))
    cadence = {} if ask_every is None else {"ask_every": ask_every}
    if every is not None and (causal or is_stream(source)):
        raise ConfigError(
            "--every looks ahead to the next frame that the model segments, which is not there yet; leave out --causal, or --every"
        )
    if is_stream(source):
        runtime = Runtime.choose(device, dtype)
        stream = open_stream(source, allow_network, max_seconds, limits)
        models = choice.ModelForEach(model, runtime, vision_tower)
        asker = VideoAsker(models, load_chosen_tracker(tracker, tracker_weights, runtime), wording, note)
        segmenter, options = asker.introduce(stream.beginning, queries)
        work = LiveWork(queries, options, segmenter, asker.tracker, cadence, names)
        report(*segment_stream(stream, work, out or OUT / stream.name))
        return
    if cadence and not causal:
        raise ConfigError("--ask-every says how often a model is asked with --causal or of a live source; add --causal, or leave it out")
    if allow_network or max_seconds is not None:
        raise ConfigError(f"--allow-network and --max-seconds are for addresses and cameras, {source!r} is neither; leave them out")
    paths = find_sources(source)
    if skipped := left_out(source, paths):
        listed = ", ".join(path.name for path in skipped[:MAX_LISTED]) + (" …" if len(skipped) > MAX_LISTED else "")
        note(f"left out, since they are no videos: {listed} ({len(skipped)} of {len(skipped) + len(paths)})")
    only_folder = out if len(paths) == 1 else None
    first_free(only_folder or (out or OUT) / source_names(paths)[0])  # before a model is loaded for nothing
    runtime = Runtime.choose(device, dtype)
    asker = VideoAsker(
        choice.ModelForEach(model, runtime, vision_tower),
        load_chosen_tracker(tracker, tracker_weights, runtime),
        wording,
        note,
        min_stability,
        every,
        limits,
        {"causal": True, **cadence} if causal else {},
        partial(_share_cores, is_tracked=tracker is not None or every is not None),
    )
    asker.prepare()  # before a video is opened for nothing
    failed = 0
    entries: list[dict[str, str]] = []
    for path, name in zip(paths, source_names(paths), strict=True):
        entry = {"source": str(path)}
        entries.append(entry)
        try:
            wanted = only_folder or (out or OUT) / name
            with Feed(names, partial(scratch_beside, wanted)) as feed:
                prediction = asker.ask(path, queries, feed, watch=progress_bar)
                with disk_trouble_named(path):
                    written = _save(prediction, feed, wanted, names)
            entry["folder"] = shown(written[0].parent)
            if len(paths) > 1:
                say(f"{path}:")
            report(prediction, written)
        except Exception as error:
            if len(paths) == 1:
                raise
            entry["error"] = why_failed(error, path)
            report_error(entry["error"])
            failed += 1
        if len(paths) > 1:
            write_index(out or OUT, entries)
    if failed:
        raise SaymaskError(f"{failed} of {len(paths)} sources failed; the others are done")


def _share_cores(segmenter: Segmenter, is_tracked: bool) -> None:
    """Leave a core to what goes on beside the model, if it is small and no tracker works as well: those are large."""
    if not is_tracked and not segmenter.family.default_tracker:
        leave_a_core(sum(file.stat().st_size for file in segmenter.weights_files))


def load_chosen_tracker(name: str | None, weights: Path | None, runtime: Runtime) -> Tracker | None:
    """The tracker that `-t` names, if any.

    Raises:
        UnknownName, CheckpointError: there is no such tracker, or its weights do not load.
        ConfigError: weights without a tracker.
    """
    if name is None:
        if weights is not None:
            raise ConfigError(f"--tracker-weights {weights} without a tracker; add e.g. -t xmem++")
        return None
    from saymask.trackers.loading import load_tracker

    return load_tracker(name, runtime, weights)


def ask(session: VideoSession, queries: Sequence[str], options: Mapping[str, Any] | None = None) -> Prediction:
    """Ask a session all queries, with a progress bar."""
    with progress_bar(session.video.name) as progress:
        return session.segment(queries, progress=progress, **(options or {}))


def _save(prediction: Prediction, feed: Feed, wanted: Path, formats: Sequence[str]) -> list[Path]:
    """Write all formats into a folder that appears only when it is complete; return the paths in it."""
    final = free_folder(wanted)
    with progress_bar(f"writing {', '.join(formats)}"), output_folder(final) as draft:
        written = feed.finish(prediction, draft)
    return [final / path.relative_to(draft) for path in written]


def report(prediction: Prediction, written: Sequence[Path]) -> None:
    """Say on how many frames each query has a mask, and what was written where."""
    total = prediction.video.num_frames
    for result in prediction.results:
        found = f"mask on {_frames_with_mask(result, total)} of {total} frame{'s' if total > 1 else ''}"
        said = f"; it said: {result.text}" if result.notes.get("answer") == "generate" else ""
        say(f'"{result.query}": {found}{said}')
        for remark in _few(result.notes.get("tracking", ())):
            say(f"  {remark}")
    for path in written:
        say(f"wrote {shown(path)}")


def _few(remarks: Sequence[str]) -> list[str]:
    """The first remarks and the last, which says what came of it; of many there is a count."""
    left_out = len(remarks) - MAX_REMARKS
    if left_out <= 0:
        return list(remarks)
    return [*remarks[: MAX_REMARKS - 1], f"and {left_out} more of these (all are in the format json)", remarks[-1]]


def _frames_with_mask(result: QueryResult, num_frames: int) -> int:
    """Count the frames on which any object of the query has a pixel."""
    return sum(any(masklet.rle_T[i].area > 0 for masklet in result.masklets) for i in range(num_frames))


def _check_queries(queries: Sequence[str]) -> None:
    """Refuse what cannot be a question before anything is loaded.

    Raises:
        ConfigError: an empty query, or a file where a query was expected (a glob the shell has expanded).
    """
    records.check_queries(queries)
    for number, query in enumerate(queries, 1):
        if _is_file(query):
            raise ConfigError(f'query {number} is the file {query!r}; quote a glob: saymask segment "*.mp4" "the red fish"')


def _is_file(text: str) -> bool:
    """Whether the text names a file; a long sentence is no valid name and no error either."""
    try:
        return Path(text).is_file()
    except OSError:
        return False


def parse_formats(formats: str) -> list[str]:
    """Split and check `--format`.

    Raises:
        ConfigError: no format is left.
        UnknownName, ConfigError: a format or a setting of it that does not exist, or one format in two ways.
    """
    names = list(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip()))
    if not names:
        raise ConfigError("--format is empty; give names of `saymask list`, e.g. --format overlay,png")
    resolve_writers(names)
    return names
