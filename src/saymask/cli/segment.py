"""`saymask segment SOURCE QUERY [QUERY …]`: masks of what the queries name, one output folder per source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from saymask import records
from saymask.cli.output import free_folder, note, output_folder, progress_bar, report_error, say, shown
from saymask.errors import ConfigError, SaymaskError
from saymask.lookup import resolve
from saymask.models.prompts import check_template
from saymask.runtime import Runtime
from saymask.video.limits import ReadLimits

if TYPE_CHECKING:
    from saymask.models.base import Segmenter
    from saymask.records import Prediction, QueryResult, Video

OUT = Path("saymask-out")

ModelOption = Annotated[str, typer.Option("-m", "--model", help="A name of `saymask list`, or a folder of weights.")]
AnswerOption = Annotated[
    Literal["forced", "generate"],
    typer.Option(help="forced: always segment; generate: let the model answer, and perhaps say that there is none."),
]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps …; the best one present if not given.")]
DtypeOption = Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; the checkpoint's own if not given.")]


def segment(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A video, an image, a folder of frames or of videos, or a quoted glob.")],
    queries: Annotated[list[str], typer.Argument(metavar="QUERY", help='What to look for: "the red fish".', show_default=False)],
    model: ModelOption = "toy",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Output folder; saymask-out/<name> if not given.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated names of `saymask list`.")] = "overlay,png",
    template: Annotated[
        str,
        typer.Option(help="auto: phrase the query as in training; raw: as it is; videolisa-chat, -mevis, -reason-vos ...: as that script."),
    ] = "auto",
    answer: AnswerOption = "forced",
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    max_frames: Annotated[int, typer.Option(min=1, help="Refuse longer videos.")] = ReadLimits.max_frames,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger frames.")] = ReadLimits.max_pixels,
) -> None:
    """Segment what the queries name, on every frame."""
    check_queries(queries)
    names = parse_formats(formats)
    check_template(template)
    from saymask.models.checkpoints import load_model
    from saymask.video.reader import find_sources, open_source

    limits = ReadLimits(max_pixels, max_frames)
    paths = find_sources(source)
    segmenter = load_model(model, Runtime.choose(device, dtype))
    warn_unknown_words(segmenter, queries)
    failed = 0
    for path in paths:
        try:
            prediction = ask(open_source(path, limits), segmenter, queries, template, answer)
            wanted = out if out and len(paths) == 1 else (out or OUT) / prediction.video.name
            report(prediction, save(prediction, wanted, names))
        except SaymaskError as error:
            if len(paths) == 1:
                raise
            report_error(error)
            failed += 1
    if failed:
        raise SaymaskError(f"{failed} of {len(paths)} sources failed; the others are done")


def ask(video: Video, segmenter: Segmenter, queries: Sequence[str], template: str = "auto", answer: str = "forced") -> Prediction:
    """Ask one video all queries, with the model's notice (if it has one for such a video) and a progress bar."""
    from saymask.pipeline import VideoSession

    if notice := segmenter.notice(video):
        note(notice)
    with VideoSession(video, segmenter) as session, progress_bar(video.name) as progress:
        return session.segment(queries, template=template, answer=answer, progress=progress)


def save(prediction: Prediction, wanted: Path, formats: Sequence[str]) -> list[Path]:
    """Write all formats into a folder that appears only when it is complete; return the paths in it."""
    final = free_folder(wanted)
    with progress_bar(f"writing {', '.join(formats)}"), output_folder(final) as draft:
        written = prediction.save(draft, formats)
    return [final / path.relative_to(draft) for path in written]


def report(prediction: Prediction, written: Sequence[Path]) -> None:
    """Say on how many frames each query has a mask, and what was written where."""
    total = prediction.video.num_frames
    for result in prediction.results:
        found = f"mask on {frames_with_mask(result, total)} of {total} frame{'s' if total > 1 else ''}"
        said = f"; it said: {result.text}" if result.notes.get("answer") == "generate" else ""
        say(f'"{result.query}": {found}{said}')
    for path in written:
        say(f"wrote {shown(path)}")


def frames_with_mask(result: QueryResult, num_frames: int) -> int:
    """Count the frames on which any object of the query has a pixel."""
    return sum(any(masklet.rle_T[i].area > 0 for masklet in result.masklets) for i in range(num_frames))


def check_queries(queries: Sequence[str]) -> None:
    """Refuse what cannot be a question before anything is loaded.

    Raises:
        ConfigError: an empty query, or a file where a query was expected (a glob the shell has expanded).
    """
    records.check_queries(queries)
    for number, query in enumerate(queries, 1):
        if is_file(query):
            raise ConfigError(f'query {number} is the file {query!r}; quote a glob: saymask segment "*.mp4" "the red fish"')


def is_file(text: str) -> bool:
    """Whether the text names a file; a long sentence is no valid name and no error either."""
    try:
        return Path(text).is_file()
    except OSError:
        return False


def parse_formats(formats: str) -> list[str]:
    """Split and check `--format`.

    Raises:
        ConfigError: no format is left.
        UnknownName: a format that does not exist.
    """
    names = list(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip()))
    if not names:
        raise ConfigError("--format is empty; give names of `saymask list`, e.g. --format overlay,png")
    for name in names:
        resolve(name, "format")
    return names


def warn_unknown_words(segmenter: Segmenter, queries: Sequence[str]) -> None:
    """Name the words that the model has never seen."""
    words = dict.fromkeys(word for query in queries for word in segmenter.unknown_words(query))
    if words:
        note(f"warning: {segmenter.name} was never trained on: {', '.join(words)}")
