"""Every problem that is put into a sound dataset is reported once, with its path and what to do."""

import json
import pickle

import numpy as np
import pytest
from dataset_trees import HEIGHT, TREES, WIDTH, block, build_mevis, build_reasonseg, build_revos, rle, write_json, write_mask_dict
from PIL import Image

from saymask.datasets import doctor
from saymask.datasets.doctor import check_dataset
from saymask.datasets.layouts import LAYOUTS
from saymask.datasets.mask_timing import MIN_MASKS
from saymask.datasets.public.published_sizes import PUBLISHED_SIZES, PublishedSize
from saymask.errors import ConfigError, UnknownName
from saymask.lookup import DATASETS


@pytest.fixture(autouse=True)
def no_published_sizes(monkeypatch):
    """A miniature is never of the published size; tests of that set their own."""
    monkeypatch.setattr(doctor, "PUBLISHED_SIZES", ())


def problems_of(name, root, **options):
    return [finding.text for finding in check_dataset(name, root, TREES[name].split, **options).problems]


def remove(path):
    path.unlink()


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])


def remove_folder(path):
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def save_larger(path):
    Image.new("L", (WIDTH + 2, HEIGHT)).save(path)


def blacken(path):
    Image.new("L", (WIDTH, HEIGHT)).save(path)


def paint_255(path):
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(path)


def blur(path):
    Image.fromarray(block(1).astype(np.uint8) * 200 + block(2).astype(np.uint8) * 90).save(path)


def edit(change):
    """A damage that changes what a JSON file says."""

    def apply(path):
        content = json.loads(path.read_text())
        change(content)
        write_json(path, content)

    return apply


def put(anno_id, frame_idx, mask):
    return edit(lambda masks: masks[anno_id].__setitem__(frame_idx, mask))


def name_twice(path):
    path.write_text(path.read_text().replace('"coin":', '"bird":'))


def key_twice(path):
    path.write_text(path.read_text().replace('"13":', '"10":'))


def list_with_duplicate(content):
    expressions = content["videos"]["cat-7"]["expressions"]
    content["videos"]["cat-7"]["expressions"] = [entry | {"exp_id": 0} for entry in expressions.values()]


BAD_RLE = {"size": [HEIGHT, WIDTH], "counts": "0"}
LARGER_RLE = rle(np.zeros((HEIGHT + 1, WIDTH), bool))

