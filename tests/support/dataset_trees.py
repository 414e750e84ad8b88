"""Miniature datasets on disk, each in the true layout of its release, two or three frames per video.

`TREES[name].build(folder)` writes a dataset below `folder` and returns the root to load it from. What it draws is known exactly: frames are
`WIDTH` x `HEIGHT`; object k is `SIDE` x `SIDE` pixels, its upper left corner at row 2, column 1 + 6 (k - 1) + t on frame t. So objects 1, 2
and 3 never touch, each covers 16 of 240 pixels, and every mask can be written down by hand.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from saymask.exports.encoder import write_video

HEIGHT, WIDTH, SIDE = 12, 20, 4


def block(obj_id: int, t: int = 0) -> np.ndarray:
    """Object `obj_id` on frame t -> bool mask_HW."""
    mask_HW = np.zeros((HEIGHT, WIDTH), bool)
    left = 1 + 6 * (obj_id - 1) + t
    mask_HW[2 : 2 + SIDE, left : left + SIDE] = True
    return mask_HW


def blocks(obj_ids: Iterable[int], num_frames: int) -> np.ndarray:
    """Union of objects on every frame -> bool masks_THW."""
    masks_THW = np.zeros((num_frames, HEIGHT, WIDTH), bool)
    for t in range(num_frames):
        for obj_id in obj_ids:
            masks_THW[t] |= block(obj_id, t)
    return masks_THW


def rle(mask_HW: np.ndarray) -> dict[str, Any]:
    """COCO's compressed RLE, by its reference library."""
    encoded = coco_mask.encode(np.asfortranarray(mask_HW.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_frames(folder: Path, names: Iterable[str]) -> None:
    """JPEG frames of a grey level that rises from frame to frame: 40, 80, 120 ..."""
    folder.mkdir(parents=True)
    for t, name in enumerate(names):
        Image.new("RGB", (WIDTH, HEIGHT), (40 + 40 * t,) * 3).save(folder / f"{name}.jpg")


def write_label_maps(folder: Path, names: Iterable[str], obj_ids: Iterable[int]) -> None:
    """Palette PNGs in which a pixel's number is its object."""
    folder.mkdir(parents=True)
    obj_ids = list(obj_ids)
    for t, name in enumerate(names):
        labels_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
        for obj_id in obj_ids:
            labels_HW[block(obj_id, t)] = obj_id
        image = Image.fromarray(labels_HW).convert("P")
        image.putpalette([channel for label in range(256) for channel in (label, 255 - label, 7)])
        image.save(folder / f"{name}.png")


def build_reasonvos(folder: Path) -> Path:
    """Two videos of two sources; the second has two objects. Masks are 0/255; on object 2's last frame everything is black."""
    root = folder / "ReasonVOS"
    videos = {
        "0a1b": {
            "source": "MOSE",
            "frames": ["00000", "00001"],
            "expressions": {"0": {"obj_id": 1, "exp_text": "the animal that barks", "is_sent": False}},
        },
        "cat-7": {
            "source": "burst",
            "frames": ["frame0002", "frame0010"],
            "expressions": {
                "0": {"obj_id": 1, "exp_text": "Which one will fall?", "is_sent": True},
                "1": {"obj_id": 2, "exp_text": "What leaves the picture?", "is_sent": True},
            },
        },
    }
    write_json(root / "meta_expressions.json", {"videos": videos})
    for name, source, obj_ids in [("0a1b", "mose", [1]), ("cat-7", "burst", [1, 2])]:
        frames = videos[name]["frames"]
        write_frames(root / "JPEGImages" / name, frames)
        for obj_id in obj_ids:
            masks = root / "Annotations" / f"{source}_{name}_{obj_id}"
            masks.mkdir(parents=True)
            for t, frame in enumerate(frames):
                mask_HW = block(obj_id, t) & (obj_id != 2 or t == 0)
                Image.fromarray(mask_HW.astype(np.uint8) * 255).save(masks / f"{frame}.png")
    return root


def write_mask_dict(path: Path, objects: dict[int, tuple[int, int]]) -> None:
    """`anno_id -> (object, number of frames)`; object 3 is null (absent) on frame 0."""
    entries = {}
    for anno_id, (obj_id, num_frames) in objects.items():
        entries[str(anno_id)] = [None if obj_id == 3 and t == 0 else rle(block(obj_id, t)) for t in range(num_frames)]
    write_json(path, entries)


def _mevis_videos(no_target: bool) -> dict[str, Any]:
    birds = {
        "vid_id": 0,
        "frames": ["00000", "00001", "00002"],
        "expressions": {
            "0": {"exp": "the bird flying away", "obj_id": [0], "anno_id": [10]},
            "1": {"exp": "two birds that stay", "obj_id": [1, 2], "anno_id": [11, 12]},
        },
    }
    coin = {
        "vid_id": 1,
        "frames": ["00000", "00001"],
        "expressions": {"0": {"exp": "the coin that rolls", "obj_id": [0], "anno_id": [13]}},
    }
    if no_target:
        coin["expressions"]["1"] = {"exp": "a coin that flies", "obj_id": [], "anno_id": []}
    return {"bird": birds, "coin": coin}


def _build_mevis(root: Path, meta_name: str, no_target: bool) -> Path:
    videos = _mevis_videos(no_target)
    for split in ("train", "valid_u", "valid"):
        entries = videos
        if split == "valid":  # as released: sentences alone
            entries = {
                name: video | {"expressions": {key: {"exp": entry["exp"]} for key, entry in video["expressions"].items()}}
                for name, video in videos.items()
            }
        else:
            write_mask_dict(root / split / "mask_dict.json", {10: (1, 3), 11: (2, 3), 12: (3, 3), 13: (1, 2)})
        write_json(root / split / meta_name, {"videos": entries})
        for name, video in videos.items():
            write_frames(root / split / "JPEGImages" / name, video["frames"])
    return root


def build_mevis(folder: Path) -> Path:
    """Two videos in each of three splits; anno_id 10, 11, 12 are objects 1, 2, 3 of "bird", 13 is object 1 of "coin"."""
    return _build_mevis(folder / "mevis", "meta_expressions.json", no_target=False)


def build_mevis_v2(folder: Path) -> Path:
    """As `build_mevis`, with one more sentence, about "coin", that nothing matches."""
    return _build_mevis(folder / "MeViSv2", "meta_expressions_v2.json", no_target=True)


def build_revos(folder: Path) -> Path:
    """Two videos of two sources with a slash in their ids, one sentence of every type in the first."""
    root = folder / "ReVOS"
    frames = ["00000", "00001"]
    videos = {
        "UVO/all/dog": {
            "height": HEIGHT,
            "width": WIDTH,
            "frames": frames,
            "expressions": {
                "0": {"exp": "the dog", "obj_id": [1], "anno_id": [0], "type_id": 0},
                "1": {"exp": "what could bite and what could be bitten?", "obj_id": [1, 2], "anno_id": [0, 1], "type_id": 1},
                "2": {"exp": "the zebra", "obj_id": [], "anno_id": [], "type_id": 2},
            },
        },
        "MOSE/4f": {
            "height": HEIGHT,
            "width": WIDTH,
            "frames": frames,
            "expressions": {"0": {"exp": "the boat", "obj_id": [1], "anno_id": [2], "type_id": 0}},
        },
    }
    for split in ("train", "train_sub", "valid"):
        write_json(root / f"meta_expressions_{split}_.json", {"videos": videos})
    write_mask_dict(root / "mask_dict.json", {0: (1, 2), 1: (2, 2), 2: (3, 2)})
    for name in videos:
        write_frames(root / "JPEGImages" / name, frames)
    foreground = {name: {"masks_rle": [rle(mask) for mask in blocks((1, 2), 2)], "foreground_ratio": [32 / 240] * 2} for name in videos}
    write_json(root / "mask_dict_foreground.json", foreground)
    return root


def build_video_reason_seg(folder: Path) -> Path:
    """A short video with a question about two objects, one with options, and one about nothing; in our schema."""
    root = folder / "video-reason-seg"
    frames = ["00000", "00001"]
    both = {
        "query": "Who chases whom?",
        "type": "who",
        "answer": "The dog {0} chases the cats {1}.",
        "instances": [{"slot": 0, "phrase": "the dog", "anno_id": [0]}, {"slot": 1, "phrase": "the cats", "anno_id": [1, 2]}],
        "mc": {"question": "What is chased?", "options": ["a dog", "two cats", "a boat", "nothing"], "correct": 1},
    }
    nobody = {"query": "Which boat sinks?", "type": "what", "answer": "There is none.", "instances": [], "mc": None}
    video = {"frames": frames, "height": HEIGHT, "width": WIDTH, "fps": 6.0, "split": "short", "samples": {"0": both, "1": nobody}}
    for split in ("train", "test"):
        write_json(root / f"meta_{split}.json", {"long": {"seconds": 30, "frames": 150}, "videos": {"chase": video}})
    write_mask_dict(root / "mask_dict.json", {0: (1, 2), 1: (2, 2), 2: (3, 2)})
    write_frames(root / "JPEGImages" / "chase", frames)
    return root


def build_ref_davis17(folder: Path) -> Path:
    """One video per split with two objects, each described by four people, in the order object by object."""
    root = folder / "ref-davis"
    frames = ["00000", "00001"]
    for split in ("train", "valid"):
        expressions = {
            str(4 * obj_idx + person): {"exp": f"person {person} on object {obj_idx + 1}", "obj_id": str(obj_idx + 1)}
            for obj_idx in range(2)
            for person in range(4)
        }
        meta = {"videos": {"judo": {"frames": frames, "expressions": expressions}}}
        write_json(root / "meta_expressions" / split / "meta_expressions.json", meta)
        write_frames(root / split / "JPEGImages" / "judo", frames)
        write_label_maps(root / split / "Annotations" / "judo", frames, (1, 2))
    return root


def build_ref_youtube_vos(folder: Path) -> Path:
    """Two videos of train; valid and test together in the valid file, as released, and the test file that tells them apart."""
    root = folder / "refer_youtube_vos"
    frames = ["00000", "00005"]
    train = {
        "003234408d": {"frames": frames, "expressions": {"0": {"exp": "a penguin", "obj_id": "1"}, "1": {"exp": "the man", "obj_id": "2"}}},
        "0043f083b5": {"frames": frames, "expressions": {"0": {"exp": "a bus", "obj_id": "1"}}},
    }
    write_json(root / "meta_expressions" / "train" / "meta_expressions.json", {"videos": train})
    for name, obj_ids in [("003234408d", (1, 2)), ("0043f083b5", (1,))]:
        write_frames(root / "train" / "JPEGImages" / name, frames)
        write_label_maps(root / "train" / "Annotations" / name, frames, obj_ids)
    hidden = {name: {"frames": frames, "expressions": {"0": {"exp": f"the owl of {name}"}}} for name in ("valid-1", "test-1")}
    write_json(root / "meta_expressions" / "valid" / "meta_expressions.json", {"videos": hidden})
    write_json(root / "meta_expressions" / "test" / "meta_expressions.json", {"videos": {"test-1": hidden["test-1"]}})
    write_frames(root / "valid" / "JPEGImages" / "valid-1", frames)
    return root


def corners(obj_id: int) -> list[list[float]]:
    """Polygon whose inside and outline are exactly object `obj_id` on frame 0."""
    left, top = 1.0 + 6 * (obj_id - 1), 2.0
    return [[left, top], [left + SIDE - 1, top], [left + SIDE - 1, top + SIDE - 1], [left, top + SIDE - 1]]


def build_reasonseg(folder: Path) -> Path:
    """In every split: a phrase with an ignored region, an image with two long questions, and one without a polygon.

    The answer to the questions stands in words in `explanatory/train.json`.
    """
    root = folder / "ReasonSeg"
    for split in ("train", "val", "test"):
        annotations = {
            "a_phrase": {
                "text": ["the thing that rings"],
                "is_sentence": False,
                "shapes": [
                    {"label": "target", "points": corners(1)},
                    {"label": "ignore", "points": corners(2)},
                    {"label": "flag", "points": corners(3)},
                ],
            },
            "b_questions": {
                "text": ["What would you open in the rain?", "Which thing keeps one dry?"],
                "is_sentence": True,
                "shapes": [{"label": "target", "points": corners(2)}, {"label": "target", "points": corners(3)}],
            },
            "c_forgotten": {"text": ["the thing nobody outlined"], "is_sentence": False, "shapes": []},
        }
        write_frames(root / split, annotations)
        for name, content in annotations.items():
            write_json(root / split / f"{name}.json", content)
    explanations = [{"image": "b_questions.jpg", "query": "Which thing keeps one dry?", "outputs": "The umbrella, for it is waterproof."}]
    write_json(root / "explanatory" / "train.json", explanations)
    return root


def _build_refcoco(folder: Path, dataset: str, split_by: str, splits: tuple[str, ...]) -> Path:
    root = folder / "refer_seg"
    photographs = root / "images" / "mscoco" / "images" / "train2014"
    names = [f"COCO_train2014_{image_id:012d}" for image_id in range(len(splits))]
    write_frames(photographs, names)
    images = [{"id": i, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)]
    annotations, refs = [], []
    for image_id, split in enumerate(splits):
        annotations.append({"id": 100 + image_id, "image_id": image_id, "segmentation": [square(1)]})
        annotations.append({"id": 200 + image_id, "image_id": image_id, "segmentation": rle(block(2))})
        for step, anno_id in enumerate((100 + image_id, 200 + image_id)):
            phrases = [{"sent_id": 10 * image_id + 2 * step + i, "sent": phrase} for i, phrase in enumerate(["left cup", "red one"])]
            refs.append(
                {"ref_id": 2 * image_id + step, "ann_id": anno_id, "image_id": image_id, "split": split, "sentences": phrases[: 2 - step]}
            )
    write_json(root / dataset / "instances.json", {"images": images, "annotations": annotations})
    (root / dataset / f"refs({split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def build_refcoco(folder: Path) -> Path:
    """One photograph per split with two outlined things: two phrases for the first (a polygon), one for the second (an RLE)."""
    return _build_refcoco(folder, "refcoco", "unc", ("train", "val", "testA", "testB"))


def build_refcoco_plus(folder: Path) -> Path:
    """As `build_refcoco`."""
    return _build_refcoco(folder, "refcoco+", "unc", ("train", "val", "testA", "testB"))


def build_refcocog(folder: Path) -> Path:
    """As `build_refcoco`, with one test split and the phrases in refs(umd).p."""
    return _build_refcoco(folder, "refcocog", "umd", ("train", "val", "test"))


def build_lv_vis(folder: Path) -> Path:
    """One video with two categories; the first has two objects."""
    root = folder / "lvvis"
    frames = ["00000", "00001"]
    expressions = {"0": {"exp": "traffic_cone", "obj_id": [0, 1], "anno_id": [0, 1]}, "1": {"exp": "goat", "obj_id": [2], "anno_id": [2]}}
    write_json(root / "train" / "meta_expressions.json", {"videos": {"00123": {"frames": frames, "expressions": expressions}}})
    write_mask_dict(root / "train" / "mask_dict.json", {0: (1, 2), 1: (2, 2), 2: (3, 2)})
    write_frames(root / "train" / "JPEGImages" / "00123", frames)
    return root


def build_youtube_vos(folder: Path) -> Path:
    """One video with three objects: two of category "giant_panda", one of category "person"."""
    root = folder / "YTVOS"
    frames = ["00000", "00005"]
    objects = {
        "1": {"category": "giant_panda", "frames": frames},
        "2": {"category": "person", "frames": frames},
        "3": {"category": "giant_panda", "frames": frames},
    }
    write_json(root / "train" / "meta.json", {"videos": {"0062f687f1": {"objects": objects}}})
    write_frames(root / "train" / "JPEGImages" / "0062f687f1", frames)
    write_label_maps(root / "train" / "Annotations" / "0062f687f1", frames, (1, 2, 3))
    return root


def write_label_map(path: Path, labels_HW: np.ndarray) -> None:
    """A grey PNG of class numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels_HW.astype(np.uint8)).save(path)


def build_ade20k(folder: Path) -> Path:
    """A wall (1) with a person (13, object 1) and something else (0, object 2); and two cars (21) in front of nothing that has a class."""
    root = folder / "ade20k"
    wall = np.where(block(1), 13, np.where(block(2), 0, 1))
    cars = np.where(block(1) | block(2), 21, 0)
    names = ["ADE_train_00000001", "ADE_train_00000002"]
    write_frames(root / "images" / "training", names)
    for name, labels_HW in zip(names, (wall, cars), strict=True):
        write_label_map(root / "annotations" / "training" / f"{name}.png", labels_HW)
    return root


def build_coco_stuff(folder: Path) -> Path:
    """A person (0, object 1) and wood (181, object 2) before sky-other (156), unlabelled (255) below; and a road (148, object 3)."""
    scene = np.where(block(1), 0, np.where(block(2), 181, 156))
    scene[8:] = 255
    names = ["000000000009", "000000000025"]
    write_frames(folder / "coco" / "train2017", names)
    for name, labels_HW in zip(names, (scene, np.where(block(3), 148, 255)), strict=True):
        write_label_map(folder / "cocostuff" / "train2017" / f"{name}.png", labels_HW)
    return folder


def square(obj_id: int) -> list[float]:
    """COCO's polygon of an object on frame 0: it fills up to the far corner's coordinates, so that of a 4 x 4 block is 4 wide."""
    left = 1.0 + 6 * (obj_id - 1)
    return [left, 2.0, left + SIDE, 2.0, left + SIDE, 2.0 + SIDE, left, 2.0 + SIDE]


def build_paco_lvis(folder: Path) -> Path:
    """A bench (object 1) with an arm (object 2), and the lid of a trash can (object 3) beside an annotation without an outline."""
    names = ["000000000030", "000000000042"]
    write_frames(folder / "coco" / "train2017", names)
    content = {
        "images": [{"id": 30 + 12 * place, "file_name": f"train2017/{name}.jpg"} for place, name in enumerate(names)],
        "categories": [{"id": 1, "name": "bench"}, {"id": 2, "name": "bench:arm"}, {"id": 3, "name": "trash_can_(bin):lid"}],
        "annotations": [
            {"id": 501, "image_id": 30, "category_id": 1, "segmentation": [square(1)]},
            {"id": 502, "image_id": 30, "category_id": 2, "segmentation": rle(block(2))},
            {"id": 503, "image_id": 42, "category_id": 3, "segmentation": [square(3)]},
            {"id": 504, "image_id": 42, "category_id": 3, "segmentation": []},
        ],
    }
    write_json(folder / "vlpart" / "paco" / "annotations" / "paco_lvis_v1_train.json", content)
    return folder


def build_pascal_part(folder: Path) -> Path:
    """A dog's head (object 1) in one picture, two wings of an aeroplane (objects 2 and 3) in another."""
    root = folder / "vlpart" / "pascal_part"
    names = ["2008_000008", "2008_000023"]
    write_frames(root / "VOCdevkit" / "VOC2010" / "JPEGImages", names)
    content = {
        "images": [{"id": place, "file_name": f"{name}.jpg"} for place, name in enumerate(names)],
        "categories": [{"id": 1, "name": "dog:head"}, {"id": 2, "name": "aeroplane:wing"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "segmentation": rle(block(1))},
            {"id": 2, "image_id": 1, "category_id": 2, "segmentation": rle(block(2))},
            {"id": 3, "image_id": 1, "category_id": 2, "segmentation": rle(block(3))},
        ],
    }
    write_json(root / "train.json", content)
    return folder


def build_refclef(folder: Path) -> Path:
    """A photograph of train with two phrases for a region of two pieces (objects 1 and 2), one of both test A and test B with object 3."""
    root = folder / "refer_seg"
    write_frames(root / "images" / "saiapr_tc-12", ["8756", "9001"])
    annotations = [
        {"id": "8756_1", "image_id": 8756, "segmentation": [rle(block(1)), rle(block(2))]},
        {"id": "9001_1", "image_id": 9001, "segmentation": [rle(block(3))]},
    ]
    refs = [
        {"ref_id": 0, "ann_id": "8756_1", "image_id": 8756, "split": "train", "sentences": [{"sent_id": 0, "sent": "the rocks"}]},
        {"ref_id": 1, "ann_id": "9001_1", "image_id": 9001, "split": "testAB", "sentences": [{"sent_id": 2, "sent": "sky"}]},
    ]
    refs[0]["sentences"].append({"sent_id": 1, "sent": "grey stones"})
    images = [{"id": image_id, "file_name": f"{image_id}.jpg"} for image_id in (8756, 9001)]
    write_json(root / "refclef" / "instances.json", {"images": images, "annotations": annotations})
    (root / "refclef" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    return root


def build_llava_vqa(folder: Path) -> Path:
    """A conversation of two questions and a description of the same photograph, which begins with an answer to nothing."""
    write_frames(folder / "coco" / "train2017", ["000000033471"])
    talk = [
        {"from": "human", "value": "What are the colors of the bus?\n<image>"},
        {"from": "gpt", "value": "White and red."},
        {"from": "human", "value": "Is it moving?"},
        {"from": "gpt", "value": "No."},
    ]
    description = [
        {"from": "gpt", "value": "Hello."},
        {"from": "human", "value": "<image>\nDescribe it."},
        {"from": "gpt", "value": "A bus. "},
    ]
    entries = [{"id": "000000033471", "image": "000000033471.jpg", "conversations": turns} for turns in (talk, description)]
    write_json(folder / "llava_dataset" / "llava_instruct_150k.json", entries)
    return folder


def write_mp4(path: Path, num_frames: int) -> None:
    """As `write_frames`, as a video of 8 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (np.full((HEIGHT, WIDTH, 3), 40 + 40 * t, np.uint8) for t in range(num_frames))
    write_video(path, frames, np.arange(num_frames) / 8, num_frames / 8)


def coco_masks(frames: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """A COCO file: by file name of a frame, its t and how many objects are on it; object k has the track_id k and category "block k"."""
    images = [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(frames)]
    annotations = [
        {"id": 10 * i + k, "image_id": i, "track_id": k, "category_id": k, "segmentation": rle(block(k, t))}
        for i, (t, num_objects) in enumerate(frames.values())
        for k in range(1, num_objects + 1)
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": k, "name": f"block {k}"} for k in (1, 2, 3)]}


def build_folder(folder: Path) -> Path:
    """Own data: a video of three frames in val, with a sentence about one object, one about two and one about none; an image in train."""
    write_mp4(folder / "videos" / "clip.mp4", 3)
    Image.new("RGB", (WIDTH, HEIGHT), (40, 80, 120)).save(folder / "videos" / "still.jpg")
    write_json(folder / "masks.json", coco_masks({f"clip/{t:05d}.jpg": (t, 2) for t in range(3)} | {"still.jpg": (0, 2)}))
    rows = [
        ("video", "objects", "sentence", "split"),
        ("clip.mp4", "1", "the block that is to the left", "val"),
        ("clip.mp4", "1; 2", "the two blocks", "val"),
        ("clip.mp4", "", "a circle", "val"),
        ("still.jpg", "2", "the block to the right", "train"),
    ]
    with (folder / "sentences.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    return folder


@dataclass(frozen=True)
class Tree:
    """A miniature dataset: what writes it, and a split of it whose masks are public."""

    build: Callable[[Path], Path]
    split: str


TREES: dict[str, Tree] = {
    "reasonvos": Tree(build_reasonvos, "test"),
    "mevis": Tree(build_mevis, "valid_u"),
    "mevis-v2": Tree(build_mevis_v2, "valid_u"),
    "revos": Tree(build_revos, "valid"),
    "video-reason-seg": Tree(build_video_reason_seg, "test"),
    "ref-davis17": Tree(build_ref_davis17, "valid"),
    "ref-youtube-vos": Tree(build_ref_youtube_vos, "train"),
    "reasonseg": Tree(build_reasonseg, "val"),
    "refcoco": Tree(build_refcoco, "testA"),
    "refcoco+": Tree(build_refcoco_plus, "testA"),
    "refcocog": Tree(build_refcocog, "test"),
    "lv-vis": Tree(build_lv_vis, "train"),
    "youtube-vos": Tree(build_youtube_vos, "train"),
    "folder": Tree(build_folder, "val"),
    "refclef": Tree(build_refclef, "train"),
    "ade20k": Tree(build_ade20k, "train"),
    "coco-stuff": Tree(build_coco_stuff, "train"),
    "paco-lvis": Tree(build_paco_lvis, "train"),
    "pascal-part": Tree(build_pascal_part, "train"),
    "llava-vqa": Tree(build_llava_vqa, "train"),
}
