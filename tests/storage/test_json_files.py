"""JSON that cannot be used raises the caller's error with its remedy; a special file is not opened, a large one not read."""

import os
import re
from pathlib import Path

import pytest

import saymask
from saymask.errors import CheckpointError, DataError
from saymask.storage.json_files import read_json, read_json_object


def message_of(path, **options) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_json(path, CheckpointError, "fetch it again", **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b'{"a": ', r"not valid JSON \(Expecting value: line 1 column 7"),
        (b"[" * 100_000, r"not valid JSON \(maximum recursion"),
        (b'{"text": "caf\xe9"}', r"not valid JSON \('utf-8' codec"),
        (b'{"a": {"x": 1, "y": 2, "x": 3}}', "'x' occurs twice"),
    ],
    ids=["cut off", "too deep", "encoding", "duplicate key"],
)
def test_damaged_content_names_the_file_the_problem_and_the_remedy(tmp_path, content, fact):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert re.fullmatch(rf"{re.escape(str(path))}: {fact}.*; .*fetch it again|.*{fact}.*, or fetch it again", message_of(path))


def test_a_key_may_occur_once_in_each_of_several_objects(tmp_path):
    (tmp_path / "a.json").write_text('[{"x": 1}, {"x": 2}]')
    assert read_json(tmp_path / "a.json", DataError, "") == [{"x": 1}, {"x": 2}]


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"text": "caf\xc3\xa9"}')
    assert read_json(tmp_path / "a.json", DataError, "") == {"text": "café"}


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    assert message_of(tmp_path / "gone.json") == f"{tmp_path}/gone.json: no such file; fetch it again"
    assert "Is a directory" in message_of(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")  # opening it would wait for a writer
    assert "a pipe or a device" in message_of(tmp_path / "pipe.json")


def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[1, 2]")
    assert read_json(path, DataError, "", max_bytes=6) == [1, 2]
    assert "6 bytes, at most 5 are read" in message_of(path, max_bytes=5)


def test_an_object_is_told_from_other_values(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_json_object(path, DataError, "") == {"a": 1}
    path.write_text("[1]")
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}: holds a list, expected an object; mend it$"):
        read_json_object(path, DataError, "mend it")


def test_there_is_no_other_reader_of_whole_files():
    package = Path(saymask.__file__).parent
    parsers = {str(path.relative_to(package)) for path in package.rglob("*.py") if re.search(r"json\.(load|JSONDecoder)", path.read_text())}
    others = {"training/run_log.py", "datasets/mask_dict.py"}  # a line of a log of ours; one value out of a file of gigabytes
    others |= {"storage/chat_server.py", "models/agent/wording.py"}  # what a server or a model says, which is no file
    others |= {"batch/cluster.py", "batch/jobs.py", "batch/manifest.py"}  # what lies in a place that need not be a disk
    others |= {"web/engine.py", "web/service.py", "web/videos.py"}  # columns of the server's own database
    assert parsers == {"storage/json_files.py"} | others
