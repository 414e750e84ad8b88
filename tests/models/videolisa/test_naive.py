"""The naive structure gives the session's masks, and is what it says: eager, frame by frame, everything again for every query."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from saymask.benchmark.stopwatch import Stopwatch
from saymask.models.checkpoints import load_model
from saymask.models.parts.eager_attention import eager_attention
from saymask.models.videolisa.naive import naive_masks
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.toyworld.dataset import load_toyworld

FAKE = runpy.run_path(str(Path(__file__).parents[3] / "bench/fake_release.py"))
DEMO_SCENE, QUESTIONS = 25, ["the yellow fish", "the green hammer"]


@pytest.fixture(scope="module")
def toy() -> VideoLisaSegmenter:
    return load_model("toy", Runtime("cpu", "float32"))


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> VideoLisaSegmenter:
    """Released layout, with windowed and global layers and relative positions; weights large enough for masks with edges."""
    small = FAKE["random_tensors"](3)
    out = tmp_path_factory.mktemp("release") / "it"
    folder, _ = FAKE["write_release"](out, *FAKE["SCALES"]["tiny"], lambda name, shape: 10 * small(name, shape))
    return load_model(folder, Runtime("cpu", "float32"))


def naive(video: Video, segmenter: VideoLisaSegmenter, queries: list[str]) -> list[np.ndarray]:
    return naive_masks(video, segmenter, queries, Stopwatch(torch.device("cpu")).stage)


def session(video: Video, segmenter: VideoLisaSegmenter, queries: list[str]) -> list[np.ndarray]:
    with VideoSession(video, segmenter) as opened:
        prediction = opened.segment(queries)
    return [np.stack([result.mask(t) for t in range(video.num_frames)]) for result in prediction.results]


def drawn() -> Video:
    return load_toyworld(None, "test")[DEMO_SCENE].video


def test_masks_are_those_of_a_session(toy):
    video = drawn()
    for ours_THW, naive_THW in zip(session(video, toy, QUESTIONS), naive(video, toy, QUESTIONS), strict=True):
        assert ours_THW.any(axis=(1, 2)).mean() > 0.5
        union = np.count_nonzero(ours_THW | naive_THW, axis=(1, 2))
        overlap = np.count_nonzero(ours_THW & naive_THW, axis=(1, 2))
        assert (overlap >= 0.99 * union).all()


def test_masks_are_those_of_a_session_in_the_released_layout(release):
    """Fewer frames than the language model sees, and more than a chunk; not square."""
    noise = np.random.default_rng(0).integers(0, 255, (11, 40, 70, 3), dtype=np.uint8)
    for num_frames in (3, 11):
        video = Video.from_frames(noise[:num_frames])
        ours = np.stack(session(video, release, ["the red fish", "the box"]))
        assert 0.1 < ours.mean() < 0.9
        assert np.mean(ours != np.stack(naive(video, release, ["the red fish", "the box"]))) < 1e-3


def test_everything_again_for_every_query_one_frame_at_a_time(toy, monkeypatch):
    video, calls = drawn(), []
    for name, part in {"tower": toy.model.visual, "language": toy.model.language_model.model}.items():
        forward = part.forward
        monkeypatch.setattr(part, "forward", lambda *args, forward=forward, name=name, **kw: (calls.append(name), forward(*args, **kw))[1])
    head = toy.model.mask_head
    for name in ("encode", "decode"):
        call = getattr(head, name)
        monkeypatch.setattr(head, name, lambda x, *more, call=call, name=name: (calls.append((name, len(x))), call(x, *more))[1])
    naive(video, toy, QUESTIONS)
    once = ["tower", "language", *[("encode", 1)] * video.num_frames, *[("decode", 1)] * video.num_frames]
    assert calls == once * 2


def test_no_layer_uses_fused_attention_and_afterwards_all_do_again(release, monkeypatch):
    def fused(*args, **kwargs):
        raise AssertionError("fused attention")

    video = Video.from_frames(np.zeros((2, 40, 64, 3), dtype=np.uint8))
    before = [type(layer.attn) for layer in release.model.mask_head.sam.vision_encoder.layers]
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", fused)
        naive(video, release, ["the red fish"])
        head = release.model.mask_head
        features = torch.zeros(1, head.channels, 4, 4)
        for use in (
            lambda: release.encode_vision(video.frames([0])),
            lambda: release.encode_image(video.frames([0])),
            lambda: head.decode(features, torch.zeros(1, 1, 1, head.channels)),
            lambda: release.model.language_model.model(inputs_embeds=torch.zeros(1, 3, release.config.text_config.hidden_size)),
        ):
            with pytest.raises(AssertionError, match="fused attention"):
                use()
    assert [type(layer.attn) for layer in release.model.mask_head.sam.vision_encoder.layers] == before


def test_attention_is_put_back_after_an_error(toy):
    with pytest.raises(KeyError), eager_attention(toy.model):
        assert toy.model.language_model.config._attn_implementation == "eager"
        raise KeyError
    assert toy.model.language_model.config._attn_implementation == "sdpa"
