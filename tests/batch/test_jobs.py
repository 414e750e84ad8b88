"""Lists of jobs: what is a job, and what is refused with its row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from squares_batch import draw

from saymask.batch.jobs import Job, read_jobs
from saymask.errors import ConfigError

CSV = """id,source,query,queries,tolerance,template
one,a.mp4,the red fish,,,
two,sub/b.mp4,,the red fish | all keys,30,plain
"""


def test_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(CSV)
    assert read_jobs(tmp_path / "jobs.csv") == [
        Job("one", str(tmp_path / "a.mp4"), ("the red fish",)),
        Job("two", str(tmp_path / "sub" / "b.mp4"), ("the red fish", "all keys"), {"tolerance": 30, "template": "plain"}),
    ]


def test_all_kinds_of_lists_say_the_same(tmp_path: Path) -> None:
    rows = [
        {"id": "one", "source": "a.mp4", "query": "the red fish"},
        {"id": "two", "source": "sub/b.mp4", "queries": ["the red fish", "all keys"], "tolerance": 30, "template": "plain"},
    ]
    (tmp_path / "jobs.csv").write_text(CSV)
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_jobs(tmp_path / "jobs.jsonl") == read_jobs(tmp_path / "jobs.csv")


def test_a_parquet_file(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet comes with the extra 'ray'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet comes with the extra 'ray'")
    table = {"id": ["one", "two"], "source": ["a.mp4", "/b.mp4"], "queries": [["x"], ["x", "y"]], "tolerance": [None, 30]}
    parquet.write_table(pyarrow.table(table), tmp_path / "jobs.parquet")
    assert read_jobs(tmp_path / "jobs.parquet") == [
        Job("one", str(tmp_path / "a.mp4"), ("x",)),
        Job("two", "/b.mp4", ("x", "y"), {"tolerance": 30}),
    ]


def test_a_folder_and_sentences(tmp_path: Path) -> None:
    draw(tmp_path / "my videos" / "first (1)")
    draw(tmp_path / "my videos" / "first [1]")
    found = read_jobs(tmp_path / "my videos", ["red", "blue"])
    assert [(job.id, Path(job.source).name, job.queries) for job in found] == [
        ("first--1-", "first (1)", ("red", "blue")),
        ("first--1--2", "first [1]", ("red", "blue")),
    ]


@pytest.mark.parametrize(
    ("row", "facts"),
    [
        ({"source": "a", "query": "x"}, ["line 1", "'id'"]),
        ({"id": "a", "query": "x"}, ["line 1", "'source'"]),
        ({"id": "../a", "source": "a", "query": "x"}, ["line 1", "'../a'"]),
        ({"id": ".a", "source": "a", "query": "x"}, ["'.a'"]),
        ({"id": "a" * 101, "source": "a", "query": "x"}, ["100"]),
        ({"id": "a", "source": "a"}, ["'query'", "'queries'"]),
        ({"id": "a", "source": "a", "query": "x", "queries": ["y"]}, ["'query'", "'queries'"]),
        ({"id": "a", "source": "a", "queries": ["y", " "]}, ["line 1", "query 2", "empty"]),
        ({"id": "a", "source": "a", "queries": []}, ["no query"]),
    ],
)
def test_what_is_no_job_is_named_with_its_row(row: dict, facts: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text(json.dumps(row))
    with pytest.raises(ConfigError) as error:
        read_jobs(tmp_path / "jobs.jsonl")
    assert all(fact in str(error.value) for fact in facts), error.value


def test_ids_that_differ_in_case_alone_are_one_folder_on_some_disks(tmp_path: Path) -> None:
    rows = [{"id": name, "source": "a", "query": "x"} for name in ("clip", "Clip")]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ConfigError, match="line 2: the id 'Clip' is taken"):
        read_jobs(tmp_path / "jobs.jsonl")


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("id,source,query\n" + "a,,x\n" * 7)
    with pytest.raises(ConfigError) as error:
        read_jobs(tmp_path / "jobs.csv")
    lines = str(error.value).splitlines()
    assert [f"line {number}" in line for number, line in enumerate(lines[:-1], start=2)] == [True] * 5
    assert "2 more" in lines[-1]


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("jobs.csv", "id,source,query\na,b,c,d\n", "line 2: more cells"),
        ("jobs.csv", "id,source,query\n", "holds no job"),
        ("jobs.csv", "id,source,query,tolerance\na,b,c,[\n", "'['"),
        ("jobs.jsonl", "{", "line 1: not valid JSON"),
        ("jobs.jsonl", "[1]", "line 1: holds a list"),
        ("jobs.txt", "a", ".csv, .jsonl, .parquet"),
    ],
)
def test_a_damaged_list(name: str, content: str, fact: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as error:
        read_jobs(tmp_path / name)
    assert fact in str(error.value)


def test_sentences_go_with_a_folder_and_not_with_a_list(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(CSV)
    with pytest.raises(ConfigError, match="leave out 'red'"):
        read_jobs(tmp_path / "jobs.csv", ["red"])
    draw(tmp_path / "videos" / "a")
    with pytest.raises(ConfigError, match="no query given"):
        read_jobs(tmp_path / "videos")
