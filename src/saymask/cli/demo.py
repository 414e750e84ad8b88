"""`saymask demo`: draw a small video, ask the bundled model three questions about it, show where the answers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saymask.cli.output import free_folder, output_folder, say, shown
from saymask.cli.segment import OUT, ask, report
from saymask.runtime import Runtime

if TYPE_CHECKING:
    from saymask.records import Video

SPLIT, SCENE = "test", 25
QUESTIONS = {"the yellow fish": 3, "the green hammer": 2, "the orange cup": 1}
"""Three questions about that scene, and the number of the thing in it that each one names."""

FORMATS = ("overlay", "sheet", "png")


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = OUT / "demo",
) -> None:
    """Draw a small video, ask three questions about it, write the masks."""
    from saymask.models.checkpoints import load_model
    from saymask.session import VideoSession
    from saymask.toyworld.dataset import load_toyworld
    from saymask.video.reader import open_source

    segmenter = load_model("toy", Runtime.choose())
    drawn = load_toyworld(None, SPLIT)[SCENE].video
    final = free_folder(out)
    with output_folder(final) as draft:
        clip = draft / "video.mp4"
        write_clip(drawn, clip)
        with VideoSession(open_source(clip), segmenter) as session:
            prediction = ask(session, list(QUESTIONS))
        written = [clip, *prediction.save(draft, FORMATS)]
    say(f"drew a video of {drawn.num_frames} frames and asked model {segmenter.name!r} {len(QUESTIONS)} questions about it")
    report(prediction, [final / path.relative_to(draft) for path in written])
    say(f'next: saymask segment {shown(final / "video.mp4")} "{next(iter(QUESTIONS))}"')


def write_clip(drawn: Video, path: Path) -> None:
    """Write a drawn video to a real mp4, with the tag by which the bundled model recognises its own world."""
    from saymask.exports.encoder import write_video

    write_video(path, drawn.frames(range(drawn.num_frames)), drawn.timestamps_T, drawn.duration, drawn.tags)
