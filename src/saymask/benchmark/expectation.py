"""What a call will take, in seconds and bytes, before any weight is loaded: `saymask plan`.

configuration ─ network on the meta device ─ each part runs once ─ operations ─┐
queries, frames ─ the family's workload ─ how often ───────────────────────────┼─ seconds, bytes per stage
this machine ─ matrix product, memory, calls; decoding, tracking, writing ─────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saymask.benchmark import trial
from saymask.benchmark.costs import Cost, counting
from saymask.benchmark.machine_speed import MachineSpeed
from saymask.errors import ConfigError
from saymask.models.described import DescribedModel
from saymask.models.parts.pixels import PixelProcessor
from saymask.models.workload import Reading, Workload
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session.view import BUDGET_BYTES, CHUNK_BYTES, CHUNK_FRAMES
from saymask.storage.computing_dtype import quickest_that_fits
from saymask.storage.feature_cache import MAX_FRAMES
from saymask.trackers.base import Tracker

STAGES = ("start_up", "read", "vision_tower", "language_model", "image_encoder", "mask_decoder", "tracker", "masks", "writing")
"""As of `saymask bench`, with what comes before and after: imports and loading; formats. `read` is decoding the video."""

EFFICIENCY: Mapping[str, float] = {"vision_tower": 0.8, "language_model": 0.9, "image_encoder": 0.65, "mask_decoder": 0.45}
"""What share of the machine's measured speeds a stage of the network reaches: with 1 these were the ratios that `bench/plan.py` prints."""
CALLS = 2.0
"""How many of the measured calls one operation of a network costs, with the Python code around it; from the toy rows there."""
WEIGHT_PASSES = 35.0
"""How often the bytes of the weights could be read or written until they are loaded; from the middle row there."""
READS = 2
"""How often the video is decoded: for frames that lie all over it, which the language model sees, and then from its start to its end."""
WORKING = 2.5
"""How much memory is taken for each byte of results, by scratch space and by gaps between them; from the middle row there."""


@dataclass(frozen=True)
class Plan:
    """What is to be expected.

    Args:
        seconds: by stage, in the order of `STAGES`; decoding and writing go on beside the network where there is a second core.
        flops: of the products of each stage of the network.
        nbytes: "libraries" (this process before anything is loaded), "weights", "kept" (features of frames), "working" (results of the
            hungriest stage) and "tracker" (what trying it took).
        facts: what it rests on: model, dtype, counts and the machine's speeds, plain JSON.
    """

    seconds: Mapping[str, float]
    flops: Mapping[str, int]
    nbytes: Mapping[str, int]
    facts: Mapping[str, Any]

    @property
    def total_seconds(self) -> float:
        """One stage after the other."""
        return sum(self.seconds.values())

    @property
    def total_bytes(self) -> int:
        """At the peak."""
        return sum(self.nbytes.values())


@dataclass(frozen=True)
class Asked:
    """What is to be planned.

    Args:
        video, queries: as for a session.
        answer: "forced" or "generate"; None = the family's default.
        formats: what is written.
    """

    video: Video
    queries: Sequence[str]
    answer: str | None
    formats: Sequence[str]


def expect(model: DescribedModel, asked: Asked, runtime: Runtime, tracker: Tracker | None, start_seconds: float, used_bytes: int) -> Plan:
    """Work out what a call will take.

    Args:
        model: without weights.
        asked: the call.
        runtime: device and dtype.
        tracker: loaded, if one finds the masks between reference frames.
        start_seconds: what importing the libraries has taken.
        used_bytes: memory that they take.

    Raises:
        ConfigError: a dtype whose speed is not known beforehand.
    """
    if runtime.is_int8:
        raise ConfigError(f"dtype {runtime.dtype}: what its products take is not known beforehand; plan with --dtype float32")
    video = asked.video
    tracked = trial.track(tracker, trial.beginning(video), video.num_frames) if tracker else None
    answer = asked.answer or model.family.default_answer
    work = model.family.load("workload")(model.config, video.num_frames, asked.queries, answer, model.count_tokens)
    num_values = sum(parameter.numel() for parameter in model.build(torch.float32).parameters())
    dtype = runtime.torch_dtype or quickest_that_fits(runtime, model.stored_dtype, num_values)
    network = _Network(model, dtype, video)
    decoded_frames = video.num_frames if tracker is None else work.reference_frames
    costs = network.stages(work, decoded_frames)
    speed = MachineSpeed.measure(runtime.torch_device, dtype)
    seconds = dict.fromkeys(STAGES, 0.0)
    in_network = replace(speed, call_seconds=CALLS * speed.call_seconds)
    seconds |= {stage: sum(n * cost.seconds(in_network) for n, cost in parts) / EFFICIENCY[stage] for stage, parts in costs.items()}
    seconds["start_up"] = start_seconds + WEIGHT_PASSES * num_values * dtype.itemsize / speed.bytes_per_second
    seconds |= _tried(asked, network, work.objects, runtime.torch_device)
    if tracked:
        seconds |= {"tracker": tracked.seconds(len(asked.queries), video.num_frames), "masks": 0.0}
    kept = min(BUDGET_BYTES, min(decoded_frames, MAX_FRAMES) * network.feature_bytes)
    working = round(WORKING * max(cost.peak_bytes for parts in costs.values() for _, cost in parts))
    return Plan(
        seconds,
        {stage: sum(n * cost.flops for n, cost in parts) for stage, parts in costs.items()},
        {
            "libraries": used_bytes,
            "weights": num_values * dtype.itemsize,
            "kept": kept,
            "working": working,
            "tracker": tracked.nbytes if tracked else 0,
        },
        {
            "model": model.name,
            "video": {"frames": video.num_frames, "height": video.height, "width": video.width},
            "queries": len(asked.queries),
            "answer": answer,
            "dtype": str(dtype).removeprefix("torch."),
            "device": runtime.device,
            "tracker": tracker.name if tracker else None,
            "tower_frames": work.tower_frames,
            "encoded_frames": decoded_frames,
            "tokens": sum(reading.rows * reading.tokens * reading.times for reading in work.readings),
            "parameters": num_values,
            "product_gflops": speed.product_flops / 1e9,
            "memory_gb_per_second": speed.bytes_per_second / 1e9,
            "call_microseconds": speed.call_seconds * 1e6,
            "threads": torch.get_num_threads(),
        },
    )


