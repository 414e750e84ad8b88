"""Sizes, padding and resizing as published; every frame of a video is encoded once and read in blocks."""

import json

import numpy as np
import pytest
import torch

from saymask.records import Video
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.frames import EncodedFrames, Placement, normalise
from saymask.trackers.xmem.network import XMemNetwork

H, W = 20, 36


@pytest.fixture(scope="module")
def network() -> XMemNetwork:
    torch.manual_seed(0)
    return XMemNetwork(XMemConfig.debug()).eval().requires_grad_(False)


def recording(num_frames: int) -> tuple[Video, list[list[int]]]:
    """A video of noise and the list of what was read from it."""
    source = Video.from_frames(np.random.default_rng(0).integers(0, 256, (num_frames, H, W, 3), np.uint8))
    reads: list[list[int]] = []

    def read(frame_idx):
        reads.append(list(frame_idx))
        return source.read(frame_idx)

    return Video("noise", "memory", H, W, source.timestamps_T, source.duration, read, source.frame_names), reads


def encoded(frames: EncodedFrames, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for every frame that is encoded from now on."""
    calls: list[None] = []
    encode_key = frames._network.encode_key

    def counted(image):
        calls.append(None)
        return encode_key(image)

    monkeypatch.setattr(frames._network, "encode_key", counted)
    return calls


def test_padding_equals_the_published_one(golden):
    cases = json.loads((golden / "units" / "padding.json").read_text())
    assert len(cases) > 5
    for case in cases:
        placement = Placement.of(*case["hw"], None)
        assert list(placement.padding) == case["pad_left_right_top_bottom"], case
        assert list(placement.images(torch.zeros(1, *case["hw"], 3, dtype=torch.uint8)).shape[2:]) == case["padded"]


def test_sizes_equal_those_of_published_images(golden):
    """The published masks come out a column narrower now and then; ours lie on the image."""
    table = json.loads((golden / "units" / "resize_sizes.json").read_text())
    assert len(table["table"]) > 20
    for case in table["table"]:
        assert list(Placement.of(*case["hw"], table["size"]).resized_size) == case["image"] == case["mask"]
    for width in table["widths_where_a_480_high_mask_changes_size"]:
        assert Placement.of(480, width, table["size"]).resized_size == (480, width)
    assert len(table["examples_hw_image_mask"]) == table["number_of_mismatches"]
    for height, width, image, mask in table["examples_hw_image_mask"]:
        assert list(Placement.of(height, width, table["size"]).resized_size) == image != mask


@pytest.mark.parametrize("case", [0, 1, 2], ids=["up", "down, upright", "far up"])
def test_resizing_equals_the_published_one(golden, case):
    arrays = np.load(golden / "units" / "resize.npz")
    image = torch.from_numpy(arrays[f"image{case}"])
    placement = Placement.of(*image.shape[:2], int(arrays[f"mask{case}_size"]))
    left, _, top, _ = placement.padding
    height, width = placement.resized_size
    inner = (..., slice(top, top + height), slice(left, left + width))
    assert np.allclose(placement.images(image[None])[0][inner], arrays[f"image{case}_resized"], atol=1e-5)
    assert np.array_equal(placement.masks(torch.from_numpy(arrays[f"mask{case}"]))[inner], arrays[f"mask{case}_resized"])
    padded_KHW = torch.nn.functional.pad(torch.from_numpy(arrays[f"prob{case}"]), placement.padding, value=7.0)
    assert np.allclose(placement.undo(padded_KHW), arrays[f"prob{case}_resized"], atol=1e-6)


def test_soft_masks_stay_soft_and_bool_masks_become_numbers():
    placement = Placement.of(16, 16, 32)
    assert placement.masks(torch.full((1, 16, 16), 0.25)).unique().tolist() == [0.25]
    assert placement.masks(torch.ones(1, 16, 16, dtype=torch.bool)).dtype == torch.float32


def test_normalised_images_are_rgb():
    frames = torch.tensor([255, 0, 0], dtype=torch.uint8).expand(1, 2, 2, 3)
    assert normalise(frames)[0, :, 0, 0].tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])


def test_frames_are_read_eight_at_a_time_and_come_in_the_order_asked(network):
    video, reads = recording(20)
    frames = EncodedFrames(network, video, budget_bytes=0)
    for frame_idx, frame in zip(range(19, -1, -1), frames.walk(range(19, -1, -1)), strict=True):
        alone = frames.placement.images(torch.from_numpy(video.read([frame_idx])))
        reads.pop()
        assert torch.equal(frame.image_13HW, alone)
    assert reads == [list(range(19, 11, -1)), list(range(11, 3, -1)), [3, 2, 1, 0]]


def test_walks_side_by_side_encode_each_frame_once_without_any_budget(network, monkeypatch):
    video, reads = recording(10)
    frames = EncodedFrames(network, video, budget_bytes=0)
    calls = encoded(frames, monkeypatch)
    for first, second, third in zip(*(frames.walk(range(10)) for _ in range(3)), strict=True):
        assert first is second is third
    assert len(calls) == 10
    assert reads == [list(range(8)), [8, 9]]


def test_a_second_walk_uses_what_the_budget_kept(network, monkeypatch):
    video, reads = recording(6)
    frames = EncodedFrames(network, video, budget_bytes=2**30)
    calls = encoded(frames, monkeypatch)
    first = list(frames.walk([4, 1]))
    assert frames._cache.budget.used == 2 * sum(tensor.nbytes for tensor in (first[0].image_13HW, *first[0].key.tensors))
    again = list(frames.walk(range(6)))
    assert len(calls) == 6
    assert reads == [[4, 1], [0, 2, 3, 5]]
    for kept, frame in zip(first, (again[4], again[1]), strict=True):
        assert torch.equal(kept.image_13HW, frame.image_13HW)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(kept.key.tensors, frame.key.tensors, strict=True))


def test_a_full_budget_keeps_the_first_frames(network, monkeypatch):
    video, _ = recording(5)
    size = EncodedFrames(network, video, budget_bytes=2**30)
    next(size.walk([0]))
    frames = EncodedFrames(network, video, budget_bytes=2 * size._cache.budget.used)
    calls = encoded(frames, monkeypatch)
    list(frames.walk(range(5)))
    list(frames.walk(range(5)))
    assert len(calls) == 5 + 3
