"""Encoder inputs and post-processing equal the published preprocessing; the way back lands on the pixels it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saymask.video.transforms import (
    Geometry,
    _resize_bytes,
    _resize_rounded,
    for_mask_encoder,
    for_vision_tower,
    longest_side,
    stretched,
)

GOLDEN = np.load(Path(__file__).parents[1] / "golden/videolisa/preprocess.npz")
SAM_MEAN, SAM_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGES = range(3)
# One level of uint8, which two correct resize backends may differ by, after each normalisation.
SAM_LEVEL = 1 / min(SAM_STD) + 1e-5
CLIP_LEVEL = 1 / 255 / min(CLIP_STD) + 1e-5


def frame(i: int) -> torch.Tensor:
    return torch.from_numpy(GOLDEN[f"img{i}_uint8"])


def assert_nearly_equal(actual: torch.Tensor, expected: np.ndarray, level: float) -> None:
    """At most one level apart anywhere, and equal in 99 % of the places."""
    difference = np.abs(actual.numpy().astype(np.float64) - expected)
    assert difference.max() <= level
    assert (difference < 1e-5).mean() >= 0.99


@pytest.mark.parametrize("i", IMAGES)
@pytest.mark.parametrize("resize", [_resize_bytes, _resize_rounded])
def test_both_resize_paths_equal_pillow(i, resize):
    for size in (64, 1024):
        expected_size = tuple(GOLDEN[f"img{i}_sam{size}_resize_hw"].tolist())
        assert longest_side(*frame(i).shape[:2], size) == expected_size
        resized_HWC = resize(frame(i).permute(2, 0, 1)[None], expected_size, "bilinear")[0].permute(1, 2, 0)
        if size == 64:
            assert_nearly_equal(resized_HWC, GOLDEN[f"img{i}_sam64_resized_uint8"], 1)
        else:
            assert_nearly_equal(resized_HWC[::8, ::8], GOLDEN[f"img{i}_sam1024_resized_uint8_stride8"], 1)
            sums = resized_HWC.sum((0, 1), dtype=torch.int64).numpy()
            np.testing.assert_allclose(sums, GOLDEN[f"img{i}_sam1024_resized_sum_per_channel"], rtol=1e-5)


def test_both_resize_paths_agree_on_bicubic_noise():
    """Noise overshoots 0 and 255 everywhere, so clamping and rounding between the axes both show."""
    noise_BCHW = torch.randint(0, 256, (2, 3, 90, 120), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for size in ((45, 60), (130, 173)):
        ours, other = (resize(noise_BCHW, size, "bicubic").int() for resize in (_resize_bytes, _resize_rounded))
        assert (ours - other).abs().max() <= 2
        assert (ours != other).float().mean() < 0.02


@pytest.mark.parametrize("i", IMAGES)
def test_mask_encoder_input_equals_the_published_one(i):
    small, geometry = for_mask_encoder(frame(i), 64, SAM_MEAN, SAM_STD)
    assert_nearly_equal(small, GOLDEN[f"img{i}_sam64"], SAM_LEVEL)
    h, w = GOLDEN[f"img{i}_sam64_resize_hw"].tolist()
    assert geometry == Geometry(tuple(frame(i).shape[:2]), (h, w), (64, 64))
    assert (small[:, h:] == 0).all() and (small[:, :, w:] == 0).all()

    large, _ = for_mask_encoder(frame(i), 1024, SAM_MEAN, SAM_STD)
    assert_nearly_equal(large[:, ::16, ::16], GOLDEN[f"img{i}_sam1024_stride16"], SAM_LEVEL)
    values = large.double()
    stats = [values.sum(), values.abs().sum(), values.square().sum(), values.min(), values.max()]
    np.testing.assert_allclose(stats, GOLDEN[f"img{i}_sam1024_stats"], rtol=1e-5)


@pytest.mark.parametrize("i", IMAGES)
def test_vision_tower_input_equals_the_published_one(i):
    image = for_vision_tower(frame(i), 336, CLIP_MEAN, CLIP_STD)
    assert image.shape == (3, 336, 336)
    assert_nearly_equal(image[:, ::4, ::4], GOLDEN[f"img{i}_clip336_stride4"], CLIP_LEVEL)
    values, (total, *sizes) = image.double(), GOLDEN[f"img{i}_clip336_stats"]
    np.testing.assert_allclose([values.abs().sum(), values.square().sum(), values.min(), values.max()], sizes, rtol=1e-4)
    assert abs(values.sum() - total) <= 1e-4 * sizes[0]  # positive and negative values nearly cancel


@pytest.mark.parametrize("size", [64, 96, 1024])
def test_longest_side_equals_the_published_sizes_and_keeps_thin_images(size):
    published = GOLDEN[f"longest_side_out_hw_{size}"]
    ours = [longest_side(height, width, size) for height, width in GOLDEN["longest_side_in_hw"].tolist()]
    # The published rule rounds a very thin image to a side of 0 and then fails; ours keeps one pixel.
    np.testing.assert_array_equal(ours, np.maximum(published, 1))


@pytest.mark.parametrize("case", ["0", "1", "2", "3", "4", "5", "1024", "_bf16"])
def test_undo_equals_the_published_post_processing(case):
    stored = {"1024": "low_f16", "_bf16": "low_as_f32"}.get(case, "low")
    logits = torch.from_numpy(GOLDEN[f"post{case}_{stored}"])
    if case == "_bf16":
        logits = logits.bfloat16()
    side = 1024 if case == "1024" else 64
    sizes = (tuple(GOLDEN[f"post{case}_{which}_size"].tolist()) for which in ("original", "input"))
    restored = Geometry(*sizes, (side, side)).undo(logits)
    assert restored.dtype == torch.float32
    np.testing.assert_allclose(restored.numpy(), GOLDEN[f"post{case}_out"], atol=1e-5)


def test_leading_axes_are_one_batch():
    frames_BTHWC = torch.stack([frame(1), frame(1).flip(0), frame(1).flip(1), 255 - frame(1)]).unflatten(0, (2, 2))
    images, geometry = for_mask_encoder(frames_BTHWC, 64, SAM_MEAN, SAM_STD)
    tower = for_vision_tower(frames_BTHWC, 28, CLIP_MEAN, CLIP_STD)
    assert images.shape == (2, 2, 3, 64, 64) and tower.shape == (2, 2, 3, 28, 28)
    assert images.is_contiguous() and tower.is_contiguous()
    for b, t in ((0, 1), (1, 0), (1, 1)):
        assert torch.equal(images[b, t], for_mask_encoder(frames_BTHWC[b, t], 64, SAM_MEAN, SAM_STD)[0])
        assert torch.equal(tower[b, t], for_vision_tower(frames_BTHWC[b, t], 28, CLIP_MEAN, CLIP_STD))
    logits = torch.randn(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(geometry.undo(logits)[1, 0], geometry.undo(logits[1, 0]))


def test_undo_returns_a_mask_to_the_pixels_it_was_drawn_on():
    """A rectangle drawn in a wide frame comes back where it was: a swapped axis or a wrong crop would move it."""
    frames_THWC = torch.zeros(1, 60, 160, 3, dtype=torch.uint8)
    frames_THWC[:, 10:30, 100:140] = 255
    images, geometry = for_mask_encoder(frames_THWC, 64, (127.5,) * 3, (1.0,) * 3)
    restored = geometry.undo(images[:, :1])[0, 0] > 0
    drawn = frames_THWC[0, :, :, 0] > 0
    overlap = (restored & drawn).sum() / (restored | drawn).sum()
    assert overlap > 0.9


def test_frames_that_are_not_bytes_are_refused():
    with pytest.raises(TypeError, match=r"^frames must be uint8 in 0 … 255, got torch\.float32$"):
        for_vision_tower(torch.zeros(1, 8, 8, 3), 4, CLIP_MEAN, CLIP_STD)


@pytest.mark.parametrize("i", IMAGES)
@pytest.mark.parametrize("size", [64, 300])
def test_a_stretched_frame_equals_pillow(i, size):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    resized = np.asarray(Image.fromarray(frame(i).numpy()).resize((size, size), Image.Resampling.BILINEAR))
    expected = ((resized / 255 - mean) / std).transpose(2, 0, 1)
    assert_nearly_equal(stretched(frame(i), size, mean, std), expected, 1 / 255 / min(std) + 1e-5)
