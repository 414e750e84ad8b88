"""Sampling equals the published sampler on its recorded cases, and keeps its promises where there are none."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from saymask.video.sampling import jittered, jittered_at_test_slots, refer_clip, refer_sparse_dense, sparse_dense, uniform

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/videolisa/sampling.json").read_text())
TRAINING_CLIPS = GOLDEN["training_examples"]["ref_ytvos_sampler"]


@pytest.mark.parametrize("case", [case for case in GOLDEN["cases"] if case["dense_valid_for_gather"]])
def test_sparse_dense_equals_the_published_sampler(case):
    chosen = sparse_dense(case["total_frames"], case["num_frames_sparse"], case["num_frames_dense"])
    assert chosen.sparse_frame_idx.tolist() == case["sparse"]
    assert chosen.dense_slots.tolist() == case["dense"]
    assert chosen.dense_frame_idx.tolist() == case["dense_frame_ids"]


@pytest.mark.parametrize("case", [case for case in GOLDEN["cases"] if not case["dense_valid_for_gather"]])
def test_where_the_published_sampler_points_before_the_first_slot_ours_says_so(case):
    S, D = case["num_frames_sparse"], case["num_frames_dense"]
    with pytest.raises(ValueError) as error:
        sparse_dense(case["total_frames"], S, D)
    assert str(error.value) == f"cannot choose D={D} dense among S={S} sparse frames; D must be at least 1 and less than S"
    assert uniform(case["total_frames"], S).tolist() == case["sparse"]


@pytest.mark.parametrize("case", GOLDEN["uniform_sample"])
def test_uniform_equals_the_published_rule(case):
    assert uniform(case["total_len"], case["sample_num"]).tolist() == case["out"]


@pytest.mark.parametrize("clip", TRAINING_CLIPS, ids=lambda clip: f"{clip['vid_len']}-{clip['start_frame_id']}-{clip['seed']}")
def test_refer_clip_draws_the_published_training_clips(clip):
    rng = random.Random(clip["seed"])
    assert refer_clip(clip["vid_len"], clip["start_frame_id"], clip["num_frames"], rng).tolist() == clip["frames_idx"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uniform(0, 4), "cannot sample from a video of 0 frames"),
        (lambda: uniform(5, -1), "cannot sample -1 frames; ask for 0 or more"),
        (lambda: sparse_dense(0, 32, 4), "cannot sample from a video of 0 frames"),
        (lambda: sparse_dense(9, 32, 0), "cannot choose D=0 dense among S=32 sparse frames; D must be at least 1 and less than S"),
        (lambda: jittered(0, 8, 2, np.random.default_rng(0)), "cannot sample from a video of 0 frames"),
        (
            lambda: jittered(9, 4, 4, np.random.default_rng(0)),
            "cannot choose D=4 dense among S=4 sparse frames; D must be at least 1 and less than S",
        ),
        (lambda: refer_clip(5, 5, 8, random.Random(0)), "start frame 5 is outside a video of 5 frames"),
        (lambda: refer_clip(5, 0, 2, random.Random(0)), "a training clip has at least 3 frames, asked for 2"),
    ],
)
def test_impossible_requests_name_the_numbers(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize("num_frames", [16, 24, 100])
def test_jittered_takes_one_frame_per_interval_and_reaches_all_of_them(num_frames):
    rng = np.random.default_rng(0)
    draws = [jittered(num_frames, 8, 3, rng) for _ in range(600)]
    lower = [i * num_frames // 8 for i in range(8)]
    upper = [-(-(i + 1) * num_frames // 8) for i in range(8)]
    for chosen in draws:
        assert all(low <= frame < high for low, frame, high in zip(lower, chosen.sparse_frame_idx, upper, strict=True))
        assert len(chosen.dense_slots) == 3 and (np.diff(chosen.dense_slots) > 0).all()
    assert {int(frame) for chosen in draws for frame in chosen.sparse_frame_idx} == set(range(num_frames))
    assert {int(slot) for chosen in draws for slot in chosen.dense_slots} == set(range(8))


def test_jittered_repeats_the_frames_of_a_short_video_and_depends_on_the_generator_alone():
    one, same, other = (jittered(3, 8, 2, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert set(one.sparse_frame_idx.tolist()) == {0, 1, 2}
    assert np.array_equal(one.sparse_frame_idx, same.sparse_frame_idx) and np.array_equal(one.dense_slots, same.dense_slots)
    assert one.dense_slots.tolist() != other.dense_slots.tolist() or one.sparse_frame_idx.tolist() != other.sparse_frame_idx.tolist()


def test_jittered_at_test_slots_has_the_frames_of_one_and_the_slots_of_the_other():
    chosen = jittered_at_test_slots(100, 32, 4, np.random.default_rng(3))
    assert chosen.sparse_frame_idx.tolist() == jittered(100, 32, 4, np.random.default_rng(3)).sparse_frame_idx.tolist()
    assert chosen.dense_slots.tolist() == [3, 10, 18, 26]


def test_refer_sparse_dense_starts_at_every_32nd_frame_and_keeps_its_neighbours():
    rng, starts = np.random.default_rng(0), set()
    for _ in range(200):
        chosen = refer_sparse_dense(100, 8, 2, rng)
        frames = chosen.sparse_frame_idx
        assert len(frames) == 8 and (np.diff(frames) >= 0).all()
        near = {start for start in (0, 32, 64, 96) if (abs(frames - start) <= 3).sum() >= 3 and start in frames}
        assert near
        starts |= near
        assert len(set(chosen.dense_slots.tolist())) == 2 and 0 <= chosen.dense_slots.min() < chosen.dense_slots.max() < 8
    assert starts == {0, 32, 64, 96}


@pytest.mark.parametrize(("num_frames", "num_starts"), GOLDEN["training_examples"]["metas_per_video_length_T32"].items())
def test_a_video_has_as_many_start_frames_as_in_the_published_training(num_frames, num_starts):
    """Clips of three frames: a start frame and one on each side of it."""
    rng = np.random.default_rng(0)
    clips = [set(refer_sparse_dense(int(num_frames), 3, 1, rng).sparse_frame_idx.tolist()) for _ in range(60)]
    starts = range(0, int(num_frames), 32)
    assert len(starts) == num_starts
    assert all(any(start in clip for start in starts) for clip in clips)
    assert {start for start in starts for clip in clips if start in clip} == set(starts)


def test_refer_sparse_dense_repeats_the_frame_of_an_image():
    chosen = refer_sparse_dense(1, 32, 4, np.random.default_rng(0))
    assert chosen.sparse_frame_idx.tolist() == [0] * 32
    assert len(chosen.dense_slots) == 4


def test_refer_sparse_dense_is_a_function_of_the_generator():
    first, again, other = (refer_sparse_dense(90, 16, 4, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.sparse_frame_idx.tolist() == again.sparse_frame_idx.tolist() != other.sparse_frame_idx.tolist()
    assert first.dense_slots.tolist() == again.dense_slots.tolist()
