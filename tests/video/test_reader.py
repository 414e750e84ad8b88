"""The reader gives exactly the frames that are shown, at their times, upright and in their colours, whatever the container."""

from __future__ import annotations

import gc
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from saymask.errors import VideoError
from saymask.video import decoder
from saymask.video.reader import ReadLimits, find_sources, open_source

CONTAINERS = {
    "b-frames.mp4": {},
    "b-frames.mkv": {},
    "b-frames.mov": {},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "options": {"deadline": "realtime"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264.avi": {},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "colour": None},
    "animation.gif": {"codec": "gif", "pix_fmt": "rgb8", "colour": None},
    "ten-bit.mkv": {"pix_fmt": "yuv420p10le"},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
}

FIXED_GOPS = {"x264-params": "scenecut=0"}  # a keyframe at every sixth frame and nowhere else


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_in_any_order(name: str, tmp_path: Path, clips: SimpleNamespace) -> None:
    video = open_source(clips.make(tmp_path / name, **CONTAINERS[name]))
    assert (video.num_frames, video.height, video.width) == (20, *clips.size)
    assert video.name == Path(name).stem
    assert video.fps == pytest.approx(10)
    assert np.diff(video.timestamps_T) == pytest.approx(0.1)
    in_order = np.concatenate([video.frames(range(start, min(start + 7, 20))) for start in range(0, 20, 7)])
    assert clips.numbers_in(in_order) == list(range(20))
    for frame_idx in ([19], [3, 3, 0], [13, 2, 19, 7, 2], [18, 17, 16], [0, 19]):
        np.testing.assert_array_equal(video.frames(frame_idx), in_order[frame_idx])


def test_no_frames_asked_for(tmp_path: Path, clips: SimpleNamespace) -> None:
    assert open_source(clips.make(tmp_path / "clip.mp4")).frames([]).shape == (0, *clips.size, 3)
    Image.fromarray(clips.numbered_frame(1)).save(tmp_path / "photo.png")
    assert open_source(tmp_path / "photo.png").frames([]).shape == (0, *clips.size, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_frame_rate_keeps_its_times(suffix: str, tmp_path: Path, clips: SimpleNamespace) -> None:
    milliseconds = [0, 40, 50, 300, 301, 600, 1000, 1010]
    video = open_source(clips.make(tmp_path / f"vfr{suffix}", num_frames=8, milliseconds=milliseconds))
    assert (video.timestamps_T * 1000).round(6).tolist() == milliseconds
    assert clips.numbers_in(video.frames(range(8))) == list(range(8))


def test_reading_on_neither_seeks_nor_reopens(tmp_path: Path, clips: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_source(clips.make(tmp_path / "clip.mp4"))
    moves: list[str] = []
    for name in ("_reopen", "_seek"):
        original = getattr(decoder.Decoder, name)
        monkeypatch.setattr(decoder.Decoder, name, lambda *args, _name=name, _call=original: moves.append(_name) or _call(*args))
    for start in range(0, 20, 4):
        video.frames(range(start, start + 4))
    assert moves == ["_reopen"]  # opened once, at the first frame


def test_a_far_frame_is_reached_from_its_own_keyframe(tmp_path: Path, clips: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_source(clips.make(tmp_path / "clip.mkv", num_frames=120, options=FIXED_GOPS))
    decoded: list[int] = []
    original = decoder.Decoder._rgb
    monkeypatch.setattr(decoder.Decoder, "_rgb", lambda self, frame, index: decoded.append(index) or original(self, frame, index))
    sought: list[int] = []
    seek = decoder.Decoder._seek
    monkeypatch.setattr(decoder.Decoder, "_seek", lambda self, pts: sought.append(pts) or seek(self, pts))
    assert clips.numbers_in(video.frames([100])) == [100]
    assert sought == [9600]  # frame 96, ms: keyframes stand at every sixth
    assert decoded == [100]  # the frames before it are not converted


TURNS = {
    "quarter right": ((0, 1, 0, -1, 0, 0), lambda f: np.rot90(f, -1)),
    "half": ((-1, 0, 0, 0, -1, 0), lambda f: np.rot90(f, 2)),
    "quarter left": ((0, -1, 0, 1, 0, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 0, 1, 0), np.fliplr),
    "upside down": ((1, 0, 0, 0, -1, 0), np.flipud),
    "transposed": ((0, 1, 0, 1, 0, 0), lambda f: f.transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_rotation_and_mirroring_of_the_header_are_applied(turn: str, tmp_path: Path, clips: SimpleNamespace) -> None:
    matrix, expected = TURNS[turn]
    path = clips.make(tmp_path / "phone.mp4", num_frames=4)
    stored = open_source(path).frames([2])[0]
    clips.patch_box(path, b"tkhd", 40, struct.pack(">6i", *(value << 16 for value in matrix)))
    video = open_source(path)
    assert (video.height, video.width) == expected(stored).shape[:2]
    np.testing.assert_array_equal(video.frames([2])[0], expected(stored))


def test_frames_outside_the_edit_list_are_not_shown(tmp_path: Path, clips: SimpleNamespace) -> None:
    path = clips.make(tmp_path / "trimmed.mp4")
    data = path.read_bytes()
    timescale = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])[0]
    delay = struct.unpack(">i", data[data.index(b"elst") + 12 :][:4])[0]
    movie_timescale = struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])[0]
    entry = struct.pack(">Ii", movie_timescale * 9 // 10, delay + timescale * 4 // 10)  # nine frames from the fifth
    clips.patch_box(path, b"elst", 8, entry)
    video = open_source(path)
    assert clips.numbers_in(video.frames(range(video.num_frames))) == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert video.timestamps_T == pytest.approx(np.arange(9) / 10)
    assert clips.numbers_in(video.frames([7, 0, 8])) == [11, 4, 12]


def test_hidden_frames_of_vp8_are_not_counted(tmp_path: Path, clips: SimpleNamespace) -> None:
    source = clips.make(tmp_path / "source.webm", num_frames=8, codec="libvpx", options={"deadline": "realtime"})
    with av.open(str(source)) as old, av.open(str(tmp_path / "hidden.webm"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                data = bytearray(bytes(packet))
                if packet.pts == 300:
                    data[0] &= 0xEF  # the show_frame bit
                copy = av.Packet(bytes(data))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                new.mux(copy)
    video = open_source(tmp_path / "hidden.webm")
    assert clips.numbers_in(video.frames(range(video.num_frames))) == [0, 1, 2, 4, 5, 6, 7]


COLOURS = [(220, 40, 40), (30, 200, 60), (20, 60, 210), (240, 220, 30), (128, 128, 128)]


@pytest.mark.parametrize(("tag", "height"), [((1, 1), 48), ((5, 5), 48), ((9, 9), 48), ((2, 1), 720), ((2, 5), 480)])
@pytest.mark.parametrize("rgb", COLOURS)
def test_colours_by_the_files_own_matrix(
    tag: tuple[int, int], height: int, rgb: tuple[int, int, int], tmp_path: Path, clips: SimpleNamespace
) -> None:
    """1 = BT.709, 5 = BT.601, 9 = BT.2020. The tag 2 = unspecified: HD is then BT.709, the rest BT.601."""
    picture = np.full((height, 64, 3), rgb, dtype=np.uint8)
    path = clips.make(tmp_path / "flat.mp4", num_frames=1, picture=lambda i: picture, colour=tag, options={"crf": "8"})
    difference = open_source(path).frames([0])[0].astype(int) - picture
    assert np.abs(difference).max() <= 3


def test_container_metadata_becomes_tags(tmp_path: Path, clips: SimpleNamespace) -> None:
    path = clips.make(tmp_path / "tagged.mkv", num_frames=2, tags={"COMMENT": "saymask-toyworld"})
    assert open_source(path).tags["comment"] == "saymask-toyworld"


def test_the_content_decides_not_the_name(tmp_path: Path, clips: SimpleNamespace) -> None:
    clip = clips.make(tmp_path / "clip.mp4", num_frames=3).rename(tmp_path / "clip.dat")
    assert open_source(clip).num_frames == 3
    Image.fromarray(clips.numbered_frame(5)).save(tmp_path / "photo.mp4", format="PNG")
    assert clips.numbers_in(open_source(tmp_path / "photo.mp4").frames([0])) == [5]


def test_a_name_that_looks_like_a_protocol(tmp_path: Path, clips: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.make(tmp_path / "clip.mp4", num_frames=3).rename(tmp_path / "concat:a.mp4")
    monkeypatch.chdir(tmp_path)
    assert open_source("concat:a.mp4").num_frames == 3


def test_threads_may_share_a_video(tmp_path: Path, clips: SimpleNamespace) -> None:
    video = open_source(clips.make(tmp_path / "clip.mp4"))
    wanted = np.random.default_rng(0).integers(0, 20, size=(40, 3)).tolist()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda idx: clips.numbers_in(video.frames(idx)), wanted))
    assert found == wanted


def test_opened_videos_hold_no_file_and_dropped_ones_close_theirs(tmp_path: Path, clips: SimpleNamespace) -> None:
    path = clips.make(tmp_path / "clip.mp4", num_frames=6)
    gc.disable()
    try:
        before = len(os.listdir("/dev/fd"))
        kept = [open_source(path) for _ in range(100)]
        for video in kept:
            video.frames(range(6))  # to the end
        assert len(os.listdir("/dev/fd")) == before
        for _ in range(100):
            open_source(path).frames([2])  # not to the end, then dropped
        assert len(os.listdir("/dev/fd")) == before
    finally:
        gc.enable()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_an_image_is_a_video_of_one_frame(suffix: str, tmp_path: Path, clips: SimpleNamespace) -> None:
    Image.fromarray(clips.numbered_frame(9)).save(tmp_path / f"photo{suffix}")
    video = open_source(tmp_path / f"photo{suffix}")
    assert (video.num_frames, video.height, video.width, video.frame_names) == (1, *clips.size, ("photo",))
    assert clips.numbers_in(video.frames([0, 0])) == [9, 9]


def test_exif_orientation(tmp_path: Path, clips: SimpleNamespace) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn to the right
    Image.fromarray(clips.numbered_frame(9)).save(tmp_path / "photo.png", exif=exif)
    video = open_source(tmp_path / "photo.png")
    assert (video.height, video.width) == clips.size[::-1]
    np.testing.assert_array_equal(video.frames([0])[0], np.rot90(clips.numbered_frame(9), -1))


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    grey_HW = np.array([[0, 0x0180, 0x8000, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(grey_HW).save(tmp_path / "scan.png")
    assert open_source(tmp_path / "scan.png").frames([0])[0, 0, :, 1].tolist() == [0, 1, 128, 255]


def test_a_folder_of_frames_in_natural_order(tmp_path: Path, clips: SimpleNamespace) -> None:
    for number in (10, 2, 1):
        Image.fromarray(clips.numbered_frame(number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    video = open_source(tmp_path)
    assert video.frame_names == ("frame1", "frame2", "frame10")
    assert clips.numbers_in(video.frames([2, 0, 1])) == [10, 1, 2]
    assert (video.fps, video.timestamps_T.tolist(), video.name) == (24.0, [0, 1 / 24, 2 / 24], tmp_path.name)


def test_find_sources(tmp_path: Path, clips: SimpleNamespace) -> None:
    videos, frames = tmp_path / "videos", tmp_path / "frames"
    videos.mkdir()
    frames.mkdir()
    for name in ("b10.mp4", "b2.mkv", "notes.txt"):
        (videos / name).touch()
    (frames / "0.png").touch()
    assert find_sources(str(videos / "b2.mkv")) == [videos / "b2.mkv"]
    assert find_sources(str(videos)) == [videos / "b2.mkv", videos / "b10.mp4"]
    assert find_sources(str(frames)) == [frames]
    assert find_sources(str(videos / "b*")) == [videos / "b2.mkv", videos / "b10.mp4"]
    assert find_sources(str(tmp_path / "*")) == [frames]
    assert find_sources(str(tmp_path)) == [frames]  # the folder of videos inside is not searched
    (videos / "odd[1].mp4").touch()
    assert find_sources(str(videos / "odd[1].mp4")) == [videos / "odd[1].mp4"]


def _mjpeg(path: Path, pictures: list[np.ndarray]) -> None:
    """A video whose frames need not have one size."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10, options={})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuvj420p"
        for index, picture in enumerate(pictures):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.height, encoder.width, encoder.pix_fmt = *picture.shape[:2], "yuvj420p"
            encoder.time_base = Fraction(1, 10)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, encoder.time_base
            for packet in [*encoder.encode(frame), *encoder.encode()]:
                packet.stream = stream
                container.mux(packet)


def _png_header(width: int, height: int) -> bytes:
    header = struct.pack(">4sII5B", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">IIII", zlib.crc32(header), 0, 0x49444154, 0x35AF061E)


def _audio(path: Path, cover: bool = False) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.height, picture.width, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = Disposition.attached_pic.value
            container.mux([*picture.encode(av.VideoFrame(32, 32, "yuvj420p")), *picture.encode()])
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux([*stream.encode(frame), *stream.encode()])


def _bad_inputs(folder: Path, clips: SimpleNamespace) -> None:
    """Everything that `BAD` names."""
    clip = clips.make(folder / "clip.mp4", options=FIXED_GOPS, container_options={"movflags": "faststart"})
    data = clip.read_bytes()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video at all\n" * 20)
    (folder / "playlist.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    (folder / "stream.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n")
    (folder / "codec.mp4").write_bytes(data.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzz"))
    (folder / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    (folder / "headless.mp4").write_bytes(data[: data.index(b"moov")])
    for name in ("b-frames.mkv", "mjpeg.avi", "animation.gif"):
        whole = clips.make(folder / f"whole-{name}", **CONTAINERS[name]).read_bytes()
        (folder / f"cut-{name}").write_bytes(whole[: len(whole) * 3 // 4])
    _audio(folder / "sound.mp4")
    _audio(folder / "cover.m4a", cover=True)
    clips.make(folder / "frameless.mp4", num_frames=0, container_options={"movflags": "empty_moov"})
    with av.open(str(clip)) as container:
        start = next(packet.pos for packet in container.demux(video=0) if packet.pts * packet.time_base == Fraction(12, 10))
    broken = bytearray(data)
    broken[start : start + 8] = b"\xff" * 8
    (folder / "broken.mp4").write_bytes(broken)
    small, large = np.zeros((48, 64, 3), np.uint8), np.zeros((96, 128, 3), np.uint8)
    _mjpeg(folder / "sizes.mkv", [small, small, large])
    (folder / "header.bmp").write_bytes(b"BM" + b"\xd5\0\0\0" * 99)
    (folder / "bomb.png").write_bytes(_png_header(100_000, 100_000))
    (folder / "large.png").write_bytes(_png_header(9000, 9000))
    Image.fromarray(small).save(folder / "photo.png")
    (folder / "cut.png").write_bytes((folder / "photo.png").read_bytes()[:60])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(folder / "depth.tiff")
    Image.fromarray(small).save(folder / "pages.webp", save_all=True, append_images=[Image.fromarray(small + 90)])
    for name in ("none", "odd", "twins", "words", "liar"):
        (folder / name).mkdir()
    (folder / "words" / "list.txt").write_text("words")
    (folder / "liar" / "1.png").write_text("not an image")
    for name, picture in (("1.png", small), ("2.png", small), ("10.png", large)):
        Image.fromarray(picture).save(folder / "odd" / name)
    for name in ("1.png", "1.jpg"):
        Image.fromarray(small).save(folder / "twins" / name)


READABLE = "mp4, mov, mkv, webm, avi, gif, ts, mpg, wmv, flv, ogv, mxf; png, jpg, webp, bmp, tiff; a folder of frames"
NOT_READABLE = f"not a video or image that can be read ({READABLE}); convert it to mp4"
CUT_OFF = "the file is cut off, its last part is missing; download or export it again"
IMAGES = ".png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff"
RAISE = "raise the limit (--max-{} in the command line, ReadLimits in Python)"
BAD = {
    "clop.mp4": "no such file or folder; did you mean 'clip.mp4' or 'codec.mp4'?",
    "zzzzzzzz": "no such file or folder; nothing in {folder} has a similar name",
    "no/clip.mp4": "no such file, and no folder {folder}/no; check the path",
    "empty.mp4": "the file is empty (0 bytes); download or export it again",
    "text.mp4": NOT_READABLE,
    "playlist.mp4": NOT_READABLE,
    "stream.m3u8": NOT_READABLE,
    "cut.mp4": CUT_OFF,
    "cut-b-frames.mkv": CUT_OFF,
    "cut-mjpeg.avi": CUT_OFF,
    "cut-animation.gif": CUT_OFF,
    "headless.mp4": "the video is damaged or cut off, its index cannot be read; download or export it again",
    "codec.mp4": "its video codec is not known; convert it to H.264",
    "cover.m4a": "no video stream, only a cover picture and audio; give a file with pictures",
    "sound.mp4": "no video stream, only audio; give a file with pictures",
    "frameless.mp4": "the video stream has no frames to show; check how it was made or exported",
    "bomb.png": "the image is over the limit of 67108864 pixels; scale it down",
    "large.png": "frames of 9000x9000 are over the limit of 67108864 pixels; scale it down or " + RAISE.format("pixels"),
    "cut.png": "the image is damaged or cut off (image file is truncated); download or export it again",
    "header.bmp": "the image is damaged or cut off (Unsupported BMP header type (213)); download or export it again",
    "depth.tiff": "32-bit pixels have no fixed range of brightness; save it with 8 or 16 bits",
    "pages.webp": "an image with 2 frames; convert it to a GIF, an mp4 or a folder of frames",
    "none": f"the folder has no images ({IMAGES}); give a folder of frames or a video file",
    "words": f"the folder has no images ({IMAGES}); give a folder of frames or a video file",
}


@pytest.fixture(scope="module")
def bad_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad")


@pytest.fixture
def bad(bad_inputs: Path, clips: SimpleNamespace) -> Path:
    if not any(bad_inputs.iterdir()):
        _bad_inputs(bad_inputs, clips)
    return bad_inputs


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str, bad: Path) -> None:
    with pytest.raises(VideoError) as error:
        open_source(bad / name)
    assert str(error.value) == f"{bad / name}: " + BAD[name].format(folder=bad)


def test_bad_frames_in_a_folder(bad: Path) -> None:
    with pytest.raises(VideoError) as error:
        open_source(bad / "odd")
    assert str(error.value) == (
        f"{bad}/odd/10.png: 128x96, but 1.png is 64x48; frames of one video need one size: "
        f"resize them, or give '{bad}/odd/*.png' to treat each image alone"
    )
    with pytest.raises(VideoError) as error:
        open_source(bad / "twins")
    assert str(error.value) == f"{bad}/twins/1.png: 1.jpg has the same name; frames need names of their own, so rename or remove one"
    with pytest.raises(VideoError) as error:
        open_source(bad / "liar")
    assert str(error.value) == f"{bad}/liar/1.png: not an image, whatever its name; replace it or remove it"


def test_a_tilde_is_the_home_folder(tmp_path: Path, clips: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.make(tmp_path / "a.mp4", num_frames=3)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_sources("~/a.mp4") == find_sources("~/*.mp4") == find_sources("~") == [tmp_path / "a.mp4"]
    assert open_source("~/a.mp4").num_frames == open_source(Path("~/a.mp4")).num_frames == 3


def test_limits_come_before_decoding(bad: Path) -> None:
    with pytest.raises(VideoError) as error:
        open_source(bad / "clip.mp4", ReadLimits(max_pixels=64 * 48 - 1))
    assert str(error.value) == f"{bad}/clip.mp4: frames of 64x48 are over the limit of 3071 pixels; scale it down or " + RAISE.format(
        "pixels"
    )
    for name in ("clip.mp4", "odd"):
        with pytest.raises(VideoError) as error:
            open_source(bad / name, ReadLimits(max_frames=2))
        assert str(error.value) == f"{bad}/{name}: more than 2 frames; cut it into parts or " + RAISE.format("frames")
    assert open_source(bad / "clip.mp4", ReadLimits(max_pixels=64 * 48, max_frames=20)).num_frames == 20


def test_damage_in_the_middle_names_the_frame(bad: Path, clips: SimpleNamespace) -> None:
    video = open_source(bad / "broken.mp4")
    assert clips.numbers_in(video.frames(range(6))) == list(range(6))
    for _ in range(2):  # the second time from a fresh start
        with pytest.raises(VideoError) as error:
            video.frames(range(20))
        assert str(error.value) == (
            f"{bad}/broken.mp4: decoding stopped at frame 12 of 20 (Invalid data found when processing input); "
            "the file is damaged: export it again, or cut it before that frame"
        )
    assert clips.numbers_in(video.frames([18, 19])) == [18, 19]
    assert clips.numbers_in(video.frames(range(12))) == list(range(12))
    assert clips.numbers_in(video.frames([18])) == [18]  # sought behind the damage


def test_a_frame_of_another_size(bad: Path) -> None:
    video = open_source(bad / "sizes.mkv")
    assert video.frames([0, 1]).shape == (2, 48, 64, 3)
    for frame_idx in ([0, 1, 2], [2]):
        with pytest.raises(VideoError) as error:
            video.frames(frame_idx)
        assert str(error.value) == f"{bad}/sizes.mkv: frame 2 is 128x96, the first is 64x48; re-encode it at one size"


def test_a_later_frame_over_the_limit_is_not_decoded(bad: Path) -> None:
    video = open_source(bad / "sizes.mkv", ReadLimits(max_pixels=5000))
    with pytest.raises(VideoError, match=r"sizes\.mkv: decoding stopped at frame 2 of 3"):
        video.frames([2])


def test_a_file_that_disappears(tmp_path: Path, clips: SimpleNamespace) -> None:
    video = open_source(clips.make(tmp_path / "clip.mp4", num_frames=3))
    (tmp_path / "clip.mp4").unlink()
    with pytest.raises(VideoError) as error:
        video.frames([0])
    assert str(error.value) == f"{tmp_path}/clip.mp4: no such file; check the path"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("https://example.org/clip.mp4", "addresses are not fetched; download the video and give its path"),
        ("*.mkw", "nothing matches; check the pattern"),
        ("*.txt", "1 matches, none of them a video, an image or a folder of frames; check the pattern"),
        ("clop.mp4", "no such file or folder; did you mean 'clip.mp4'?"),
        ("mixed", "the folder has both images and videos; give 'mixed/*.mp4' for the videos, or move the images to a folder of their own"),
        (".", "the folder has neither videos nor images; give a video file, a folder of videos or a folder of frames"),
    ],
)
def test_sources_that_are_not_there(pattern: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    if pattern == "clop.mp4":
        (tmp_path / "clip.mp4").touch()
    if pattern == "mixed":
        (tmp_path / "mixed").mkdir()
        for name in ("cover.jpg", "film.mp4"):
            (tmp_path / "mixed" / name).touch()
    with pytest.raises(VideoError) as error:
        find_sources(pattern)
    assert str(error.value) == f"{pattern}: {message}"