def _tried(asked: Asked, network: _Network, num_objects: int, device: torch.device) -> dict[str, float]:
    """Seconds of what needs neither the model nor a tracker, if the model's own masks are those of all frames."""
    video, first = asked.video, trial.beginning(asked.video)
    geometry = network.pixels.geometry(video.height, video.width)
    return {
        "read": READS * trial.decoding_seconds(video) * video.num_frames,
        "masks": trial.mask_seconds(geometry, network.mask_side, num_objects, device) * video.num_frames,
        "writing": trial.writing_seconds(first, asked.formats, asked.queries, video.num_frames),
    }


class _Pixels(PixelProcessor):
    """Pixels for the encoders of a configuration, without a tokenizer."""

    def __init__(self, config: Any):
        self.config = config


Parts = list[tuple[int, Cost]]
"""How often, and what it costs each time."""


class _Network:
    """A model's network on the meta device, whose parts are counted for one video."""

    def __init__(self, model: DescribedModel, dtype: torch.dtype, video: Video):
        self.pixels = _Pixels(model.config)
        self._model = model.build(dtype)
        self._dtype = dtype
        self._video = video
        side, patch = model.config.mask_size
        self._grid = side // patch

    @property
    def mask_side(self) -> int:
        """Of the decoder's logits, four times finer than the features."""
        return 4 * self._grid

    @property
    def feature_bytes(self) -> int:
        """Of a frame's features."""
        return self._model.mask_head.channels * self._grid**2 * self._dtype.itemsize

    def stages(self, work: Workload, decoded_frames: int) -> dict[str, Parts]:
        """What each stage runs, and how often."""
        frame_bytes = 3 * self._video.height * self._video.width
        chunk = max(1, min(CHUNK_FRAMES, CHUNK_BYTES // frame_bytes))
        at_once = min(chunk, work.frames_at_once or chunk)
        return {
            "vision_tower": _in_chunks(work.tower_frames, chunk, self._see),
            "language_model": [(reading.times, self._read(reading)) for reading in work.readings],
            "image_encoder": _in_chunks(decoded_frames, at_once, self._encode),
            "mask_decoder": _in_chunks(decoded_frames, at_once, lambda frames: self._decode(frames, work.objects)),
        }

    def _frames(self, count: int) -> np.ndarray:
        return np.zeros((count, self._video.height, self._video.width, 3), dtype=np.uint8)

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, device="meta", dtype=self._dtype)

    def _see(self, count: int) -> Cost:
        frames_THWC = self._frames(count)
        with counting() as counted:
            self._model.visual(self.pixels.tower_pixels(frames_THWC, "meta").to(self._dtype))
        return counted.cost

    def _read(self, reading: Reading) -> Cost:
        language, width = self._model.language_model, self._model.config.text_config.hidden_size
        with torch.inference_mode():
            before = self._model.read_embedded_prefix(self._empty(1, reading.past, width)) if reading.past else None
        with counting() as counted:
            embeds_BJE = self._empty(reading.rows, reading.tokens, width)
            if before is None:
                self._model.read_embedded_prefix(embeds_BJE)
            else:
                hidden_BJE, _ = self._model.read_embedded_suffix(before, embeds_BJE)
                if reading.written:
                    language.lm_head(hidden_BJE[:, -1])
        return counted.cost

    def _encode(self, count: int) -> Cost:
        frames_THWC = self._frames(count)
        with counting() as counted:
            pixels_TChw, _ = self.pixels.mask_pixels(frames_THWC, "meta")
            self._model.mask_head.encode(pixels_TChw.to(self._dtype))
        return counted.cost

    def _decode(self, count: int, num_objects: int) -> Cost:
        channels = self._model.mask_head.channels
        features_TChw, prompts_TN1C = self._empty(count, channels, self._grid, self._grid), self._empty(count, num_objects, 1, channels)
        with counting() as counted:
            self._model.mask_head.decode(features_TChw, prompts_TN1C)
        return counted.cost


def _in_chunks(num_frames: int, chunk: int, cost_of: Callable[[int], Cost]) -> Parts:
    """So many frames, at most so many at once."""
    full, rest = divmod(num_frames, chunk)
    return [(times, cost_of(count)) for times, count in ((full, chunk), (1, rest)) if times and count]
