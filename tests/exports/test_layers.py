"""Videos to be put over one another: the mask is in them pixel by pixel; frames, times and pixel aspect are the source's."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from PIL import Image

from saymask.errors import VideoError
from saymask.exports.encoder import VP9_ALPHA, write_video
from saymask.records import FramesInMemory, Masklet, Prediction, QueryResult, Rle, Video

HEIGHT, WIDTH = 40, 54
TIMES = (0.0, 0.1, 0.15, 0.4)
"""Of a variable frame rate; the last frame is shown for 0.1 s."""
ASPECT = Fraction(4, 3)


@pytest.fixture
def masks_THW() -> np.ndarray:
    """Speckles: the hardest that an encoder can get."""
    return np.random.default_rng(1).random((len(TIMES), HEIGHT, WIDTH)) < 0.4


@pytest.fixture
def frames_THWC() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([np.stack([60 + 2 * x, 200 - 3 * y, np.full_like(x, 90 + 20 * t)], -1) for t in range(len(TIMES))]).astype(np.uint8)


@pytest.fixture
def prediction(masks_THW, frames_THWC) -> Prediction:
    video = Video.from_frames(frames_THWC, "clip")
    video = replace(video, timestamps_T=np.array(TIMES), duration=0.5, pixel_aspect=ASPECT)
    found = Masklet(1, tuple(map(Rle.encode, masks_THW)), np.ones(len(TIMES)))
    return Prediction(video, (QueryResult("the red fish", "", (found,)), QueryResult("a zebra", "", ())))


class Decoded(NamedTuple):
    """What a file holds: uint8 RGBA frames, their times, pixel aspect and colour tags (space, primaries, transfer)."""

    frames_THWC: np.ndarray
    times: list[float]
    pixel_aspect: Fraction
    colours: tuple[int, int, int]


def decoded(path: Path, decoder: str | None = None) -> Decoded:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = av.CodecContext.create(decoder, "r") if decoder else None
        packets = container.demux(stream)
        frames = [frame for packet in packets for frame in (codec.decode(packet) if codec else packet.decode())]
        times = [float(frame.pts * stream.time_base) for frame in frames]
        # By several threads, FFmpeg now and then gives other values at the edges of their parts.
        pixels = np.stack([frame.reformat(format="rgba", threads=1).to_ndarray() for frame in frames])
        tags = stream.codec_context
        return Decoded(pixels, times, stream.sample_aspect_ratio, (tags.colorspace, tags.color_primaries, tags.color_trc))


@pytest.mark.parametrize(("name", "suffix", "decoder", "off"), [("alpha", "mov", None, 1e-5), ("alpha-webm", "webm", "libvpx-vp9", 5e-4)])
def test_alpha(prediction, masks_THW, frames_THWC, tmp_path, name, suffix, decoder, off):
    if name == "alpha-webm":
        prediction = Prediction(replace(prediction.video, pixel_aspect=Fraction(1)), prediction.results)
    (folder,) = prediction.save(tmp_path, name)
    assert sorted(path.name for path in folder.iterdir()) == [f"a-zebra.{suffix}", f"the-red-fish.{suffix}"]
    frames, times, aspect, colours = decoded(folder / f"the-red-fish.{suffix}", decoder)
    assert times == pytest.approx(TIMES, abs=off)
    np.testing.assert_array_equal(frames[..., 3] > 127, masks_THW)
    assert abs(frames[masks_THW][:, :3].astype(int) - frames_THWC[masks_THW]).mean() < 4
    assert (aspect, colours) == (prediction.video.pixel_aspect, (1, 1, 1))
    assert not decoded(folder / f"a-zebra.{suffix}", decoder).frames_THWC[..., 3].any()


def test_a_webm_that_could_not_keep_the_pixel_aspect_is_refused(prediction, tmp_path):
    with pytest.raises(VideoError, match=r"4:3.*format alpha"):
        prediction.save(tmp_path, "alpha-webm")
    assert list(tmp_path.iterdir()) == []


def test_matte(prediction, masks_THW, tmp_path):
    (folder,) = prediction.save(tmp_path, "matte")
    frames, times, aspect, colours = decoded(folder / "the-red-fish.mp4")
    np.testing.assert_array_equal(frames[..., 0] > 127, masks_THW)
    assert frames[masks_THW][:, :3].min() > 240 and frames[~masks_THW][:, :3].max() < 15
    assert times == pytest.approx(TIMES, abs=1e-5)
    assert (aspect, colours) == (ASPECT, (1, 1, 1))


def blocks(prediction: Prediction) -> tuple[Prediction, np.ndarray]:
    """The same with a large block instead of speckles, which fewer bits can hold."""
    mask_HW = np.zeros((HEIGHT, WIDTH), bool)
    mask_HW[8:32, 10:34] = True
    found = Masklet(1, (Rle.encode(mask_HW),) * len(TIMES), np.ones(len(TIMES)))
    inside_HW = np.zeros_like(mask_HW)
    inside_HW[12:28, 14:30] = True
    return Prediction(prediction.video, (QueryResult("fish", "", (found,)),)), inside_HW


@pytest.mark.parametrize(("name", "object_kept", "rest_kept"), [("cutout", True, False), ("cutout-rest", False, True)])
def test_a_cutout_is_black_where_it_is_cut(prediction, frames_THWC, tmp_path, name, object_kept, rest_kept):
    prediction, inside_HW = blocks(prediction)
    (folder,) = prediction.save(tmp_path, name)
    frames, times, *_ = decoded(folder / "fish.mp4")
    outside_HW = np.zeros_like(inside_HW)
    outside_HW[:, 40:] = True
    for where_HW, is_kept in ((inside_HW, object_kept), (outside_HW, rest_kept)):
        expected = frames_THWC[:, where_HW] if is_kept else np.zeros_like(frames_THWC[:, where_HW])
        assert abs(frames[:, where_HW, :3].astype(int) - expected).mean() < 6
    assert times == pytest.approx(TIMES, abs=1e-5)


def test_blurring_takes_detail_from_one_part_alone(prediction, tmp_path):
    prediction, inside_HW = blocks(prediction)
    stripes = np.where(np.arange(WIDTH)[None, None, :, None] % 4 < 2, 220, 40).astype(np.uint8)
    frames_THWC = np.broadcast_to(stripes, (len(TIMES), HEIGHT, WIDTH, 3))
    striped = Prediction(replace(prediction.video, read=FramesInMemory(frames_THWC)), prediction.results)
    outside_HW = np.zeros_like(inside_HW)
    outside_HW[:, 42:50] = True
    of_object, of_rest = (decoded(striped.save(tmp_path, name)[0] / "fish.mp4")[0][..., 0] for name in ("blur", "blur-rest"))
    assert of_object[:, inside_HW].std() < 15 < 70 < of_object[:, outside_HW].std()
    assert of_rest[:, outside_HW].std() < 15 < 70 < of_rest[:, inside_HW].std()


def test_an_image_gives_images(masks_THW, frames_THWC, tmp_path):
    video = Video.from_frames(frames_THWC[:1], "photo")
    one = Prediction(video, (QueryResult("fish", "", (Masklet(1, (Rle.encode(masks_THW[0]),), np.ones(1)),)),))
    alpha, cutout = one.save(tmp_path, ["alpha", "cutout"])
    rgba_HWC = np.asarray(Image.open(alpha / "fish.png"))
    np.testing.assert_array_equal(rgba_HWC, np.dstack([frames_THWC[0], masks_THW[0] * np.uint8(255)]))
    np.testing.assert_array_equal(np.asarray(Image.open(cutout / "fish.png")), frames_THWC[0] * masks_THW[0][..., None])


def test_frames_closer_than_the_container_can_tell(tmp_path):
    frames = np.zeros((2, 16, 16, 4), np.uint8)
    with pytest.raises(VideoError, match=r"0\.001 s of webm"):
        write_video(tmp_path / "a.webm", frames, np.array([0, 0.0004]), 0.0008, encoding=VP9_ALPHA)
    assert list(tmp_path.iterdir()) == []
