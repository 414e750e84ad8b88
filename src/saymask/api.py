"""The calls most users need, with devices and dtypes said in one way: `device="cuda"`, `dtype="bfloat16"`, as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saymask.models import checkpoints
from saymask.models.base import Segmenter
from saymask.models.choice import AUTO, ModelForEach
from saymask.models.prompters.base import Prompter
from saymask.records import Prediction
from saymask.runtime import Runtime
from saymask.session import LiveSession, VideoSession
from saymask.session.live import ASK_EVERY
from saymask.trackers import loading
from saymask.trackers.base import Tracker
from saymask.video.limits import ReadLimits
from saymask.video.reader import open_source


def load_model(
    name_or_path: str | Path,
    device: str | None = None,
    dtype: str | None = None,
    vision_tower: str | Path | None = None,
    device_map: str | Mapping[str, str] | None = None,
    quantization_config: Any = None,
) -> Segmenter:
    """Load a model and place it.

    Args:
        name_or_path: a name of `saymask list`, a folder, a repository `owner/name` of the hub, or one of these and an adapter:
            "toy+path/to/adapter".
        device, dtype: as `--device`, `--dtype`; by default the best device present and the checkpoint's dtype.
        vision_tower: for released weights, the folder of their CLIP tower if it is not beside them.
        device_map: "auto", or layers of the language model -> devices, where it does not fit on one.
        quantization_config: one of transformers' (such as `BitsAndBytesConfig`), for the language model; needs CUDA.

    Raises:
        UnknownName, CheckpointError, ConfigError: there is no such model, its files do not fit, or the options cannot be met.
    """
    chosen = Runtime.choose(device, dtype)
    return checkpoints.load_model(name_or_path, Runtime(chosen.device, dtype, device_map, quantization_config), vision_tower)


def load_tracker(name: str, device: str | None = None, dtype: str | None = None, weights: str | Path | None = None) -> Tracker:
    """Load a tracker and place it.

    Args:
        name: a tracker of `saymask list`.
        device, dtype: as for `load_model`.
        weights: a folder or file of weights instead of the tracker's own.

    Raises:
        UnknownName, CheckpointError, ConfigError: there is no such tracker, or its weights cannot be used.
    """
    return loading.load_tracker(name, Runtime.choose(device, dtype), weights)


def load_prompter(name: str, device: str | None = None, dtype: str | None = None, weights: str | Path | None = None) -> Prompter:
    """Load what turns clicks and boxes into masks, and place it.

    Args:
        name: a prompter of `saymask list`.
        device, dtype: as for `load_model`.
        weights: a folder of weights, or a repository of the hub, instead of the prompter's own.

    Raises:
        UnknownName, CheckpointError, ConfigError: there is no such prompter, or its weights cannot be used.
    """
    return _prompter(name, Runtime.choose(device, dtype), weights)


def open_video(
    source: str | Path,
    model: str | Path | Segmenter = AUTO,
    tracker: str | Tracker | None = None,
    device: str | None = None,
    dtype: str | None = None,
    limits: ReadLimits = ReadLimits(),  # noqa: B008 (frozen)
) -> VideoSession:
    """Open a video file, image or folder of frames for asking.

    Args:
        source: a file or a folder of frames.
        model: a name of `saymask list`, a model folder, or a loaded model; "auto" = the right one on this disk (`models.choice`).
        tracker: a name of `saymask list`, or a loaded tracker; None = the model's own masks, or its family's default tracker.
        device, dtype: as for `load_model`.
        limits: refuse longer videos or larger frames.

    Raises:
        VideoError, UnknownName, CheckpointError, ConfigError: the source, model, weights or options cannot be used.
    """
    video = open_source(source, limits)
    runtime = Runtime.choose(device, dtype)
    segmenter = ModelForEach(model, runtime).for_video(video) if isinstance(model, str | Path) else model
    if isinstance(tracker, str):
        tracker = loading.load_tracker(tracker, runtime)
    return VideoSession(video, segmenter, tracker, runtime=runtime)


def live(
    size: tuple[int, int],
    fps: float,
    model: str | Path | Segmenter,
    queries: str | Sequence[str] = (),
    tracker: str | Tracker | None = None,
    prompter: str | Prompter | None = None,
    ask_every: float | None = ASK_EVERY,
    past_seconds: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    **options: Any,
) -> LiveSession:
    """Open a session for frames that are pushed one by one: a camera, a player, a screen.

    Args:
        size: (height, width) of every frame.
        fps: frames per second, for frames pushed without a time.
        model: a name of `saymask list`, a model folder, or a loaded model.
        queries: what to find from the first frame on; more can be added at any time.
        tracker: a name of `saymask list`, or a loaded tracker: what carries objects between answers (see `LiveSession`).
        prompter: a name of `saymask list`, or a loaded prompter, for clicks and boxes.
        ask_every, past_seconds: see `LiveSession`.
        device, dtype: as for `load_model`.
        options: of the model's family, as for `VideoSession.segment`.

    Raises:
        UnknownName, CheckpointError, ConfigError: the model, tracker, prompter or options cannot be used.
    """
    runtime = Runtime.choose(device, dtype)
    segmenter = load_model(model, device, dtype) if isinstance(model, str | Path) else model
    if isinstance(tracker, str):
        tracker = loading.load_tracker(tracker, runtime)
    if isinstance(prompter, str):
        prompter = _prompter(prompter, runtime)
    session = LiveSession(size, fps, segmenter, tracker, prompter, ask_every, past_seconds, runtime=runtime)
    if queries:
        session.add_queries([queries] if isinstance(queries, str) else list(queries), **options)
    return session


def segment(source: str | Path, queries: str | Sequence[str], model: str | Path | Segmenter = AUTO, **options: Any) -> Prediction:
    """Open, ask, close: masks on every frame for one query or several; options as for `VideoSession.segment`."""
    with open_video(source, model) as session:
        return session.segment(queries, **options)


def _prompter(name: str, runtime: Runtime, weights: str | Path | None = None) -> Prompter:
    from saymask.models.prompters.loading import load_prompter  # here, since most work needs no prompter

    return load_prompter(name, runtime, weights)
