"""What a plan says of a debug-sized model: products, memory and seconds worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saymask.benchmark import expectation
from saymask.benchmark.expectation import Asked, expect
from saymask.benchmark.machine_speed import MachineSpeed
from saymask.benchmark.plan_text import as_json, as_text, duration
from saymask.benchmark.trial import Tracked
from saymask.errors import ConfigError
from saymask.lookup import families
from saymask.models.described import DescribedModel
from saymask.models.videolisa.model import VideoLisaConfig
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.trackers.loading import load_tracker

VIDEO = Video.from_frames(np.zeros((10, 24, 32, 3), dtype=np.uint8))
FLOAT32 = Runtime("cpu", "float32")
ASKED = Asked(VIDEO, ["the red fish"], None, ["png"])
MODEL = DescribedModel("debug", families()["videolisa"], VideoLisaConfig.debug(), torch.float32, lambda text: len(text.split()))


@pytest.fixture
def speed(monkeypatch):
    """A machine that only multiplies: a million operations a second."""
    speed = MachineSpeed(product_flops=1e6, bytes_per_second=float("inf"), call_seconds=0.0)
    monkeypatch.setattr(MachineSpeed, "measure", classmethod(lambda cls, device, dtype: speed))


def plan(asked=ASKED, tracker=None, runtime=FLOAT32):
    return expect(MODEL, asked, runtime, tracker, start_seconds=2.0, used_bytes=1000)


def tower_flops() -> int:
    """Of one frame: 16 x 16 pixels in 4 patches of 8 x 8, and the class token; two layers of width 16; a projector to width 32."""
    patches = 2 * 4 * (3 * 8 * 8) * 16
    layer = 4 * (2 * 5 * 16 * 16) + 2 * (2 * 5 * 5 * 16) + 2 * (2 * 5 * 16 * 16)
    projector = 2 * 4 * 16 * 32 + 2 * 4 * 32 * 32
    return patches + 2 * layer + projector


def test_products_of_the_vision_tower_and_the_seconds_that_they_take(speed):
    expected = plan()
    assert expected.flops["vision_tower"] == 4 * tower_flops()
    seconds = 4 * tower_flops() / 1e6 / expectation.EFFICIENCY["vision_tower"]
    assert expected.seconds["vision_tower"] == pytest.approx(seconds)


def test_every_frame_is_encoded_whether_chunks_are_full_or_not(speed):
    twenty = Video.from_frames(np.zeros((20, 24, 32, 3), dtype=np.uint8))
    small, large = plan().flops, plan(replace(ASKED, video=twenty)).flops
    assert large["image_encoder"] == 2 * small["image_encoder"] > 0
    assert large["vision_tower"] == small["vision_tower"]


def test_memory_is_weights_and_features_and_what_works_on_them(speed):
    expected = plan()
    num_values = sum(parameter.numel() for parameter in MODEL.family.load("model")(MODEL.config).parameters())
    assert expected.nbytes["weights"] == 4 * num_values
    assert expected.nbytes["kept"] == 10 * (16 * 4 * 4) * 4  # 16 channels of 32 / 8 squared cells
    assert (expected.nbytes["libraries"], expected.nbytes["tracker"]) == (1000, 0)
    assert expected.total_bytes == sum(expected.nbytes.values()) and expected.nbytes["working"] > 0
    halves = plan(runtime=Runtime("cpu", "bfloat16")).nbytes
    assert (halves["weights"], halves["kept"]) == (2 * num_values, expected.nbytes["kept"] / 2)


def test_only_reference_frames_are_encoded_where_a_tracker_follows(speed, monkeypatch):
    monkeypatch.setattr(
        expectation.trial, "track", lambda tracker, video, num_frames: Tracked(first_seconds=0.25, next_seconds=0.125, nbytes=77)
    )
    asked = replace(ASKED, queries=["the red fish", "the blue key"])
    tracked, own = plan(asked, load_tracker("hold", Runtime("cpu"))), plan(asked)
    assert tracked.flops["image_encoder"] * 5 == own.flops["image_encoder"]  # 2 dense frames of 10
    assert tracked.seconds["tracker"] == (0.25 + 0.125) * 10
    assert (tracked.seconds["masks"], own.seconds["tracker"], tracked.nbytes["tracker"]) == (0.0, 0.0, 77)


def test_a_dtype_whose_speed_nobody_knows_beforehand_is_refused(speed):
    with pytest.raises(ConfigError, match=r"int8.*float32"):
        plan(runtime=Runtime("cpu", "int8"))


def test_json_and_table_say_the_same(speed):
    expected = plan()
    values, lines = as_json(expected), as_text(expected).splitlines()
    assert values["seconds"]["total"] == pytest.approx(sum(expected.seconds.values()))
    assert values["bytes"]["total"] == expected.total_bytes
    assert (values["model"], values["answer"], values["encoded_frames"]) == ("debug", "forced", 10)
    shown = {line[:16].strip(): line[16:].split() for line in lines}
    assert shown["start up"][:2] == ["2.00", "s"]
    assert "tracker" not in shown or shown["tracker"][-1] == "GiB"
    assert shown["in all"][:2] == duration(expected.total_seconds).split()


@pytest.mark.parametrize("seconds, text", [(0.254, "0.25 s"), (12.3, "12 s"), (119, "119 s"), (210, "3.5 min"), (7560, "2.1 h")])
def test_durations_are_said_in_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text
