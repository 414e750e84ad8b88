"""One sound input of each kind, small and quick to read."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from published_folders import save_owlv2

from saymask.models.checkpoints import save_model
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.prompts import FORCED_ANSWER, chat, phrase
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.weights import save_xmem
from saymask.training.tokenizer import train_tokenizer

SIZE = (48, 64)
_OUTLINE = [[4, 10, 14, 10, 14, 20, 4, 20]]


def _frame(number: int) -> np.ndarray:
    frame_HWC = np.full((*SIZE, 3), 90, dtype=np.uint8)
    frame_HWC[10:20, 4 * number : 4 * number + 10] = (200, 30, 30)
    return frame_HWC


def _video(codec: str, pix_fmt: str) -> Callable[[Path], None]:
    def encode(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = (*SIZE, pix_fmt)
            for number in range(12):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(_frame(number), format="rgb24")))
            container.mux(stream.encode())

    return encode


def _image(path: Path) -> None:
    Image.fromarray(_frame(0)).save(path)


def _frames(path: Path) -> None:
    path.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(_frame(number)).save(path / f"{number:05d}.png")


def _own(write_masks: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        _frames(root / "videos/clip")
        (root / "masks").mkdir()
        write_masks(root / "masks")
        (root / "sentences.csv").write_text("video,objects,sentence\nclip,1,the red box\n", encoding="utf-8")

    return make


def _coco(masks: Path) -> None:
    images = [{"id": i, "file_name": f"{i:05d}.png", "height": SIZE[0], "width": SIZE[1]} for i in range(4)]
    annotations = [{"id": i + 1, "image_id": i, "track_id": 1, "category_id": 1, "segmentation": _OUTLINE} for i in range(4)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "box"}]}
    (masks / "clip.json").write_text(json.dumps(content), encoding="utf-8")


def _run_lengths(masks: Path) -> None:
    _coco(masks)
    content = json.loads((masks / "clip.json").read_text(encoding="utf-8"))
    for annotation in content["annotations"]:
        annotation["segmentation"] = {"size": list(SIZE), "counts": [490, 100, SIZE[0] * SIZE[1] - 590]}
    (masks / "clip.json").write_text(json.dumps(content), encoding="utf-8")


def _label_maps(masks: Path) -> None:
    (masks / "clip").mkdir()
    for number in range(4):
        labels_HW = np.zeros(SIZE, dtype=np.uint8)
        labels_HW[10:20, 4 * number : 4 * number + 10] = 1
        Image.fromarray(labels_HW).save(masks / "clip" / f"{number:05d}.png")


def _labelme(masks: Path) -> None:
    (masks / "clip").mkdir()
    corners = [list(corner) for corner in zip(_OUTLINE[0][::2], _OUTLINE[0][1::2], strict=True)]
    for number in range(4):
        shape = {"label": "box", "points": corners, "group_id": 1, "shape_type": "polygon", "flags": {}}
        content = {"version": "5.0", "flags": {}, "shapes": [shape], "imagePath": f"{number:05d}.png", "imageData": None}
        content |= {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (masks / "clip" / f"{number:05d}.json").write_text(json.dumps(content), encoding="utf-8")


def _model(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer([chat(phrase(text), FORCED_ANSWER, "") for text in ("the red fish", "the blue key")], vocab_size=400)
    config = VideoLisaConfig.debug(seg_token_id=tokenizer.convert_tokens_to_ids("[SEG]"))
    save_model(VideoLisaModel(config), VideoLisaProcessor(tokenizer, config), folder)


def _released(folder: Path) -> None:
    """The published layout, with the vision tower's folder in it."""
    fake = runpy.run_path(str(Path(__file__).parents[2] / "bench/fake_release.py"))
    _, tower = fake["write_release"](folder.parent / "release", *fake["SCALES"]["tiny"], fake["random_tensors"](0), shard_bytes=100_000)
    (folder.parent / "release" / "model").rename(folder)
    tower.rename(folder / tower.name)


def _tracker(folder: Path) -> None:
    torch.manual_seed(0)
    save_xmem(XMemNetwork(XMemConfig.debug()), folder)


def _detector(folder: Path) -> None:
    folder.mkdir()
    save_owlv2(folder)


_MAKERS: dict[str, Callable[[Path], None]] = {
    "mp4": _video("libx264", "yuv420p"),
    "mkv": _video("libx264", "yuv420p"),
    "gif": _video("gif", "rgb8"),
    "avi": _video("mpeg4", "yuv420p"),
    "png": _image,
    "frames": _frames,
    "own-coco": _own(_coco),
    "own-rle": _own(_run_lengths),
    "own-maps": _own(_label_maps),
    "own-labelme": _own(_labelme),
    "model": _model,
    "released": _released,
    "tracker": _tracker,
    "detector": _detector,
}
KINDS = tuple(_MAKERS)


def make_seed(kind: str, folder: Path) -> Path:
    """Write the sound input of a kind below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"clip.{kind}"
    _MAKERS[kind](path)
    return path


def copy_seed(seed: Path, path: Path) -> None:
    """An input of its own, to be changed."""
    shutil.copytree(seed, path) if seed.is_dir() else shutil.copy(seed, path)
