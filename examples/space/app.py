"""A Gradio demo, for a Space or at home: a video and sentences in, the video with its objects marked and all masks out.

    pip install -r examples/space/requirements.txt
    python examples/space/app.py

`SAYMASK_MODEL` and `SAYMASK_TRACKER` are names of `saymask list`; without them each video gets the model that fits it (`-m auto`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import gradio as gr

from saymask.errors import SaymaskError
from saymask.models.choice import AUTO, ModelForEach
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.trackers.loading import load_tracker
from saymask.video.limits import ReadLimits
from saymask.video.reader import open_source

LIMITS = ReadLimits(max_pixels=1920 * 1080, max_frames=600)
MAX_SENTENCES = 4
RUNTIME = Runtime.choose()
MODELS = ModelForEach(os.environ.get("SAYMASK_MODEL", AUTO), RUNTIME)
TRACKER = os.environ.get("SAYMASK_TRACKER")


def find(path: str | None, sentences: str, progress: gr.Progress = gr.Progress()) -> tuple[str, str, str]:  # noqa: B008 (gradio wants it so)
    """Mark what the sentences name.

    Args:
        path: of the video.
        sentences: one a line.
        progress: shown while it works.

    Returns:
        The video with its objects marked, all masks as prediction.json, and what the model said.
    """
    queries = [line.strip() for line in sentences.splitlines() if line.strip()]
    if not path or not 1 <= len(queries) <= MAX_SENTENCES:
        raise gr.Error(f"give a video and 1 to {MAX_SENTENCES} sentences, one a line", print_exception=False)
    folder = Path(tempfile.mkdtemp(prefix="saymask-"))
    try:
        video = open_source(path, LIMITS)
        tracker = load_tracker(TRACKER, RUNTIME) if TRACKER else None
        with VideoSession(video, MODELS.for_video(video), tracker, runtime=RUNTIME) as session:
            prediction = session.segment(queries, progress=lambda done, total: progress((done, total), unit="frames"))
        shown, masks = prediction.save(folder / "found", ("overlay", "json"))
    except SaymaskError as error:
        raise gr.Error(str(error), print_exception=False) from None
    texts = "\n".join(f"{result.query}: {result.text or len(result.masklets)}" for result in prediction.results)
    return str(shown), str(masks), texts


def build() -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="saymask") as page:
        gr.Markdown("# saymask\nSay what you want; get its mask on every frame.")
        with gr.Row():
            with gr.Column():
                video = gr.Video(label="Video")
                sentences = gr.Textbox(label="Sentences, one a line", lines=3, placeholder="the red fish")
                start = gr.Button("Find", variant="primary")
            with gr.Column():
                marked = gr.Video(label="Found", interactive=False)
                masks = gr.File(label="Masks (prediction.json)")
                said = gr.Textbox(label="What the model said", interactive=False)
        start.click(find, [video, sentences], [marked, masks, said], concurrency_limit=1)
    return page


if __name__ == "__main__":
    build().queue(max_size=16).launch(max_file_size="100mb")
