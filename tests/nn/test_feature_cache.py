"""The budget of a feature cache."""

import torch

from saymask.nn.feature_cache import FeatureCache


def test_feature_cache_keeps_the_first_that_fit_and_no_whole_chunk():
    cache = FeatureCache(budget_bytes=100)
    chunk = torch.zeros(4, 10)  # 40 bytes a row
    for i, row in enumerate(chunk):
        cache.offer(i, row)
    assert [i for i in range(4) if i in cache] == [0, 1]
    assert cache.used_bytes == 80
    assert cache.get(0).untyped_storage().nbytes() == 40
