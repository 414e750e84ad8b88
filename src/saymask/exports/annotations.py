"""Masks as annotation files: COCO (one image per frame), YouTube-VIS (one entry per object) and packed bits in .npz.

Objects are numbered from 1 in the order of `Prediction.objects()`, categories are the queries. Boxes in the JSON formats are COCO's
x, y, width, height. Like every writer, these take a `Prediction` and an existing folder and return the file they made.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from saymask.records import Prediction, Rle, Video
from saymask.storage.atomic import new_file
from saymask.video.masks import rle_to_coco


def write_coco(prediction: Prediction, directory: Path) -> Path:
    """COCO instances, coco.json: an image per frame, an annotation per object and frame.

    A frame where an object has no pixels gets no annotation; `track_id` ties an object's annotations together. Loads with
    `pycocotools.coco.COCO`. Segmentations are compressed RLE, whose `counts` are a string.
    """
    video = prediction.video
    annotations: list[dict[str, Any]] = []
    for track_id, place, masklet in prediction.tracks():
        for index, (rle, score) in enumerate(zip(masklet.rle_T, masklet.frame_scores_T, strict=True)):
            if rle.area:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": index + 1,
                        "category_id": place + 1,
                        "track_id": track_id,
                        "segmentation": rle_to_coco(rle),
                        "bbox": _xywh(rle),
                        "area": rle.area,
                        "iscrowd": 0,
                        "score": round(float(score), 6),
                    }
                )
    images = [
        {"id": index + 1, "file_name": frame_file(video, name), "height": video.height, "width": video.width, "frame_index": index}
        for index, name in enumerate(video.frame_names)
    ]
    content = {"info": _info(prediction), "images": images, "categories": _categories(prediction), "annotations": annotations}
    return _write_json(directory / "coco.json", content)


def write_ytvis(prediction: Prediction, directory: Path) -> Path:
    """YouTube-VIS, ytvis.json: per object a list with an RLE for every frame, null where it is gone."""
    video = prediction.video
    annotations = [
        {
            "id": track_id,
            "video_id": 1,
            "category_id": place + 1,
            "segmentations": [rle_to_coco(rle) if rle.area else None for rle in masklet.rle_T],
            "bboxes": [_xywh(rle) if rle.area else None for rle in masklet.rle_T],
            "areas": [rle.area or None for rle in masklet.rle_T],
            "iscrowd": 0,
            "height": video.height,
            "width": video.width,
            "score": round(float(np.mean(masklet.frame_scores_T)), 6),
        }
        for track_id, place, masklet in prediction.tracks()
    ]
    entry = {
        "id": 1,
        "height": video.height,
        "width": video.width,
        "length": video.num_frames,
        "file_names": [f"{video.name}/{frame_file(video, name)}" for name in video.frame_names],
    }
    content = {"info": _info(prediction), "videos": [entry], "categories": _categories(prediction), "annotations": annotations}
    return _write_json(directory / "ytvis.json", content)


def write_npz(prediction: Prediction, directory: Path) -> Path:
    """Masks as packed bits, masks.npz, with their shape, timestamps, queries and object ids.

    `shape` is (N, T, H, W), `timestamps` (T), `source` where the video came from; `queries` and `obj_ids` have one entry per object.

    To unpack:
        z = np.load("masks.npz")
        N, T, H, W = z["shape"]
        masks_NTHW = np.unpackbits(z["masks"], axis=-1, count=H * W).reshape(N, T, H, W).astype(bool)
    """
    video = prediction.video
    objects = list(prediction.objects())
    shape = (len(objects), video.num_frames, video.height, video.width)
    small = {
        "shape": np.array(shape),
        "queries": np.array([result.query for result, _ in objects], dtype=np.str_),
        "obj_ids": np.array([masklet.obj_id for _, masklet in objects], dtype=np.int64),
        "timestamps": video.timestamps_T,
        "source": np.array(video.source, dtype=np.str_),
    }
    packed_header = {"descr": "|u1", "fortran_order": False, "shape": (*shape[:2], -(-video.height * video.width // 8))}
    path = directory / "masks.npz"
    with new_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in small.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
        with archive.open("masks.npy", "w", force_zip64=True) as member:  # mask by mask: np.savez would hold all of them
            np.lib.format.write_array_header_1_0(member, packed_header)
            for _, masklet in objects:
                for rle in masklet.rle_T:
                    member.write(np.packbits(rle.decode().ravel()).tobytes())
    return path


def frame_file(video: Video, frame_name: str) -> str:
    """The frame's own file; frames of a video file have none and are called as a tool that extracts them would."""
    return video.frame_files.get(frame_name, f"{frame_name}.jpg")


def _categories(prediction: Prediction) -> list[dict[str, Any]]:
    return [{"id": number, "name": result.query, "supercategory": "query"} for number, result in enumerate(prediction.results, start=1)]


def _info(prediction: Prediction) -> dict[str, Any]:
    video = prediction.video
    return {"description": f"masks of {video.name} by saymask", "video": video.name, "source": video.source, "fps": round(video.fps, 6)}


def _xywh(rle: Rle) -> list[float]:
    x0, y0, x1, y1 = rle.box() or (0, 0, 0, 0)
    return [float(x0), float(y0), float(x1 - x0), float(y1 - y0)]


def _write_json(path: Path, content: dict[str, Any]) -> Path:
    with new_file(path) as draft:
        draft.write_text(json.dumps(content), encoding="utf-8")
    return path
