"""A name in a sentence means one video, or is an error."""

import json

import pytest
from dataset_trees import write_frames, write_mp4

from saymask.datasets.own.index import read_index
from saymask.errors import DataError


@pytest.fixture
def root(tmp_path):
    write_frames(tmp_path / "videos" / "walk", ["00000", "00001"])
    write_mp4(tmp_path / "videos" / "sub" / "clip.v2.mp4", 2)
    return tmp_path


def index_of(root, *names):
    rows = [f"{name},,sentence {place}" for place, name in enumerate(names)]
    (root / "sentences.csv").write_text("\n".join(["video,objects,sentence", *rows]))
    return read_index(root, "train")


@pytest.mark.parametrize("written, name, path", [
    ("walk", "walk", "walk"),
    ("./walk/", "walk", "walk"),
    ("walk/00001", "walk/00001", "walk/00001.jpg"),
    ("sub/clip.v2", "sub/clip.v2", "sub/clip.v2.mp4"),
    ("sub\\clip.v2.mp4", "sub/clip.v2", "sub/clip.v2.mp4"),
])  # fmt: skip
def test_a_video_is_named_with_its_suffix_or_without(written, name, path, root):
    index = index_of(root, written)
    assert index.problems == () and {video.name: video.path for video in index.videos.values()} == {name: root / "videos" / path}


def test_a_file_of_an_unusual_suffix_is_a_video_by_its_content(root):
    (root / "videos" / "sub" / "clip.v2.mp4").rename(root / "videos" / "tape.mts")
    index = index_of(root, "tape.mts")
    assert index.problems == () and index.videos["tape"].open().video.num_frames == 2
    assert index_of(root, "tape").problems == ()
    write_mp4(root / "videos" / "tape.mp4", 2)
    (problem,) = index_of(root, "tape.mts").problems
    assert "tape.mts and " in problem and "tape.mp4 are both called tape; rename one" in problem


@pytest.mark.parametrize("written", ["/walk", "../videos/walk", ".", "sub/../walk"])
def test_videos_lie_below_their_folder(written, root):
    (problem,) = index_of(root, written).problems
    assert f"line 2: video {written!r} does not lie below {root / 'videos'}; " in problem


def test_a_video_in_another_one_is_an_error(root):
    (problem,) = index_of(root, "walk", "walk/00001").problems
    assert problem == f"{root / 'videos' / 'walk/00001'}: lies in walk, which is a video as well; move one of them"


def test_many_names_are_not_all_listed(root):
    assert "known: sub/clip.v2, walk, walk/00000, walk/00001" in index_of(root, "Q").problems[0]
    write_frames(root / "videos" / "long", [f"{t:02d}" for t in range(5)])
    for name in ("a", "b"):
        write_mp4(root / "videos" / f"{name}.mp4", 2)

    assert "none of the 12 names in videos/ is like it: correct it" in index_of(root, "Q").problems[0]


def test_sentences_about_one_video_keep_their_ids_apart(root):
    expressions = {"expressions": {"0": {"exp": "it", "obj_id": []}}}
    other = {"expressions": {"0": {"exp": "that", "obj_id": []}}}
    (root / "sentences.json").write_text(json.dumps({"videos": {"walk": expressions, "walk/": other}}))
    (problem,) = read_index(root, "train").problems
    assert "another sentence about walk is called 0 as well; rename one of them" in problem


def test_a_sentence_is_the_same_however_its_video_is_written(root):
    (root / "sentences.csv").write_text("video,objects,sentence\nsub/clip.v2,,a fish\nwalk,,a fish\nsub\\clip.v2.mp4,,A  fish\n")
    (problem,) = read_index(root, "train").problems
    assert problem == f"{root / 'sentences.csv'} line 4: the same sentence about 'sub/clip.v2' stands in line 2; remove one of them"


def test_an_empty_folder_of_videos_says_so(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "sentences.csv").write_text("video,objects,sentence\na,,it\n")
    with pytest.raises(DataError, match=r"videos: there are no videos, images or folders of frames in it; put them there"):
        read_index(tmp_path, "train")
