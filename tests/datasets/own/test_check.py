"""Every problem that is put into sound own data is reported with its place and what to do, beside all others."""

import json

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, rle, write_frames, write_label_maps, write_mp4
from PIL import Image

from saymask.datasets.doctor import check_dataset
from saymask.datasets.own.folder import load_folder_dataset
from saymask.errors import SaymaskError

FRAMES = ["00000", "00001", "00002"]
SENTENCES = """video,objects,sentence,split
walk,fish,the fish,train
walk,fish hat,what swims and what is worn,train
walk,,a bird,train
maps,1,the left cup,train
clip,4,the coin,val
"""


@pytest.fixture
def root(tmp_path):
    """Sound data: "walk" with a folder of masks per object, "maps" with label maps, "clip.mp4" with a COCO file."""
    for name in ("walk", "maps"):
        write_frames(tmp_path / "videos" / name, FRAMES)
    write_mp4(tmp_path / "videos" / "clip.mp4", 3)
    for obj_id, name in enumerate(("fish", "hat"), start=1):
        folder = tmp_path / "masks" / "walk" / name
        folder.mkdir(parents=True)
        for t, frame in enumerate(FRAMES):
            Image.fromarray(block(obj_id, t).astype(np.uint8)).save(folder / f"{frame}.png")
    write_label_maps(tmp_path / "masks" / "maps", FRAMES, [1, 2])
    images = [{"id": t, "file_name": f"{frame}.jpg", "height": HEIGHT, "width": WIDTH} for t, frame in enumerate(FRAMES)]
    outlines = [{"id": t, "image_id": t, "track_id": 4, "segmentation": rle(block(1, t))} for t in range(3)]
    (tmp_path / "masks" / "clip.json").write_text(json.dumps({"images": images, "annotations": outlines}))
    (tmp_path / "sentences.csv").write_text(SENTENCES)
    return tmp_path


def remarks_of(root):
    return [finding.text for finding in check_dataset("folder", root).findings if not finding.is_problem]


def test_sound_data_has_no_problem_and_is_summed_up(root):
    """An object is 16 of 240 pixels: 6.7 %."""
    report = check_dataset("folder", root)
    assert report.problems == ()
    size = "6.7 % to 6.7 % of the frames on which they are seen, half of them less than 6.7 %"
    forms = [finding.text for finding in report.findings if "; an object is " in finding.text]
    assert [(text.partition(": ")[0], text.rpartition(" from ")[2]) for text in forms] == [
        (f"{root / 'masks' / 'walk'}", "0"),
        (f"{root / 'masks' / 'maps'}", "0"),
        (f"{root / 'masks' / 'clip.json'}", "0"),
    ]
    assert [(finding.split, finding.text) for finding in report.findings if finding.text not in forms] == [
        ("train", f"{root / 'sentences.csv'}: 2 videos, 4 expressions"),
        ("train", "1 of 4 sentences say that nothing matches"),
        ("train", f"objects cover {size}"),
        ("train", "fewer than 6 videos: a model may remember them instead of learning what is said; add more"),
        ("train", f"{root / 'masks' / 'maps'}: no sentence names the painted number 2"),
        ("train", "every video can be opened; 2 of 2 were read whole"),
        ("val", f"{root / 'sentences.csv'}: 1 video, 1 expression"),
        ("val", "0 of 1 sentences say that nothing matches"),
        ("val", f"objects cover {size}"),
        ("val", "every video can be opened; 1 of 1 were read whole"),
    ]


def write(old, new):
    """A problem in the sentences."""

    def damage(root):
        path = root / "sentences.csv"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return damage


def save(place, pixels_HW):
    """A problem in a mask."""
    return lambda root: Image.fromarray(np.asarray(pixels_HW, np.uint8)).save(root / place)


def coco(change):
    def damage(root):
        path = root / "masks" / "clip.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def remove(*places):
    return lambda root: [(root / place).unlink() for place in places]


