"""Seeds made here, and what is done to a copy of them; a seed and a number decide everything."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from saymask.models.checkpoints import bundled_folder

KINDS = ("mp4", "mkv", "gif", "avi", "frames", "png", "own", "model")
_SIZE = (48, 64)
_VALUES = (None, -1, 0, 2**31, 2**63, 1e308, float("nan"), "", "x" * 300, "\ud800", [], {}, True, "../../etc/passwd", "9" * 5000)


def make_seeds(folder: Path) -> dict[str, Path]:
    """One sound input of each kind."""
    folder.mkdir(parents=True)
    seeds = {kind: folder / f"clip.{kind}" for kind in KINDS}
    for kind, codec, pix_fmt in (
        ("mp4", "libx264", "yuv420p"),
        ("mkv", "libx264", "yuv420p"),
        ("gif", "gif", "rgb8"),
        ("avi", "mpeg4", "yuv420p"),
    ):
        _encode(seeds[kind], codec, pix_fmt)
    Image.fromarray(_frame(0)).save(seeds["png"])
    seeds["frames"].mkdir()
    for number in range(4):
        Image.fromarray(_frame(number)).save(seeds["frames"] / f"{number:05d}.png")
    _own_data(seeds["own"], seeds["frames"])
    shutil.copytree(bundled_folder("toy"), seeds["model"])
    return seeds


def mutate(path: Path, kind: str, seed: int, number: int) -> None:
    """Change a copy of a seed in place."""
    rng = random.Random(f"{seed} {number}")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in rng.sample(files, min(len(files), rng.choice((1, 1, 2)))):
        if file.suffix == ".json" and rng.random() < 0.7:
            _change_json(file, rng)
        elif path.is_dir() and rng.random() < 0.15:
            _replace_entry(file, rng)
        else:
            _change_bytes(file, rng)


def _change_bytes(file: Path, rng: random.Random) -> None:
    """Flip, cut, repeat or append bytes; the beginning, where headers are, more often."""
    data = bytearray(file.read_bytes())
    way = rng.choice(("flip", "flip", "number", "cut", "repeat", "append", "empty"))
    if way == "empty" or not data:
        data = bytearray()
    elif way in ("flip", "number"):
        for _ in range(rng.choice((1, 3, 20))):
            place = rng.randrange(min(len(data), rng.choice((64, 2048, len(data)))))
            length = 4 if way == "number" else 1
            data[place : place + length] = rng.choice((b"\0", b"\xff", b"\x7f", rng.randbytes(1))) * length
    elif way == "cut":
        del data[rng.randrange(len(data)) :]
    elif way == "repeat":
        place = rng.randrange(len(data))
        data[place:place] = data[place : place + 256]
    else:
        data += rng.randbytes(rng.choice((1, 1000)))
    file.write_bytes(data)


def _change_json(file: Path, rng: random.Random) -> None:
    """Replace or remove one value, or nest it deep."""
    content = json.loads(file.read_text(encoding="utf-8"))
    places = list(_places(content))
    if not places or rng.random() < 0.05:
        file.write_text("[" * 100_000 if rng.random() < 0.5 else "{" + '"a":' * 5, encoding="utf-8")
        return
    holder, key = rng.choice(places)
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = rng.choice(_VALUES)
    file.write_text(json.dumps(content), encoding="utf-8")


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            if not (isinstance(value[key], list) and len(value[key]) > 1000):
                yield from _places(value[key])


def _replace_entry(file: Path, rng: random.Random) -> None:
    """Something else under the file's name: nothing, a folder, a pipe, a loop, or another name."""
    import os

    way = rng.choice(("gone", "folder", "pipe", "loop", "renamed"))
    content = file.read_bytes()
    file.unlink()
    if way == "folder":
        file.mkdir()
    elif way == "pipe":
        os.mkfifo(file)
    elif way == "loop":
        file.symlink_to(file.name)
    elif way == "renamed":
        file.with_name("renamed" + rng.choice((".dat", ".JPG", "\u7ea2"))).write_bytes(content)


def _frame(number: int) -> np.ndarray:
    frame_HWC = np.full((*_SIZE, 3), 90, dtype=np.uint8)
    frame_HWC[10:20, 4 * number : 4 * number + 10] = (200, 30, 30)
    return frame_HWC


def _encode(path: Path, codec: str, pix_fmt: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = (*_SIZE, pix_fmt)
        for number in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_frame(number), format="rgb24")))
        container.mux(stream.encode())


def _own_data(root: Path, frames: Path) -> None:
    (root / "masks").mkdir(parents=True)
    shutil.copytree(frames, root / "videos/clip")
    images = [{"id": i, "file_name": f"{i:05d}.png", "height": _SIZE[0], "width": _SIZE[1]} for i in range(4)]
    outline = [[4, 10, 14, 10, 14, 20, 4, 20]]
    annotations = [{"id": i + 1, "image_id": i, "track_id": 1, "category_id": 1, "segmentation": outline} for i in range(4)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "box"}]}
    (root / "masks/clip.json").write_text(json.dumps(content), encoding="utf-8")
    (root / "sentences.csv").write_text("video,objects,sentence\nclip,box,the red box\n", encoding="utf-8")
