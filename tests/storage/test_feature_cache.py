"""The budget of a feature cache."""

import torch

from saymask.storage.feature_cache import FeatureCache


def test_feature_cache_keeps_the_first_that_fit_and_no_whole_chunk():
    cache = FeatureCache(budget_bytes=100)
    chunk = torch.zeros(4, 10)  # 40 bytes a row
    for i, row in enumerate(chunk):
        cache.offer(i, row)
    assert [i for i in range(4) if i in cache] == [0, 1]
    assert cache.used_bytes == 80
    assert cache.get(0).untyped_storage().nbytes() == 40


def test_several_tensors_of_a_frame_are_kept_together_or_not_at_all():
    cache: FeatureCache[tuple[torch.Tensor, ...]] = FeatureCache(budget_bytes=100)
    small, large = torch.arange(5.0), torch.arange(10.0)  # 20 and 40 bytes
    cache.offer(0, (small, large))
    cache.offer(1, (small, large))
    assert 0 in cache and 1 not in cache
    assert cache.used_bytes == 60
    assert [kept.tolist() for kept in cache.get(0)] == [small.tolist(), large.tolist()]