def cut(place):
    def damage(root):
        content = (root / place).read_bytes()
        (root / place).write_bytes(content[: len(content) // 2])

    return damage


def blacken(place):
    return lambda root: [save(f"{place}/{frame}.png", np.zeros((HEIGHT, WIDTH)))(root) for frame in FRAMES]


SOFT = np.tile(np.arange(WIDTH) * 12, (HEIGHT, 1))  # 0, 12 ... 228
SMALL = np.ones((HEIGHT // 2, WIDTH // 2))
COLOUR = np.full((HEIGHT, WIDTH, 3), (9, 1, 1))
PAIR = "masks/walk/fish/00001.png"

PROBLEMS = {
    "no such video": (
        write("maps,1", "mops,1"),
        "videos/mops: not found, but {root}/sentences.csv line 5 names it",
        "did you mean 'maps'?",
    ),
    "two videos of a name": (
        lambda root: write_frames(root / "videos" / "clip", FRAMES),
        "/videos/clip.mp4 are both called clip",
        "rename one",
    ),
    "video outside": (write("maps,1", "../maps,1"), "line 5: video '../maps' does not lie below {root}/videos", "move it there"),
    "video that is none": (
        lambda root: (root / "videos" / "clip.mp4").write_text("a film"),
        "videos/clip.mp4: not a video or image that can be read",
        "convert it",
    ),
    "frame damaged": (cut("videos/walk/00001.jpg"), "videos/walk/00001.jpg: ", "download or export it again"),
    "mask of another size": (save(PAIR, SMALL), f"{PAIR}: the mask is 10x6, but the frames of walk are 20x12", "save it in the size of"),
    "mask with soft edges": (save(PAIR, SOFT), f"{PAIR}: 19 values beside black, from 12 to 228", "save it as a PNG of black"),
    "mask damaged": (cut(PAIR), f"{PAIR}: the mask is damaged or cut off", "export it again"),
    "mask as JPEG": (
        lambda root: (root / PAIR).rename(root / "masks/walk/fish/00001.jpg"),
        "masks/walk/fish/00001.jpg: masks are PNG",
        "export it as PNG",
    ),
    "mask beyond the video": (
        save("masks/walk/fish/00007.png", block(1)),
        "masks/walk: masks of frame 00007, but the 3 frames of {root}/videos/walk are called 00000 to 00002",
        "restore the frames",
    ),
    "no frame with all objects": (
        remove("masks/walk/fish/00000.png", "masks/walk/hat/00001.png", "masks/walk/hat/00002.png"),
        "masks/walk: no frame has masks of every object that sentences name",
        "draw black ones",
    ),
    "label map in colour": (save("masks/maps/00001.png", COLOUR), "masks/maps/00001.png: an image in colour", "save it with a palette"),
    "label maps with soft edges": (
        save("masks/maps/00001.png", SOFT),
        "masks/maps: 20 numbers that no sentence names, from 2 to 228",
        "again",
    ),
    "object nobody drew": (write("fish hat", "fish hut"), "line 3: no object 'hut' in {root}/masks/walk", "did you mean 'hat'?"),
    "number nobody painted": (write("maps,1", "maps,3"), "masks/maps: object 3: every mask of maps is empty", "painted are 1, 2"),
    "no number": (write("maps,1", "maps,cup"), "line 5: no object 'cup' in {root}/masks/maps", "a number above 0"),
    "object of no outline": (write("clip,4", "clip,5"), "line 6: no object '5' in {root}/masks/clip.json", "known: 4"),
    "empty throughout": (blacken("masks/walk/hat"), "masks/walk/hat: every mask of walk is empty", "leave the column objects empty"),
    "outline that is none": (
        coco(lambda content: content["annotations"][1].update(segmentation=[])),
        "masks/clip.json: object 4 on frame 00001 of clip: its polygons need three corners",
        "export it again",
    ),
    "outline that ends nowhere": (
        coco(lambda content: content["annotations"][1].update(segmentation=[[1, 1, 5, 1, 5, float("nan")]])),
        "masks/clip.json: object 4 on frame 00001 of clip: a corner is no number within reach of the frame, which is 20x12: nan",
        "export it again",
    ),
    "outline of another size": (
        coco(lambda content: content["images"][2].update(width=40)),
        "masks/clip.json: object 4 on frame 00002 of clip: the mask is 40x12, but the frame is 20x12",
        "export it in the size",
    ),
    "frame beyond the video": (
        coco(lambda content: content["images"][2].update(file_name="00003.jpg")),
        "masks/clip.json: masks of frame 00003, but the 3 frames of {root}/videos/clip.mp4 are called 00000 to 00002",
        "rename or remove",
    ),
    "masks damaged": (cut("masks/clip.json"), "masks/clip.json: not valid JSON", "correct it"),
    "no masks": (
        remove("masks/clip.json"),
        "line 6: names the object '4', but clip has no masks, neither in {root}/masks/clip",
        "draw them",
    ),
    "masks in two forms": (
        save("masks/maps.png", block(1)),
        "masks of maps are in {root}/masks/maps.png and {root}/masks/maps",
        "keep one",
    ),
    "sentence twice": (write("the fish,", "a BIRD ,"), "line 4: the same sentence about 'walk' stands in line 2", "remove one"),
    "no sentence": (write("a bird", ""), "sentences.csv line 4: the sentence is empty", "write what to look for"),
    "no header": (write(SENTENCES.splitlines()[0] + "\n", ""), "line 1: no header, 'walk' is no column", "video,objects,sentence"),
    "column misspelt": (write("sentence,", "sentense,"), "line 1: unknown column 'sentense'", "did you mean 'sentence'?"),
    "column missing": (
        lambda root: (root / "sentences.csv").write_text("video,sentence\nwalk,the fish\n"),
        "line 1: no column 'objects'",
        "there must be video, objects, sentence",
    ),
    "comma in a sentence": (write("a bird", "a bird, or two"), "line 4: 5 cells, but the header has 4", "quotation marks"),
    "unknown split": (write("coin,val", "coin,test"), "line 6: split is 'test'", "write train or val"),
    "another encoding": (
        lambda root: (root / "sentences.csv").write_bytes(SENTENCES.replace("coin", "m\u00fcnze").encode("cp1252")),
        "sentences.csv line 6: byte 0xfc is not UTF-8",
        "CSV UTF-8",
    ),
    "empty file": (
        lambda root: (root / "sentences.csv").write_text(""),
        "sentences.csv: the file is empty",
        "begin it with the line video,objects,sentence",
    ),
    "folder for a file": (
        lambda root: [(root / "sentences.csv").unlink(), (root / "sentences.csv").mkdir()],
        "sentences.csv: cannot be read (Is a directory)",
        "put a file there",
    ),
    "id that leads elsewhere": (
        lambda root: [
            (root / "sentences.csv").unlink(),
            (root / "sentences.json").write_text('{"videos": {"walk": {"expressions": {"..": {"exp": "it", "obj_id": "fish"}}}}}'),
        ],
        "sentences.json: 'walk/..' cannot name a sample: ids become folder names",
        "correct it in the file",
    ),
    "no videos": (lambda root: (root / "videos").rename(root / "clips"), "videos: not found; own data is laid out as <root>/", "make it"),
    "no sentences": (remove("sentences.csv"), "sentences.csv: not found; own data is laid out as <root>/", "make it like that"),
    "two files of sentences": (lambda root: (root / "sentences.json").write_text("[]"), "has sentences.csv and sentences.json", "keep one"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_problem_is_reported_with_its_place_and_the_remedy(problem, root):
    damage, what, remedy = PROBLEMS[problem]
    damage(root)
    problems = [problem.text for problem in check_dataset("folder", root).problems]
    assert len(problems) == 1, problems
    assert str(root) in problems[0] and what.format(root=root) in problems[0] and remedy in problems[0].split("; ", 1)[1], problems


@pytest.mark.parametrize("problem", sorted(set(PROBLEMS) - {"label maps with soft edges"}))
def test_data_with_a_problem_is_not_trained_on(problem, root):
    """Whatever the check calls a problem stops the loader, or the sample; only numbers nobody names do no harm."""
    PROBLEMS[problem][0](root)
    with pytest.raises(SaymaskError):
        for split in ("train", "val"):
            for sample in load_folder_dataset(root, split):
                sample.video.frames(range(sample.video.num_frames))
                for _ in range(len(sample.expression.obj_ids)):
                    assert sample.instances_NTHW is not None and sample.masks_THW.any()


def test_all_problems_are_listed_at_once(root):
    for problem in ("no such video", "object nobody drew", "mask with soft edges", "object of no outline", "unknown split", "no sentence"):
        PROBLEMS[problem][0](root)
    problems = "\n".join(problem.text for problem in check_dataset("folder", root).problems)
    for what in ("videos/mops", "'hut'", "19 values", "split is 'test'", "line 4: the sentence is empty"):
        assert what in problems, problems


def test_one_cause_is_one_line(root):
    for frame in FRAMES:
        save(f"masks/walk/fish/{frame}.png", SOFT)(root)
    (problem,) = check_dataset("folder", root).problems
    assert problem.text.endswith("(and 2 more of these masks)")


def test_what_is_not_used_is_said(root):
    write_frames(root / "videos" / "forgotten", FRAMES)
    (root / "masks" / "walk" / "hat" / "00001.png").unlink()
    remarks = remarks_of(root)
    assert f"{root / 'videos' / 'forgotten'}: no sentence is about it, it is not used" in remarks
    assert f"{root / 'masks' / 'walk'}: masks on 2 of 3 frames; the others are not used" in remarks
    assert any("walk: frame 00001 has no mask of some objects and is not used; draw black ones" in text for text in remarks)


@pytest.mark.parametrize("problem", ["no header", "empty file", "unknown split"])
def test_what_was_not_understood_is_not_called_unused(problem, root):
    PROBLEMS[problem][0](root)
    assert not [text for text in remarks_of(root) if "not used" in text]


def test_pictures_in_a_folder_may_be_videos_one_by_one(root):
    write("clip,4,the coin,val", "walk/00001,,a coin,val")(root)
    write("walk,fish,the fish,train\nwalk,fish hat,what swims and what is worn,train\nwalk,,a bird,train\n", "")(root)
    assert [text for text in remarks_of(root) if "not used" in text] == [f"{root}/videos/clip.mp4: no sentence is about it, it is not used"]


def test_a_video_in_both_splits_is_said_and_checked_once(root):
    write("clip,4,the coin,val", "walk,hat,the hat,val")(root)
    assert "walk: in both splits, so scores of val say less about videos that were not trained on" in remarks_of(root)
    save(PAIR, SOFT)(root)
    (problem,) = check_dataset("folder", root).problems
    assert problem.split == "train"


def test_one_split_can_be_checked_alone(root):
    save(PAIR, SOFT)(root)
    assert set(check_dataset("folder", root, "val").sizes) == {"val"} and not check_dataset("folder", root, "val").problems
    write("coin,val", "coin,train")(root)
    (problem,) = check_dataset("folder", root, "val").problems
    assert "no sentence is of the split 'val'; add a column" in problem.text