PROBLEMS = {
    "no annotation file": (
        "mevis",
        "valid_u/meta_expressions.json",
        remove,
        "not found; mevis is laid out as <root>/{train,valid_u,",
        "unpack",
    ),
    "no masks": ("mevis", "valid_u/mask_dict.json", remove, "not found; mevis is laid out as <root>/{train,", "unpack it like that"),
    "damaged JSON": ("revos", "meta_expressions_valid_.json", truncate, "not valid JSON", "download it again"),
    "frame missing": ("mevis", "valid_u/JPEGImages/bird/00001.jpg", remove, "1 of the 3 frames of bird are missing", "unpack the archive"),
    "frame damaged": ("mevis", "valid_u/JPEGImages/bird/00002.jpg", truncate, "damaged or cut off", "download or export it again"),
    "frame of another size": (
        "ref-davis17",
        "valid/JPEGImages/judo/00001.jpg",
        save_larger,
        "22x12, but 00000.jpg is 20x12",
        "resize them",
    ),
    "unknown video": ("mevis", "valid_u/JPEGImages/coin", remove_folder, "not found", "unpack it like that"),
    "mask missing": ("ref-davis17", "valid/Annotations/judo/00001.png", remove, "not found", "unpack it like that"),
    "mask damaged": ("reasonvos", "Annotations/mose_0a1b_1/00000.png", truncate, "damaged or cut off", "unpack or download it again"),
    "mask of another size": (
        "reasonvos",
        "Annotations/mose_0a1b_1/00000.png",
        save_larger,
        "the mask is 22x12, but the frames of 0a1b are 20x12",
        "download both again",
    ),
    "mask in other values": (
        "reasonvos",
        "Annotations/mose_0a1b_1/00000.png",
        blur,
        "2 values that are not black",
        "download the annotations",
    ),
    "label out of range": (
        "youtube-vos",
        "train/Annotations/0062f687f1/00005.png",
        paint_255,
        "has the number 255",
        "download the annotations",
    ),
    "bad RLE": ("mevis", "valid_u/mask_dict.json", put("13", 1, BAD_RLE), "anno_id 13 of coin, frame 00001: bad RLE", "download it again"),
    "RLE of another size": (
        "mevis",
        "valid_u/mask_dict.json",
        put("13", 0, LARGER_RLE),
        "the mask is 20x13, but the frame is 20x12",
        "download both",
    ),
    "too few masks": (
        "lv-vis",
        "train/mask_dict.json",
        edit(lambda masks: masks["2"].pop()),
        "anno_id 2 of 00123: 1 masks for 2 frames",
        "download it again",
    ),
    "unknown anno_id": (
        "mevis",
        "valid_u/mask_dict.json",
        edit(lambda masks: masks.pop("13")),
        "anno_id 13 of coin: not in the file",
        "download it",
    ),
    "anno_id twice": ("mevis", "valid_u/mask_dict.json", key_twice, "anno_id 10 occurs twice", "download it again"),
    "video twice": ("mevis", "valid_u/meta_expressions.json", name_twice, "'bird' occurs twice", "remove one of them"),
    "expression twice": (
        "reasonvos",
        "meta_expressions.json",
        edit(list_with_duplicate),
        "two expressions are called cat-7/0",
        "remove one of them",
    ),
    "target nowhere": (
        "mevis",
        "valid_u/mask_dict.json",
        edit(lambda masks: masks.update({"13": [None, None]})),
        "coin/0 has a target, 13, but every mask of it is empty",
        "download masks and expressions again",
    ),
    "outline missing": (
        "refcoco",
        "refcoco/instances.json",
        edit(lambda file: file["annotations"].pop(4)),
        "has no annotation 102",
        "download both",
    ),
    "image damaged": (
        "refcoco",
        "images/mscoco/images/train2014/COCO_train2014_000000000002.jpg",
        truncate,
        "damaged or cut off",
        "download or export it again",
    ),
    "class that does not exist": (
        "ade20k",
        "annotations/training/ADE_train_00000002.png",
        paint_255,
        "a pixel has the number 255, but classes go from 1 to 150",
        "download the label maps again",
    ),
    "label map of another size": (
        "coco-stuff",
        "cocostuff/train2017/000000000025.png",
        save_larger,
        "the mask is 22x12, but the frames of 000000000025 are 20x12",
        "download both again",
    ),
    "answer missing": ("reasonseg", "val/a_phrase.json", remove, "not found", "unpack it like that"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_problem_is_reported_with_its_path_and_the_remedy(problem, tmp_path):
    name, file, damage, what, remedy = PROBLEMS[problem]
    root = TREES[name].build(tmp_path)
    damage(root / file)
    (problem,) = problems_of(name, root)
    assert str(root / file) in problem and what in problem and remedy in problem, problem


@pytest.mark.parametrize("name", TREES)
def test_a_sound_dataset_has_no_problem(name, tmp_path):
    report = check_dataset(name, TREES[name].build(tmp_path), TREES[name].split)
    assert report.problems == ()
    size = report.sizes[TREES[name].split]
    assert size.num_examined == size.num_opened > 0
    texts = [finding.text for finding in report.findings]
    assert texts[0] == f"{size.source}: {size}"
    assert texts[-1] == f"every video can be opened; {size.num_opened} of {size.num_opened} were read whole"


def test_every_dataset_on_disk_can_be_checked():
    assert set(LAYOUTS) == set(DATASETS) - {"toyworld", "toyworld-multi"} == set(TREES)


def build_moving_revos(folder, num_frames, frame_of_mask):
    """ReVOS with one video of 48 x 64 in which a bright square moves; mask i is that of frame `frame_of_mask(i)`, if there is one."""
    root = folder / "ReVOS"
    images = root / "JPEGImages" / "TAO" / "clip"
    images.mkdir(parents=True)
    ground_HW = np.random.default_rng(0).integers(60, 90, (48, 64)).astype(np.uint8)
    masks = np.zeros((num_frames, 48, 64), bool)
    for t in range(num_frames):
        left = abs((3 * t) % 100 - 50)
        masks[t, 18:30, left : left + 12] = True
        Image.fromarray(np.where(masks[t], np.uint8(220), ground_HW)).convert("RGB").save(images / f"{t:05d}.jpg", quality=95)
    stored = [frame_of_mask(t) for t in range(num_frames)]
    write_json(root / "mask_dict.json", {"0": [None if t is None else rle(masks[t]) for t in stored]})
    expressions = {"0": {"exp": "the square", "obj_id": [1], "anno_id": [0], "type_id": 0}}
    videos = {"TAO/clip": {"frames": [f"{t:05d}" for t in range(num_frames)], "expressions": expressions}}
    for split in ("train", "train_sub", "valid"):
        write_json(root / f"meta_expressions_{split}_.json", {"videos": videos})
    return root


@pytest.mark.parametrize(
    "num_frames, frame_of_mask, fit",
    [
        (30, lambda t: t if t < 30 else None, None),
        (30, lambda t: t + 2 if t + 2 < 30 else None, "masks fit the frames 2 later"),
        (300, lambda t: 30 * t if 30 * t < 300 else None, "mask i fits frame 30 i"),
    ],
)
def test_masks_on_the_wrong_frames_are_reported(num_frames, frame_of_mask, fit, tmp_path):
    root = build_moving_revos(tmp_path, num_frames, frame_of_mask)
    problems = problems_of("revos", root)
    start = f"{root / 'mask_dict.json'}: the masks of TAO/clip lie on the wrong frames: {fit}; "
    assert [problem.startswith(start) and "leave the video out" in problem for problem in problems] == [True] * bool(fit)


def test_masks_of_frames_that_no_file_lists_are_reported(tmp_path):
    """Thirty frames are listed as if they were in a row, but their masks are of every tenth image in the folder."""
    root = build_moving_revos(tmp_path, 300, lambda t: 10 * t if t < 30 else None)
    meta, masks = root / "meta_expressions_valid_.json", root / "mask_dict.json"
    edit(lambda content: content["videos"]["TAO/clip"].update(frames=[f"{t:05d}" for t in range(30)]))(meta)
    edit(lambda content: content.update({"0": content["0"][:30]}))(masks)
    (problem,) = problems_of("revos", root)
    assert "mask i fits frame 10 i" in problem


@pytest.mark.parametrize("lag, fit", [(0, None), (2, "masks fit the frames 2 later")])
def test_masks_are_compared_with_the_frames_that_are_listed(lag, fit, tmp_path):
    """Only frames 40 to 69 of the folder are listed."""
    root = build_moving_revos(tmp_path, 100, lambda t: 40 + t + lag if t < 30 else None)
    meta, masks = root / "meta_expressions_valid_.json", root / "mask_dict.json"
    edit(lambda content: content["videos"]["TAO/clip"].update(frames=[f"{t:05d}" for t in range(40, 70)]))(meta)
    edit(lambda content: content.update({"0": content["0"][:30]}))(masks)
    assert [fit in problem for problem in problems_of("revos", root)] == [True] * bool(fit)


def test_a_damaged_frame_does_not_hide_the_rest(tmp_path):
    root = build_moving_revos(tmp_path, 30, lambda t: t)
    truncate(root / "JPEGImages" / "TAO" / "clip" / "00007.jpg")
    (problem,) = problems_of("revos", root)
    assert "00007.jpg" in problem


def test_a_problem_that_several_expressions_meet_is_reported_once_and_others_besides(tmp_path):
    root = build_revos(tmp_path)
    put("0", 1, BAD_RLE)(root / "mask_dict.json")  # object 0 is in two of the sentences
    remove(root / "JPEGImages" / "MOSE" / "4f" / "00000.jpg")
    first, second = problems_of("revos", root)
    assert "anno_id 0 of UVO/all/dog, frame 00001: bad RLE" in first and "MOSE/4f/00000.jpg" in second


def test_every_video_is_opened_but_masks_are_read_of_some_unless_all_are_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "NUM_EXAMINED", 1)
    root = build_mevis(tmp_path)
    put("13", 1, BAD_RLE)(root / "valid_u" / "mask_dict.json")  # of the second video
    report = check_dataset("mevis", root, "valid_u")
    assert (report.problems, report.sizes["valid_u"].num_examined, report.sizes["valid_u"].num_opened) == ((), 1, 2)
    (problem,) = problems_of("mevis", root, all_masks=True)
    assert "bad RLE" in problem
    remove(root / "valid_u" / "JPEGImages" / "coin" / "00000.jpg")
    (problem,) = problems_of("mevis", root)
    assert "coin/00000.jpg" in problem


def test_the_examined_videos_are_spread_evenly():
    assert doctor._spread(9, 3) == {0, 4, 8}
    assert doctor._spread(3, 50) == {0, 1, 2}


def test_all_splits_are_checked_unless_one_is_named(tmp_path):
    root = build_mevis(tmp_path)
    remove(root / "train" / "meta_expressions.json")
    seen = []
    report = check_dataset("mevis", root, progress=lambda *step: seen.append(step))
    assert [(finding.split, str(root / "train" / "meta_expressions.json") in finding.text) for finding in report.problems] == [
        ("train", True)
    ]
    assert set(report.sizes) == {"valid_u", "valid"}
    assert "masks are kept by the benchmark's server; only frames were checked" in [f.text for f in report.findings if f.split == "valid"]
    assert seen == [(1, 2, "valid_u"), (2, 2, "valid_u"), (1, 2, "valid"), (2, 2, "valid")]


def test_counts_are_compared_with_the_published_ones(tmp_path, monkeypatch):
    rows = (
        PublishedSize("mevis", ("valid_u",), 2, 3, "us"),
        PublishedSize("mevis", ("train",), 3, 1700, "us"),
        PublishedSize("mevis", ("valid",), 2, None, "us"),
        PublishedSize("revos", ("valid",), 9, 9, "them"),
    )
    monkeypatch.setattr(doctor, "PUBLISHED_SIZES", rows)
    root = build_mevis(tmp_path)
    found = [finding for finding in check_dataset("mevis", root).findings if "us" in finding.text and "publ" in finding.text]
    assert [(finding.split, finding.text) for finding in found if not finding.is_problem] == [
        ("valid_u", "as many videos and expressions as published (us)"),
        ("valid", "as many videos as published (us)"),
    ]
    (problem,) = [finding.text for finding in found if finding.is_problem]
    counts = "2 videos, 3 expressions, but published are 3 videos, 1,700 expressions (us)"
    assert problem.startswith(f"{root / 'train' / 'meta_expressions.json'}: {counts}; ") and problem.endswith("download it again")


def test_sizes_published_for_several_splits_are_compared_with_their_sum(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "PUBLISHED_SIZES", (PublishedSize("revos", ("train", "valid"), 4, 8, "us"),))
    root = build_revos(tmp_path)
    last = check_dataset("revos", root).findings[-1]
    assert (last.split, last.text, last.is_problem) == ("train+valid", "as many videos and expressions as published (us)", False)
    assert not any("as published" in finding.text for finding in check_dataset("revos", root, "valid").findings)


def test_images_that_cannot_be_samples_are_counted_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "PUBLISHED_SIZES", (PublishedSize("reasonseg", ("val",), 3, None, "us"),))
    root = build_reasonseg(tmp_path)
    report = check_dataset("reasonseg", root, "val")
    assert report.problems == ()
    assert f"left out: {root / 'val' / 'c_forgotten.json'}: no polygon around the answer" in [finding.text for finding in report.findings]


