"""The budget that several caches share: frames stay once they are in, recalled things make room for newer ones."""

from types import SimpleNamespace

import torch

from saymask.storage.feature_cache import BLOCK_BYTES, MAX_FRAMES, ByteBudget, FeatureCache, RecalledCache


def test_the_first_frames_that_fit_stay():
    cache = FeatureCache(budget := ByteBudget(100))
    chunk = torch.arange(40.0).view(4, 10)  # 40 bytes a row
    for i, row in enumerate(chunk):
        cache.offer(i, row)
    assert [i for i in range(4) if i in cache] == [0, 1]
    assert budget.used == 80
    chunk.zero_()
    assert cache.get(1)[0].tolist() == list(range(10, 20))  # a copy
    cache.clear()
    assert budget.used == 0 and 0 not in cache


def test_several_tensors_of_a_frame_are_kept_together_or_not_at_all():
    cache = FeatureCache(budget := ByteBudget(100))
    small, large = torch.arange(5.0), torch.arange(10.0)  # 20 and 40 bytes
    cache.offer(0, small, large)
    cache.offer(1, small, large)
    assert 0 in cache and 1 not in cache
    assert budget.used == 60
    assert [kept.tolist() for kept in cache.get(0)] == [small.tolist(), large.tolist()]


def test_frames_lie_in_few_blocks():
    cache = FeatureCache(ByteBudget(2 * BLOCK_BYTES))
    row_bytes = BLOCK_BYTES // 4
    for i in range(8):
        cache.offer(i, torch.full((row_bytes,), i, dtype=torch.uint8))
    assert len({cache.get(i)[0].untyped_storage().data_ptr() for i in range(8)}) == 2
    assert [int(cache.get(i)[0][-1]) for i in range(8)] == list(range(8))


def test_a_kept_tensor_has_the_layout_of_the_one_that_was_offered():
    features = torch.randn(2, 4, 3, 5).to(memory_format=torch.channels_last)
    cache = FeatureCache(ByteBudget(10_000))
    cache.offer(0, features)
    assert cache.get(0)[0].stride() == features.stride()
    assert torch.equal(cache.get(0)[0], features)


def test_of_a_long_video_the_first_frames_are_kept():
    cache = FeatureCache(ByteBudget(2**20))
    for i in range(MAX_FRAMES + 3):
        cache.offer(i, torch.zeros(1))
    assert MAX_FRAMES - 1 in cache and MAX_FRAMES not in cache


def test_frames_made_in_inference_mode_can_be_kept_from_outside_it():
    cache = FeatureCache(ByteBudget(100))
    with torch.inference_mode():
        cache.offer(0, torch.ones(2))
    cache.offer(1, torch.ones(2))
    assert cache.get(1)[0].tolist() == [1, 1]


def test_what_was_asked_for_longest_ago_makes_room_and_frames_do_not():
    budget = ByteBudget(100)
    frames, recalled = FeatureCache(budget), RecalledCache(budget)
    frames.offer(0, torch.zeros(5))
    made = []

    def make(key):
        return lambda: made.append(key) or SimpleNamespace(nbytes=40)

    for key in "aabacb":
        recalled.recall(key, make(key))
    assert made == ["a", "b", "c", "b"]  # "b" made room for "c", then "a" for "b"
    assert budget.used == 100
    recalled.recall("large", lambda: SimpleNamespace(nbytes=90))
    assert (budget.used, 0 in frames) == (20, True)
