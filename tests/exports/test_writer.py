"""What is written is read back: masks exactly, overlays with the source's frames, times, size and the colour where the mask is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from saymask.errors import VideoError
from saymask.exports.contact_sheet import write_sheet
from saymask.exports.drawing import QUERY_COLOURS, Legend, draw_mask, fit, font, legible
from saymask.exports.encoder import write_video
from saymask.exports.overlay import write_overlay
from saymask.exports.writer import query_slugs, write_davis, write_png
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.storage.atomic import fill_folder, new_file, new_folder
from saymask.video.masks import davis_palette
from saymask.video.reader import open_source

GREY = 100
TEXTS = ("the red fish", "The red fish?")


def _prediction(
    num_frames: int = 6,
    size: tuple[int, int] = (120, 160),
    objects_per_query: Sequence[int] = (1, 2),
    queries: Sequence[str] = TEXTS,
    timestamps: Sequence[float] | None = None,
    duration: float = 0,
) -> Prediction:
    """Grey frames; object n of query q is a square of 20 that starts at row 10 + 30 q, column 10 + 30 n and moves right by 2 a frame."""
    frames_THWC = np.full((num_frames, *size, 3), GREY, dtype=np.uint8)
    video = Video.from_frames(frames_THWC, name="clip", fps=10)
    if timestamps is not None:
        video = Video("clip", "memory", *size, np.array(timestamps), duration, video.read, video.frame_names)
    results = []
    for row, (query, count) in enumerate(zip(queries, objects_per_query, strict=True)):
        masks_NTHW = np.zeros((count, num_frames, *size), dtype=bool)
        for n in range(count):
            for t in range(num_frames):
                masks_NTHW[n, t, 10 + 30 * row : 30 + 30 * row, 10 + 30 * n + 2 * t : 30 + 30 * n + 2 * t] = True
        masklets = [Masklet(n + 1, tuple(map(Rle.encode, masks)), np.ones(num_frames)) for n, masks in enumerate(masks_NTHW)]
        results.append(QueryResult(query, "", tuple(masklets)))
    return Prediction(video, tuple(results))


def test_overlay_keeps_frames_times_and_duration_of_a_variable_rate(tmp_path: Path) -> None:
    timestamps = [0.5, 0.54, 0.7, 0.71, 1.0, 1.5]
    path = write_overlay(_prediction(timestamps=timestamps, duration=1.75), tmp_path)
    assert path == tmp_path / "overlay.mp4"
    overlay = open_source(path)
    assert (overlay.num_frames, overlay.height, overlay.width) == (6, 120, 160)
    assert overlay.timestamps_T == pytest.approx(timestamps, abs=1e-9)
    assert overlay.duration == pytest.approx(1.75, abs=1e-9)


@pytest.mark.parametrize("rate", [24, 25, 30, 60, 24000 / 1001, 30000 / 1001, 60000 / 1001])
def test_overlay_has_the_exact_times_of_usual_rates(rate: float, tmp_path: Path) -> None:
    times = np.arange(10) / rate
    overlay = open_source(write_overlay(_prediction(num_frames=10, timestamps=times.tolist(), duration=10 / rate), tmp_path))
    assert overlay.timestamps_T == pytest.approx(times, abs=1e-9)
    assert overlay.duration == pytest.approx(10 / rate, abs=1e-9)


def test_overlay_is_coloured_where_the_masks_are_and_nowhere_else(tmp_path: Path) -> None:
    prediction = _prediction(size=(240, 320))
    overlay = open_source(write_overlay(prediction, tmp_path))
    for index in (0, 5):
        frame_HWC = overlay.frames([index])[0].astype(int)
        for row, (n, left) in ((0, (0, 10)), (1, (0, 10)), (1, (1, 40))):
            inside = frame_HWC[10 + 30 * row + 5 : 30 + 30 * row - 5, left + 2 * index + 5 : left + 2 * index + 15].mean((0, 1))
            expected = 0.55 * GREY + 0.45 * np.array(QUERY_COLOURS[row])
            assert inside == pytest.approx(expected, abs=6), (index, row, n)
        outside = np.ones((240, 320), dtype=bool)
        outside[160:] = False  # the legend
        outside[5:70, 5:85] = False
        assert np.abs(frame_HWC[outside] - GREY).max() <= 4


def test_overlay_file_plays_in_browsers(tmp_path: Path) -> None:
    path = write_overlay(_prediction(), tmp_path)
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (1, 1, 1, 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # starts to play before it is loaded


def test_a_colour_ends_where_its_pixels_end(tmp_path: Path) -> None:
    frame_HWC = np.zeros((64, 128, 3), np.uint8)
    frame_HWC[:32], frame_HWC[32:] = (255, 0, 0), (0, 0, 255)
    write_video(tmp_path / "edge.mp4", [frame_HWC] * 2, np.arange(2) / 10, 0.2)
    decoded_HWC = open_source(tmp_path / "edge.mp4").frames([0])[0].astype(int)
    assert np.abs(decoded_HWC - frame_HWC).max() <= 3  # H.264 shares a colour among four pixels


def test_odd_sizes_get_their_last_row_and_column_twice(tmp_path: Path) -> None:
    prediction = _prediction(size=(121, 161), objects_per_query=(0,), queries=("nothing",))
    frames_THWC = prediction.video.frames(range(6)).copy()
    frames_THWC[:, :60, -1] = 200
    video = Video.from_frames(frames_THWC, fps=10)
    overlay = open_source(write_overlay(Prediction(video, prediction.results), tmp_path))
    assert (overlay.height, overlay.width) == (122, 162)
    assert overlay.frames([3])[0, 5:55, 160:].mean((0, 1)) == pytest.approx([200] * 3, abs=4)


def test_a_frame_too_wide_for_h264(tmp_path: Path) -> None:
    with pytest.raises(VideoError) as error:
        write_overlay(_prediction(num_frames=2, size=(16, 20_000), objects_per_query=(0, 0)), tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/overlay.mp4: H.264 encoding failed (Generic error in an external library), "
        "perhaps for the frame size; use the format png"
    )
    assert not list(tmp_path.iterdir())


def test_one_frame_gives_a_picture(tmp_path: Path) -> None:
    path = write_overlay(_prediction(num_frames=1, size=(121, 161)), tmp_path)
    assert path == tmp_path / "overlay.png"
    with Image.open(path) as picture:
        assert picture.size == (161, 121)


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (17, 300), (300, 17)])
def test_very_small_videos(size: tuple[int, int], tmp_path: Path) -> None:
    overlay = open_source(write_overlay(_prediction(size=size, objects_per_query=(0, 0)), tmp_path))
    assert (overlay.num_frames, overlay.height, overlay.width) == (6, size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert write_sheet(_prediction(size=size, objects_per_query=(0, 0)), tmp_path).is_file()


def test_contour_lies_inside_the_mask() -> None:
    frame_HWC = np.full((20, 20, 3), GREY, dtype=np.uint8)
    mask_HW = np.zeros((20, 20), dtype=bool)
    mask_HW[0:8, 5:15] = True  # touches the upper edge of the frame
    draw_mask(frame_HWC, Rle.encode(mask_HW), (200, 0, 0), contour=2)
    inner = np.zeros_like(mask_HW)
    inner[2:6, 7:13] = True
    assert (frame_HWC[mask_HW & ~inner] == (200, 0, 0)).all()
    assert (frame_HWC[inner] == (145, 55, 55)).all()  # 0.55 of grey and 0.45 of red
    assert (frame_HWC[~mask_HW] == GREY).all()


def test_long_texts_are_wrapped_then_cut() -> None:
    typeface = font(12)
    text = "the dog that runs through the poles and then turns around to fetch the ball"
    lines = fit(text, typeface, 120, 2)
    assert len(lines) == 2
    assert text.startswith(" ".join(lines).rstrip("\u2026"))
    assert lines[1].endswith("\u2026")
    assert all(typeface.getlength(line) <= 120 for line in lines)
    assert fit("short", typeface, 120, 2) == ["short"]
    assert fit("Donaudampfschifffahrtsgesellschaft" * 3, typeface, 120, 1)[0].endswith("\u2026")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the red fish?", "the red fish?"),
        ("two\nlines", "two\nlines"),
        ("le caf\u00e9 ferm\u00e9", "le cafe ferme"),
        ("cafe\u0301", "cafe"),
        ("\u7ea2\u8272\u7684\u9c7c", "query 7"),
        ("the \u7ea2 fish", "query 7"),
        ("\u0301", "query 7"),
    ],
)
def test_a_text_is_shown_in_letters_that_the_font_has(text: str, shown: str) -> None:
    assert legible(text, "query 7") == shown


@pytest.mark.parametrize("writer", [write_overlay, write_sheet])
def test_queries_in_another_script_are_numbered_in_pictures(writer, tmp_path: Path) -> None:
    pictures = []
    for folder, queries in (("strange", ("\u7ea2\u9c7c", "caf\u00e9", "\u043a\u043e\u0442")), ("plain", ("query 1", "cafe", "query 3"))):
        (tmp_path / folder).mkdir()
        path = writer(_prediction(num_frames=1, objects_per_query=(1, 2, 0), queries=queries), tmp_path / folder)
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(("height", "width", "queries"), [(128, 128, 12), (720, 1280, 3), (1080, 1920, 30), (24, 400, 5)])
def test_legend_takes_a_third_of_the_frame_at_most(height: int, width: int, queries: int) -> None:
    frame_HWC = np.full((height, width, 3), 255, dtype=np.uint8)
    Legend([f"what query number {i} looks for" for i in range(queries)], height, width).draw(frame_HWC)
    changed = np.flatnonzero((frame_HWC != 255).any((1, 2)))
    assert len(changed) and changed[-1] == height - 1
    assert len(changed) <= max(0.34 * height + 8, 16)


def test_png_masks(tmp_path: Path) -> None:
    prediction = _prediction()
    path = write_png(prediction, tmp_path)
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*.png"))
    folders = ("the-red-fish-2/1", "the-red-fish-2/2", "the-red-fish/1")
    assert files == sorted(f"{folder}/{index:05d}.png" for folder in folders for index in range(6))
    for folder, obj_idx in (("the-red-fish/1", 0), ("the-red-fish-2/1", 1), ("the-red-fish-2/2", 2)):
        for index in range(6):
            with Image.open(path / folder / f"{index:05d}.png") as picture:
                np.testing.assert_array_equal(np.asarray(picture), prediction.masks(index)[obj_idx] * np.uint8(255))


def test_a_query_without_objects_has_an_empty_folder(tmp_path: Path) -> None:
    path = write_png(_prediction(objects_per_query=(0,), queries=("a zebra",)), tmp_path)
    assert [entry.name for entry in path.iterdir()] == ["a-zebra"]
    assert not list((path / "a-zebra").iterdir())


def test_davis_label_maps(tmp_path: Path) -> None:
    prediction = _prediction()
    path = write_davis(prediction, tmp_path)
    assert sorted(file.name for file in path.iterdir()) == [f"{index:05d}.png" for index in range(6)]
    for index in range(6):
        with Image.open(path / f"{index:05d}.png") as picture:
            assert picture.mode == "P"
            assert picture.getpalette() == davis_palette().ravel().tolist()
            labels_HW = np.asarray(picture)
        for obj_idx, mask_HW in enumerate(prediction.masks(index)):
            np.testing.assert_array_equal(labels_HW == obj_idx + 1, mask_HW)


def test_davis_cannot_number_more_than_255_objects(tmp_path: Path) -> None:
    with pytest.raises(VideoError) as error:
        write_davis(_prediction(num_frames=1, objects_per_query=(256,), queries=("crowd",)), tmp_path)
    assert str(error.value) == "davis: 256 objects, but a palette image numbers at most 255; use the format png or coco"
    assert not list(tmp_path.iterdir())


def test_sheet_shows_eight_frames_and_a_row_for_each_query(tmp_path: Path) -> None:
    with Image.open(write_sheet(_prediction(num_frames=50, size=(100, 200)), tmp_path)) as picture:
        sheet_HWC = np.asarray(picture).astype(int)
    tops, lefts = (112, 268), [12 + 204 * column for column in range(8)]  # thumbnails have the frames' own size here
    assert sheet_HWC.shape == (268 + 100 + 12, lefts[-1] + 200 + 12, 3)
    for row, top in enumerate(tops):
        background = np.abs(sheet_HWC[top + 90] - GREY).max(-1) <= 2  # a line below the squares
        assert (np.flatnonzero(np.diff(background.astype(int)) == 1) + 1).tolist() == lefts
        for column, index in enumerate([0, 7, 14, 21, 28, 35, 42, 49]):
            middle = sheet_HWC[top + 20 + 30 * row, lefts[column] + 20 + 2 * index]
            assert middle == pytest.approx(0.55 * GREY + 0.45 * np.array(QUERY_COLOURS[row]), abs=3)


@pytest.mark.parametrize(
    ("queries", "slugs"),
    [
        (["The red Fish!"], ["the-red-fish"]),
        (["a b", "a-b", "A  B?"], ["a-b", "a-b-2", "a-b-3"]),
        (["a", "a", "a 2"], ["a", "a-2", "a-2-2"]),
        (["\u7ea2\u8272\u7684\u9c7c", "???"], ["\u7ea2\u8272\u7684\u9c7c", "query"]),
        (["\u0932\u093e\u0932 \u092e\u091b\u0932\u0940"], ["\u0932\u093e\u0932-\u092e\u091b\u0932\u0940"]),  # vowel signs are no spaces
        (["../../etc/passwd"], ["etc-passwd"]),
        (["x" * 50, "x" * 60], ["x" * 40, "x" * 38 + "-2"]),
        (["y" * 39 + " z"], ["y" * 39]),
    ],
)
def test_slugs(queries: list[str], slugs: list[str]) -> None:
    assert query_slugs(queries) == slugs


WRITERS = [(write_overlay, "overlay.mp4"), (write_png, "png"), (write_davis, "davis"), (write_sheet, "sheet.png")]


@pytest.mark.parametrize(("writer", "name"), WRITERS)
def test_nothing_is_overwritten(writer, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(VideoError) as error:
        writer(_prediction(), tmp_path)
    assert str(error.value) == f"{tmp_path / name}: already exists and is not overwritten; remove it or choose another folder"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


@pytest.mark.parametrize("writer", [write_overlay, write_sheet])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), VideoError("clip: damaged")])
def test_an_interrupted_writer_leaves_nothing(writer, failure: BaseException, tmp_path: Path) -> None:
    prediction = _prediction(num_frames=40)
    original = prediction.video

    def read(frame_idx: Sequence[int]) -> np.ndarray:
        if max(frame_idx) > 30:
            raise failure
        return original.read(frame_idx)

    video = Video("clip", "memory", 120, 160, original.timestamps_T, original.duration, read, original.frame_names)
    with pytest.raises(type(failure)):
        writer(Prediction(video, prediction.results), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out") as draft:
        (draft / "half.png").touch()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_working_directory_that_is_filled_is_the_one_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat()
    with fill_folder(tmp_path) as draft:
        (draft / "masks").mkdir()
        (draft / "masks" / "0.png").touch()
        (draft / "sheet.png").touch()
        assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["masks", "masks/0.png", "sheet.png"]
    assert os.path.samestat(tmp_path.stat(), before)


def test_filling_the_working_directory_replaces_nothing_that_came_in_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError) as error, fill_folder(tmp_path) as draft:
        (draft / "a.png").touch()
        (draft / "b.png").touch()
        (tmp_path / "b.png").write_text("mine")
    assert str(error.value) == f"{tmp_path}/b.png: already exists and is not overwritten; remove it or choose another folder"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("b.png", "mine")]


def test_an_empty_folder_is_replaced_in_one_step(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o750)
    with fill_folder(out) as draft:
        (draft / "a.png").touch()
        assert not list(out.iterdir()) and draft.parent == tmp_path
    assert [path.name for path in out.iterdir()] == ["a.png"] and out.stat().st_mode & 0o777 == 0o750
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(5, "Input/output error")])
def test_a_folder_whose_filling_stops_at_the_last_moment_is_empty_again(failure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def stop_at_b(path: Path, target: Path) -> Path:
        if path.name == "b.png":
            raise failure
        return rename(path, target)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "rename", stop_at_b)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else VideoError
    with pytest.raises(expected) as error, fill_folder(tmp_path) as draft:
        (draft / "a.png").touch()
        (draft / "b.png").touch()
    assert not list(tmp_path.iterdir())
    if expected is VideoError:
        assert str(error.value) == (
            f"{tmp_path}: cannot be written (Input/output error); check the free space and permissions of {tmp_path}"
        )


def test_the_folder_to_write_to_must_exist(tmp_path: Path) -> None:
    with pytest.raises(VideoError) as error, new_file(tmp_path / "none" / "a.json"):
        pass
    assert str(error.value) == f"{tmp_path}/none/a.json: no folder {tmp_path}/none to write to; create it first"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(VideoError, match="cannot be written \\(Permission denied\\); check the free space and permissions of"):
        write_overlay(_prediction(), tmp_path)


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    with pytest.raises(VideoError) as error, new_file(tmp_path / "a.json"):
        raise OSError(28, "No space left on device")
    assert (
        str(error.value)
        == f"{tmp_path}/a.json: cannot be written (No space left on device); check the free space and permissions of {tmp_path}"
    )


@pytest.mark.parametrize(
    ("row", "column", "shown_at"),
    [(0, 0, "lower left"), (119, 0, "lower right"), (119, slice(None), "upper left"), ((0, 119), slice(0, 90), "lower right")],
)
def test_the_legend_stands_in_the_first_corner_where_it_hides_least(row, column, shown_at):
    occupied = np.zeros((120, 200), dtype=int)
    occupied[row, column] = 1
    legend = Legend(["the key"], 120, 200)
    legend.avoid(occupied)
    frame = np.full((120, 200, 3), 255, dtype=np.uint8)
    legend.draw(frame)
    dark = (frame < 200).any(axis=-1)
    corners = {"lower left": dark[-1, 0], "lower right": dark[-1, -1], "upper left": dark[0, 0], "upper right": dark[0, -1]}
    assert [name for name, is_dark in corners.items() if is_dark] == [shown_at]
