"""The naive structure: on the target frame it gives the session's mask, and it reads a chat for every query and frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scripted_visa import Script, bright_after, debug_segmenter

from saymask.benchmark.stopwatch import Stopwatch
from saymask.models.visa.naive import naive_masks
from saymask.session import VideoSession
from saymask.trackers.loading import load_tracker

QUERIES = ["the red fish", "Where is the apple?"]


def naive(video, segmenter, queries=QUERIES) -> list[np.ndarray]:
    return naive_masks(video, segmenter, queries, Stopwatch(torch.device("cpu")).stage)


@pytest.mark.parametrize("target", [0, 4, 6])
def test_the_target_s_mask_is_the_session_s(target):
    segmenter, video = debug_segmenter(), bright_after(3, 7)
    expected = naive(video, segmenter)
    options = {"answer": "forced", "scorer": "oracle", "target_frame": target, "context": "strided"}
    with VideoSession(video, segmenter, load_tracker("hold")) as session:
        results = session.segment(QUERIES, **options).results
    for masks_THW, result in zip(expected, results, strict=True):
        assert 0 < masks_THW[target].sum() < masks_THW[target].size
        assert np.count_nonzero(result.mask(target) != masks_THW[target]) <= 2  # rounding at an edge


def test_a_chat_for_every_query_and_frame():
    segmenter, video = debug_segmenter(), bright_after(3, 7)
    script = Script(segmenter, [], "")
    naive(video, segmenter)
    assert len(script.passes) == 2 * 7
