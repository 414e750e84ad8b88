"""Streams that players show and strict readers refuse, and files that promise more than they hold."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from saymask.errors import VideoError
from saymask.exports.encoder import write_video
from saymask.video.reader import ReadLimits, find_sources, left_out, open_source


def remux(source: Path, target: Path, first_packet: int = 0, pts=lambda pts: pts, time_base: Fraction | None = None) -> Path:
    """Copy packets from one on, with times of another clock."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(packet for packet in read.demux(video=0) if packet.size):
            if number >= first_packet:
                packet.pts, packet.dts = pts(packet.pts), pts(packet.dts)
                packet.time_base = time_base or packet.time_base
                packet.stream = stream
                write.mux(packet)
    return target


def test_a_stream_that_begins_between_keyframes(tmp_path: Path, clips: SimpleNamespace) -> None:
    whole = clips.make(tmp_path / "whole.mkv", options={"bf": "0", "x264-params": "scenecut=0"})  # keyframes at 0, 6, 12, 18
    video = open_source(remux(whole, tmp_path / "cut.mkv", first_packet=2))
    assert clips.numbers_in(video.frames(range(video.num_frames))) == list(range(6, 20))
    assert np.diff(video.timestamps_T) == pytest.approx(0.1)
    assert any("4 frames" in remark for remark in video.remarks)


def test_an_open_gop_at_the_start(tmp_path: Path, clips: SimpleNamespace) -> None:
    options = {"x265-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=3:b-adapt=0:log-level=none"}
    whole = clips.make(tmp_path / "whole.mkv", num_frames=24, codec="libx265", options=options)
    with av.open(str(whole)) as container:
        keys = [number for number, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
    video = open_source(remux(whole, tmp_path / "cut.mkv", first_packet=keys[1]))
    numbers = clips.numbers_in(video.frames(range(video.num_frames)))
    assert numbers == list(range(8, 24)) and video.remarks


def test_equal_times_are_spread(tmp_path: Path, clips: SimpleNamespace) -> None:
    whole = clips.make(tmp_path / "whole.mkv", num_frames=8, options={"bf": "0"})
    fast = remux(whole, tmp_path / "fast.mkv", pts=lambda pts: pts // 200, time_base=Fraction(1, 1000))  # 0 0 1 1 2 2 3 3 ms
    video = open_source(fast)
    assert clips.numbers_in(video.frames(range(video.num_frames))) == list(range(8))
    assert video.timestamps_T[:7] == pytest.approx(np.arange(7) / 2000)
    assert (np.diff(video.timestamps_T) > 0).all() and video.remarks
    assert clips.number_in(video.frames([5])[0]) == 5


@pytest.mark.parametrize("name, codec", [("clip.ts", "libx264"), ("clip.wmv", "msmpeg4"), ("clip.flv", "flv"), ("clip.mpg", "mpeg2video")])
def test_containers_by_content(name: str, codec: str, tmp_path: Path, clips: SimpleNamespace) -> None:
    rate_25 = [40 * number for number in range(12)]
    if codec == "mpeg2video":  # knows a few frame rates only
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width, stream.pix_fmt = (*clips.size, "yuv420p")
            for number in range(12):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(clips.numbered_frame(number), format="rgb24")))
            container.mux(stream.encode())
    else:
        clips.make(tmp_path / name, num_frames=12, codec=codec, colour=None, milliseconds=rate_25)
    for path in (tmp_path / name, tmp_path / "unknown.dat"):
        (tmp_path / name).rename(path)
        video = open_source(path)
        assert clips.numbers_in(video.frames(range(12))) == list(range(12)) == list(range(video.num_frames))
        assert video.timestamps_T[0] == pytest.approx(0) and np.diff(video.timestamps_T) == pytest.approx(0.04, abs=0.001)
        assert find_sources(str(tmp_path)) == [path]
        path.rename(tmp_path / name)


def test_what_is_left_out_can_be_named(tmp_path: Path, clips: SimpleNamespace) -> None:
    clips.make(tmp_path / "a.mp4")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".hidden").touch()
    assert left_out(str(tmp_path), find_sources(str(tmp_path))) == [tmp_path / "notes.txt"]
    assert left_out(f"{tmp_path}/*", find_sources(f"{tmp_path}/*")) == [tmp_path / "notes.txt"]
    assert left_out(f"{tmp_path}/a.mp4", find_sources(f"{tmp_path}/a.mp4")) == []


