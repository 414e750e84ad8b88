"""Annotation files are read with suspicion: what is wrong is named by its place."""

import pytest
from dataset_trees import write_json

from saymask.datasets.annotation_files import need, need_int, need_ints, read_clips, read_json
from saymask.errors import DataError


def test_broken_text_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"videos": ')
    with pytest.raises(DataError, match=r"a\.json: not valid JSON \(.*\); download it again"):
        read_json(path)
    path.write_bytes(b'{"text": "caf\xe9"}')
    with pytest.raises(DataError, match=r"a\.json: not valid JSON"):
        read_json(path)
    assert read_json(path, fallback_encoding="cp1252") == {"text": "café"}


def test_fields_are_checked_where_they_are_read():
    entry = {"text": "a", "one": 1, "two": "2", "no": True, "ids": [1, "2"], "bad": [1, None]}
    assert need(entry, "text", str, "here") == "a"
    assert (need_int(entry, "one", "here"), need_int(entry, "two", "here"), need_ints(entry, "ids", "here")) == (1, 2, (1, 2))
    for call, message in [
        (lambda: need(entry, "gone", str, "f: video a"), r"^f: video a: 'gone' is missing; "),
        (lambda: need([], "gone", str, "here"), r"'gone' is missing"),
        (lambda: need(entry, "one", str, "here"), r"^here: 'one' is 1, expected str; "),
        (lambda: need_int(entry, "text", "here"), r"^here: 'text' is 'a', expected a whole number"),
        (lambda: need_int(entry, "no", "here"), r"'no' is True, expected a whole number"),
        (lambda: need_ints(entry, "bad", "here"), r"'bad' is None, expected a whole number"),
    ]:
        with pytest.raises(DataError, match=message):
            call()


def test_videos_keep_the_order_of_the_file_and_frames_lose_their_suffix(tmp_path):
    videos = {"b": {"frames": ["00002.jpg", "00001.jpg"]}, "a/x": {"frames": ["v1.5"], "expressions": {"7": {"exp": "it"}}}}
    write_json(tmp_path / "meta.json", {"videos": videos})
    clips = read_clips(tmp_path / "meta.json")
    assert [(clip.name, clip.frame_names) for clip in clips] == [("b", ("00002", "00001")), ("a/x", ("v1.5",))]
    (expression,) = clips[1].expressions()
    assert expression == ("7", {"exp": "it"}, f"{tmp_path / 'meta.json'}: video a/x, expression 7")
    with pytest.raises(DataError, match=r"video b: 'expressions' is missing"):
        list(clips[0].expressions())


@pytest.mark.parametrize(("frames", "what"), [([], "has no frames"), (["00000", "00000.jpg"], "has one frame twice")])
def test_a_list_of_frames_must_make_a_video(tmp_path, frames, what):
    write_json(tmp_path / "meta.json", {"videos": {"a": {"frames": frames}}})
    with pytest.raises(DataError, match=f"video a: the list of frames {what}; "):
        read_clips(tmp_path / "meta.json")