def test_the_published_sizes_are_those_of_datasets_and_splits_that_exist():
    for row in PUBLISHED_SIZES:
        assert set(row.splits) <= set(LAYOUTS[row.dataset].splits), row
    keys = [(row.dataset, row.splits) for row in PUBLISHED_SIZES]
    assert len(set(keys)) == len(keys)
    (reasonvos,) = [row for row in PUBLISHED_SIZES if row.dataset == "reasonvos"]
    assert (reasonvos.num_videos, reasonvos.num_expressions) == (91, 458)


def test_what_cannot_be_checked_is_refused(tmp_path):
    with pytest.raises(UnknownName, match="unknown dataset 'mevi'"):
        check_dataset("mevi", tmp_path)
    with pytest.raises(ConfigError, match="toyworld is drawn, nothing of it is on disk"):
        check_dataset("toyworld")
    with pytest.raises(ConfigError, match=r"^mevis has no split 'test'; use one of: train, valid_u, valid$"):
        check_dataset("mevis", tmp_path, "test")
    with pytest.raises(ConfigError, match="no such folder, but the command names it"):
        check_dataset("mevis", tmp_path / "gone")


def test_many_targets_in_one_image_are_no_video(tmp_path):
    root = TREES["refcoco"].build(tmp_path)
    refs_path = root / "refcoco" / "refs(unc).p"
    refs = pickle.loads(refs_path.read_bytes())
    sentence = {"sent_id": 0, "sent": "it"}
    more = [refs[4] | {"ann_id": 900 + n, "sentences": [sentence | {"sent_id": 900 + n}]} for n in range(2 * MIN_MASKS)]
    refs_path.write_bytes(pickle.dumps(refs + more))
    annotations = [{"id": 900 + n, "image_id": 2, "segmentation": rle(block(1))} for n in range(2 * MIN_MASKS)]
    edit(lambda content: content["annotations"].extend(annotations))(root / "refcoco" / "instances.json")
    assert problems_of("refcoco", root) == []
    assert check_dataset("refcoco", root, "testA").sizes["testA"].num_expressions == 3 + 2 * MIN_MASKS


def test_objects_of_frames_without_masks_are_no_problem(tmp_path):
    """Null on some frames only means that the object is not there."""
    root = build_mevis(tmp_path)
    write_mask_dict(root / "valid_u" / "mask_dict.json", {10: (3, 3), 11: (2, 3), 12: (3, 3), 13: (1, 2)})
    assert problems_of("mevis", root) == []
