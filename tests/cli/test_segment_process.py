"""The command as a user starts it: a process of its own, the bundled model, a real file, real outputs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import saymask
from saymask.cli.demo import SCENE, SPLIT, write_clip
from saymask.cli.output import first_free
from saymask.toyworld.dataset import load_toyworld

NUM_FRAMES, SIZE = 4, 128


def start(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "saymask", *words], cwd=folder, capture_output=True, text=True)


def test_a_video_becomes_masks_in_files(tmp_path):
    drawn = load_toyworld(None, SPLIT)[SCENE].video
    write_clip(saymask.Video.from_frames(drawn.frames(range(NUM_FRAMES)), fps=12, **drawn.tags), tmp_path / "clip.mp4")
    words = ["segment", "clip.mp4", "the yellow fish", "the green hammer", "--dtype", "float32", "--format", "overlay,png,json"]

    ended = start(tmp_path, *words)

    out = tmp_path / "saymask-out" / "clip"
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-3:] == [f"wrote saymask-out/clip/{name}" for name in ("overlay.mp4", "png", "prediction.json")]
    assert sorted(path.name for path in out.iterdir()) == ["overlay.mp4", "png", "prediction.json"]
    with saymask.open_video(tmp_path / "clip.mp4", dtype="float32") as session:
        asked_here = session.segment(["the yellow fish", "the green hammer"])
    written = saymask.Prediction.load(out / "prediction.json")
    assert [result.query for result in written.results] == ["the yellow fish", "the green hammer"]
    for frame_idx in range(NUM_FRAMES):
        masks_NHW = written.masks(frame_idx)
        assert masks_NHW.shape == (2, SIZE, SIZE) and masks_NHW.any((1, 2)).all()
        assert (masks_NHW == asked_here.masks(frame_idx)).all()
        for slug, mask_HW in zip(("the-yellow-fish", "the-green-hammer"), masks_NHW, strict=True):
            image_HW = np.asarray(Image.open(out / "png" / slug / "1" / f"{frame_idx:05d}.png"))
            assert (image_HW == 255 * mask_HW).all()


def test_a_format_that_does_not_exist_ends_the_process_with_2_and_one_line(tmp_path):
    ended = start(tmp_path, "segment", "clip.mp4", "the fish", "--format", "pgn")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("saymask: error: ") and "'pgn'" in line and "'png'" in line
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_killed_while_it_tries_the_output_folder_leaves_it_to_the_next(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "import os, pathlib, sys\n"
        "from saymask.cli.output import first_free\n"
        "sys.addaudithook(lambda event, args: os._exit(9) if event == 'shutil.rmtree' else None)\n"
        f"first_free(pathlib.Path({str(out)!r}))\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert len(list(out.iterdir())) == 1, "it died with the folder it tries in place"
    assert first_free(out) == out
    assert list(out.iterdir()) == []
