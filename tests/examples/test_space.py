"""The demo for a Space: with gradio if it is installed, else with the few calls of it that the demo makes, as gradio documents them."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from served import SAID, write_drawn_clip

from saymask.models.checkpoints import load_model
from saymask.records import Prediction
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.video.reader import open_source

SPACE = Path(__file__).parents[2] / "examples" / "space"


class Documented:
    """A component: its options, and the events that were bound to it."""

    def __init__(self, *values: Any, **options: Any):
        self.values, self.options, self.events = values, options, []

    def click(self, function: Any, inputs: list[Any], outputs: list[Any], concurrency_limit: int | None = None) -> None:
        self.events.append((function, inputs, outputs))


class DocumentedError(Exception):
    def __init__(self, message: str, print_exception: bool = True):
        super().__init__(message)


def documented_gradio() -> ModuleType:
    module = ModuleType("gradio")
    vars(module).update(
        Error=DocumentedError,
        Progress=lambda: lambda done, unit: None,
        Blocks=lambda title: nullcontext(SimpleNamespace(title=title)),
        **{name: nullcontext for name in ("Row", "Column")},
        **{name: type(name, (Documented,), {}) for name in ("Markdown", "Video", "Textbox", "Button", "File")},
    )
    return module


@pytest.fixture
def app(monkeypatch):
    try:
        import gradio  # noqa: F401
    except ImportError:
        monkeypatch.setitem(sys.modules, "gradio", documented_gradio())
    monkeypatch.setenv("SAYMASK_MODEL", "toy")
    monkeypatch.delenv("SAYMASK_TRACKER", raising=False)
    spec = importlib.util.spec_from_file_location("space_app", SPACE / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_page_can_be_built(app):
    assert app.build() is not None
    assert (SPACE / "requirements.txt").read_text().split()[0] == "saymask"


def test_it_finds_what_the_library_finds(app, tmp_path):
    clip = tmp_path / "clip.mp4"
    write_drawn_clip(clip, 3)
    overlay, masks, said = app.find(str(clip), f"{SAID}\n\n the orange cup \n", lambda done, unit: None)
    with VideoSession(open_source(clip), load_model("toy", Runtime.choose())) as session:
        expected = session.segment([SAID, "the orange cup"])
    found = Prediction.load(masks)
    assert [result.query for result in found.results] == [SAID, "the orange cup"]
    assert all(np.array_equal(found.masks(i), expected.masks(i)) for i in range(3))
    assert open_source(overlay).num_frames == 3 and said.startswith(f"{SAID}: ")


@pytest.mark.parametrize(("content", "sentences"), [(None, SAID), ("clip", " \n"), ("clip", "x\n" * 5), ("no video", SAID)])
def test_what_cannot_be_done_is_said_in_the_page(app, tmp_path, content, sentences):
    path = tmp_path / "clip.mp4"
    if content == "clip":
        write_drawn_clip(path, 1)
    elif content:
        path.write_text(content)
    with pytest.raises(app.gr.Error):
        app.find(str(path) if content else None, sentences)
