"""XMem as a task: which frames and things make a clip, and that a clip is what the drawn scenes say."""

import numpy as np
import pytest
import torch

from saymask.errors import ConfigError
from saymask.recipes.xmem import xmem_toy
from saymask.toyworld.dataset import FAMILIES, draw_scenes, render
from saymask.trackers.xmem.frames import normalise
from saymask.training.tasks.xmem_toy import choose_objects, clip_frames
from saymask.training.tasks.xmem_toy_config import ClipConfig

TINY = ["batch_size=3", "data.size=64", "data.crop=48", "data.min_pixels=10"]


@pytest.mark.parametrize(("progress", "largest"), [(0, 1), (0.125, 2), (0.25, 3), (0.5, 5), (1, 5)])
def test_the_gaps_of_a_clip_grow_to_their_bound_over_half_the_run(progress, largest):
    data, rng = ClipConfig(num_frames=4, max_gap=5), np.random.default_rng(0)
    gaps, ways, covered = set(), set(), set()
    for _ in range(500):
        frame_idx = clip_frames(data, progress, rng)
        gaps |= set(np.abs(np.diff(frame_idx)).tolist())
        ways.add(tuple(np.unique(np.sign(np.diff(frame_idx)))))
        covered |= set(frame_idx.tolist())
    assert gaps == set(range(1, largest + 1))
    assert ways == {(1,), (-1,)}, "a clip runs forwards or backwards, and does not turn round"
    assert covered == set(range(24))


def test_only_things_seen_well_enough_are_followed_and_none_twice():
    ids_HW = torch.zeros(10, 10, dtype=torch.uint8)
    ids_HW[0, :4], ids_HW[1], ids_HW[2, :5], ids_HW[3:5] = 1, 2, 3, 4
    rng = np.random.default_rng(0)
    draws = [choose_objects(ids_HW, num_objects=2, min_pixels=5, rng=rng).tolist() for _ in range(100)]
    assert {tuple(sorted(draw)) for draw in draws} == {(2, 3), (2, 4), (3, 4)}
    assert sorted(choose_objects(ids_HW, num_objects=4, min_pixels=5, rng=rng).tolist()) == [2, 3, 4, 255]
    assert choose_objects(torch.zeros_like(ids_HW), num_objects=1, min_pixels=1, rng=rng).tolist() == [255]


def test_a_batch_is_a_function_of_seed_and_step():
    batches, other_seed = (xmem_toy().override([*TINY, f"seed={seed}"]).task().batches for seed in (0, 1))
    first, again, next_step, elsewhere = batches[1], batches[1], batches[2], other_seed[1]
    assert all(torch.equal(first[name], again[name]) for name in ("frames_BTChw", "masks_BTNHW", "valid_BN"))
    assert not torch.equal(first["frames_BTChw"], next_step["frames_BTChw"])
    assert not torch.equal(first["frames_BTChw"], elsewhere["frames_BTChw"])


def find_crop(images_T3HW, crop_3hw) -> tuple[int, int, int]:
    """Frame, top and left of the place that holds exactly these pixels."""
    _, h, w = crop_3hw.shape
    corners_Tyx = (images_T3HW[:, :, : 1 - h, : 1 - w] == crop_3hw[:, :1, :1]).all(1)
    for t, top, left in corners_Tyx.nonzero().tolist():
        if torch.equal(images_T3HW[t, :, top : top + h, left : left + w], crop_3hw):
            return t, top, left
    raise AssertionError("the crop is nowhere in the video")


@pytest.mark.parametrize("step", [5, 6, 7])
def test_a_clip_is_a_part_of_its_drawn_scene_and_its_masks_are_things_of_it(step):
    config = xmem_toy().override([*TINY, "model.short_side=null"])
    batch = config.task().batches[step]
    assert torch.equal(batch["valid_BN"], batch["masks_BTNHW"][:, 0].flatten(2).any(2))
    scenes = draw_scenes(config.seed, step, 0, 3, dict.fromkeys(FAMILIES, 1.0))
    frames_BTHWC, ids_BTHW = render(scenes, range(24), 64)
    for b in range(3):
        images_T3HW = normalise(frames_BTHWC[b])
        places = [find_crop(images_T3HW, image) for image in batch["frames_BTChw"][b]]
        ids_Thw = torch.stack([ids_BTHW[b, t, top : top + 48, left : left + 48] for t, top, left in places])
        followed_TNhw = batch["masks_BTNHW"][b][:, batch["valid_BN"][b]].bool()
        assert followed_TNhw.shape[1] >= 1
        for n in range(followed_TNhw.shape[1]):
            (thing,) = ids_Thw[0][followed_TNhw[0, n]].unique()
            assert thing > 0
            assert torch.equal(followed_TNhw[:, n], ids_Thw == thing)


def test_a_crop_is_enlarged_as_a_whole_frame_would_be():
    batch = xmem_toy().override([*TINY, "model.short_side=128"]).task().batches[0]
    assert batch["frames_BTChw"].shape == (3, 4, 3, 96, 96)
    assert batch["masks_BTNHW"].shape[:2] + batch["masks_BTNHW"].shape[3:] == (3, 4, 96, 96)
    assert set(batch["masks_BTNHW"].unique().tolist()) == {0, 1}


def test_the_share_of_pixels_follows_the_run():
    batches = xmem_toy().override([*TINY, "steps=10"]).task().batches
    assert [batches[step]["bce_keep_share"] for step in (0, 2, 8)] == pytest.approx([1, 1, 0.15])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.max_gap=8", "data: 4 frames up to 8 apart span 25 frames, a drawn video has 24"),
        (
            "model.key_encoder_depths=[1]",
            "no network can be built from these numbers (key_encoder_depths = [1] must be three numbers of blocks, each at least 1); "
            "check the model.* overrides",
        ),
    ],
)
def test_numbers_that_cannot_work_are_refused(override, message):
    with pytest.raises(ConfigError) as caught:
        xmem_toy().override([*TINY, override]).task()
    assert str(caught.value) == message