def test_bytes_behind_the_end_of_a_gif(tmp_path: Path, clips: SimpleNamespace) -> None:
    gif = clips.make(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8", colour=None)
    whole = gif.read_bytes()
    gif.write_bytes(whole + b"junk that is no part of it")
    assert open_source(gif).num_frames == 20
    gif.write_bytes(whole[: len(whole) // 2] + b";")  # a trailer's byte, but in the midst of an image
    with pytest.raises(VideoError, match=r"a\.gif"):
        open_source(gif)


def test_the_pixel_aspect_is_kept(tmp_path: Path, clips: SimpleNamespace) -> None:
    write_video(tmp_path / "wide.mp4", (clips.numbered_frame(i) for i in range(3)), np.arange(3) / 10, 0.3, pixel_aspect=Fraction(2))
    assert open_source(tmp_path / "wide.mp4").pixel_aspect == 2
    assert open_source(clips.make(tmp_path / "square.mp4")).pixel_aspect == 1


def box(name: bytes, *content: bytes) -> bytes:
    inner = b"".join(content)
    return struct.pack(">I4s", 8 + len(inner), name) + inner


@pytest.mark.parametrize("table", ["stsz", "stts", "trun"])
def test_an_index_that_promises_60_million_samples(table: str, tmp_path: Path) -> None:
    many = 60_000_000
    tables = {
        "stsz": box(b"stsz", struct.pack(">III", 0, 1, many)),
        "stts": box(b"stts", struct.pack(">IIII", 0, 1, many, 1)),
        "trun": b"",
    }
    track = box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), b"vide", bytes(13)), box(b"minf", box(b"stbl", tables[table]))))
    moof = box(b"moof", box(b"traf", box(b"trun", struct.pack(">II", 0, many)))) if table == "trun" else b""
    (tmp_path / "bomb.mp4").write_bytes(box(b"ftyp", b"isom", bytes(4)) + box(b"moov", track) + moof + bytes(1500))
    with pytest.raises(VideoError, match="60000000 samples"):
        open_source(tmp_path / "bomb.mp4")


def test_an_index_of_boxes_that_are_too_short_or_too_many(tmp_path: Path) -> None:
    (tmp_path / "short.mp4").write_bytes(box(b"ftyp", b"isom") + box(b"moov", box(b"trak", box(b"stts", bytes(2)))) + b"\xff" * 40)
    with pytest.raises(VideoError, match=r"short\.mp4"):
        open_source(tmp_path / "short.mp4")
    (tmp_path / "many.mp4").write_bytes(box(b"ftyp", b"isom") + 1_100_000 * box(b"free"))
    with pytest.raises(VideoError, match=r"many\.mp4.*1000000 boxes"):
        open_source(tmp_path / "many.mp4")


def test_a_track_over_the_limit_of_frames_is_refused_by_its_index(tmp_path: Path, clips: SimpleNamespace) -> None:
    clips.make(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match="more than 19 frames"):
        open_source(tmp_path / "clip.mp4", ReadLimits(max_frames=19))


def test_an_image_that_would_be_dropped_from_a_folder_of_frames(tmp_path: Path, clips: SimpleNamespace) -> None:
    for number in range(3):
        Image.fromarray(clips.numbered_frame(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    assert open_source(tmp_path).num_frames == 3
    (tmp_path / "1.png").rename(tmp_path / "1.picture")
    with pytest.raises(VideoError, match=r"1\.picture"):
        open_source(tmp_path)


def test_twelve_bits_in_sixteen_are_said(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 4000, dtype=np.uint16)).save(tmp_path / "dark.png")
    assert "4000" in open_source(tmp_path / "dark.png").remarks[0]
    Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16)).save(tmp_path / "bright.png")
    assert open_source(tmp_path / "bright.png").remarks == ()


def test_an_animated_avif_is_not_taken_for_its_first_image(tmp_path: Path, clips: SimpleNamespace) -> None:
    with av.open(str(tmp_path / "animation.avif"), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=10)
        stream.height, stream.width, stream.pix_fmt = (*clips.size, "yuv420p")
        for number in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(clips.numbered_frame(number), format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match=r"animation\.avif.*animat"):
        open_source(tmp_path / "animation.avif")
