"""A batch from its list to the proof: states, results that appear whole and once, resuming, and what `verify` sees."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from squares_batch import SETTINGS, draw

from saymask.batch.jobs import Job
from saymask.batch.manifest import Manifest
from saymask.batch.pace import Pace, duration
from saymask.batch.places import FsspecPlace, LocalPlace
from saymask.batch.report import write_report
from saymask.batch.verify import verify
from saymask.batch.work import do_job
from saymask.errors import ConfigError, DataError
from saymask.records import Prediction
from saymask.runtime import Shard


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def do_all(jobs, asker, manifest) -> list[str | None]:
    return [do_job(job, asker, manifest) for job in jobs]


def test_each_job_is_done_failed_or_to_do(jobs, begin, asker):
    manifest = begin(jobs)
    assert manifest.states() == {"a": "to do", "b": "to do", "c": "to do"}
    whys = do_all(jobs[:2], asker, manifest)
    assert whys[0] is None and jobs[1].source in whys[1]
    assert manifest.states() == {"a": "done", "b": "failed", "c": "to do"}
    assert manifest.failure(jobs[1]) == manifest.failure(jobs[1]).__class__(whys[1], 1)
    assert [job.id for job in manifest.todo()] == ["c"]
    assert sorted(job.id for job in manifest.todo(retry_failed=True)) == ["b", "c"]


def test_a_result_says_what_was_asked_and_found(jobs, begin, asker):
    manifest = begin(jobs)
    do_job(jobs[0], asker, manifest)
    record = manifest.record(jobs[0])
    assert record.job == {"id": "a", "source": jobs[0].source, "queries": ["red", "blue"]}
    assert (record.source.frames, record.source.height, record.source.width) == (3, 24, 32)
    assert record.found == [{"query": "red", "objects": 1, "frames": 3}, {"query": "blue", "objects": 1, "frames": 1}]
    assert set(record.files) == {"prediction.json", "sheet.png"}
    prediction = Prediction.load(manifest.place.root / "results/a/prediction.json")
    assert prediction.results[0].mask(2).sum() == 36


def test_done_twice_gives_one_result_of_the_same_bytes(jobs, begin, asker):
    first, second = begin(jobs, "first"), begin(jobs, "second")
    do_job(jobs[0], asker, first)
    before = content(first.place.root)
    assert do_job(jobs[0], asker, first) is None
    do_job(jobs[0], asker, second)
    assert content(first.place.root) == before == content(second.place.root)


def test_a_retried_job_counts_its_tries_and_forgets_them_when_it_is_done(jobs, begin, asker):
    manifest = begin(jobs)
    for _ in range(2):
        do_job(jobs[1], asker, manifest)
    assert manifest.failure(jobs[1]).tries == 2
    Path(jobs[1].source).unlink()
    draw(Path(jobs[1].source))
    assert do_job(jobs[1], asker, manifest) is None
    assert (manifest.failure(jobs[1]), manifest.states()["b"]) == (None, "done")


def test_who_comes_late_leaves_no_failure_beside_a_result(jobs, begin, asker):
    manifest = begin(jobs)
    do_job(jobs[0], asker, manifest)
    manifest.fail(jobs[0], "its process was killed")
    assert manifest.states()["a"] == "done"
    assert manifest.failure(jobs[0]) is None


def test_options_of_a_job_are_checked_by_the_model(jobs, begin, asker):
    manifest = begin(jobs)
    why = do_job(replace(jobs[0], options={"tolerence": 3}), asker, manifest)
    assert "'tolerence'" in why and "'tolerance'" in why
    do_job(replace(jobs[0], id="strict", options={"tolerance": 1e-3}), asker, manifest)
    assert manifest.states()["a"] == "failed"


def test_parts_follow_from_the_list_and_the_largest_come_first(jobs, begin):
    manifest = begin(jobs)
    assert [job.id for job in manifest.todo()] == ["c", "a", "b"]
    parts = [[job.id for job in manifest.todo(Shard(number, 2))] for number in (1, 2)]
    assert parts == [["c", "a"], ["b"]]


def test_a_folder_belongs_to_one_batch(jobs, begin):
    begin(jobs)
    begin(jobs)
    more = [*jobs, Job("d", "/d.mp4", ("red",))]
    assert begin(more).states()["d"] == "to do"
    assert [job.id for job in Manifest.open(begin(more).place).jobs] == ["a", "b", "c", "d"]
    with pytest.raises(ConfigError, match="'a' has changed"):
        begin([replace(jobs[0], queries=("green",)), *more[1:]])
    with pytest.raises(ConfigError, match="'d' is gone"):
        begin(jobs)
    with pytest.raises(ConfigError, match=r"formats = \('json', 'sheet'\), now it is \('png',\)"):
        begin(more, settings=SETTINGS.model_copy(update={"formats": ("png",)}))
    with pytest.raises(ConfigError, match="nowhere: no batch"):
        Manifest.open(LocalPlace(Path("nowhere")))


@pytest.fixture
def finished(jobs, begin, asker) -> Manifest:
    """A batch whose jobs are all done."""
    good = [jobs[0], jobs[2]]
    manifest = begin(good)
    do_all(good, asker, manifest)
    return manifest


def test_a_complete_batch_is_verified(finished):
    found = verify(finished)
    assert (found.num_jobs, found.num_complete, found.problems) == (2, 2, ())


@pytest.mark.parametrize(
    ("damage", "facts"),
    [
        (lambda results, job: shutil.rmtree(results / "a"), ["a: has no result"]),
        (lambda results, job: (results / "a" / "sheet.png").unlink(), ["a: results/a/sheet.png is missing"]),
        (lambda results, job: (results / "a" / "sheet.png").write_bytes(b""), ["a: results/a/sheet.png is not what was written"]),
        (lambda results, job: (results / "a" / "notes.txt").write_text(""), ["a: results/a/notes.txt was not written by the batch"]),
        (lambda results, job: shutil.copytree(results / "a", results / "z"), ["results/z: no job"]),
        (lambda results, job: (results / "a" / "result.json").write_text("{"), ["a: ", "results/a/result.json", "remove its folder"]),
        (lambda results, job: shutil.rmtree(job.source), ["a: its source cannot be read", "videos/a"]),
        (lambda results, job: Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(f"{job.source}/00001.png"), ["a: sha256"]),
        (lambda results, job: shutil.copy(f"{job.source}/00001.png", f"{job.source}/00003.png"), ["a: frames of", "is 4", "with 3"]),
        (lambda results, job: (shutil.rmtree(job.source), draw(Path(job.source), size=(24, 40))), ["a: width of", "is 40", "with 32"]),
        (
            lambda results, job: (results / "a/result.json").write_text((results / "c/result.json").read_text()),
            ["a: its result answers another job"],
        ),
    ],
)
def test_whatever_does_not_fit_is_found(finished, damage, facts):
    damage(finished.place.root / "results", finished.jobs[0])
    found = verify(finished)
    assert any(all(fact in problem for fact in facts) for problem in found.problems), found.problems


def test_a_failed_job_is_a_problem_with_its_reason(jobs, begin, asker):
    manifest = begin(jobs)
    do_all(jobs, asker, manifest)
    found = verify(manifest)
    assert found.num_complete == 2
    assert [problem for problem in found.problems if problem.startswith("b: failed after 1 tries") and jobs[1].source in problem]


def test_what_a_killed_writer_left_is_removed_and_never_counted(finished):
    results = finished.place.root / "results"
    left = results / f".a.partial-{'0' * 16}"
    shutil.copytree(results / "a", left)
    shutil.copytree(results / "a", results / f".a.partial-{'1' * 16}.x")  # of another job, called a.x
    assert verify(finished).problems == ()
    finished.tidy()
    assert [path.name for path in sorted(results.iterdir())] == [f".a.partial-{'1' * 16}.x", "a", "c"]


def test_an_address_holds_the_same_bytes_as_a_folder(jobs, begin, asker, tmp_path):
    local, remote = begin(jobs), Manifest.begin(FsspecPlace("memory://bucket/batch"), SETTINGS, jobs)
    for manifest in (local, remote):
        do_all(jobs, asker, manifest)
    assert remote.states() == local.states() == {"a": "done", "b": "failed", "c": "done"}
    names = [path.relative_to(local.place.root).as_posix() for path in local.place.root.rglob("*") if path.is_file()]
    assert {name: remote.place.read(name) for name in names} == content(local.place.root)
    assert len(verify(remote).problems) == 1
    remote.place._files.rm_file("/bucket/batch/results/a/result.json")  # its writer was killed before the last file
    assert remote.states()["a"] == "to do"
    assert do_job(jobs[0], asker, remote) is None
    assert remote.place.read("results/a/result.json") == local.place.read("results/a/result.json")


def test_an_address_that_nobody_knows():
    with pytest.raises(ConfigError, match="nonsense://x"):
        FsspecPlace("nonsense://x")


def test_the_report_shows_what_was_found_and_what_failed(jobs, begin, asker):
    manifest = begin([*jobs, Job("d", "/d.mp4", ("<b>",))])
    do_all(jobs, asker, manifest)
    write_report(manifest)
    page = (manifest.place.root / "report.html").read_text()
    assert "2 of 4 jobs done, 1 failed, 1 to do" in page
    assert 'src="results/a/sheet.png"' in page
    assert "“blue”: 1 object on 1 frames" in page
    assert 'Nothing found</h2>\n<p><a href="#c">c</a>' in page
    assert jobs[1].source in page.split("Failed</h2>")[1]


def test_the_time_left_goes_by_the_size_of_the_sources(jobs):
    now = iter([0.0, 10.0, 10.0])
    pace = Pace(jobs, clock=lambda: next(now))
    pace.ended(jobs[2], None)
    share = pace.weight_done / pace.total
    assert 0.3 < share < 0.9
    assert pace.label() == f"1 of 3 jobs, about {round(10 / share * (1 - share))} s left"
    pace.ended(jobs[1], "no video")
    assert pace.label().startswith("2 of 3 jobs, 1 failed")


@pytest.mark.parametrize(("seconds", "text"), [(0, "about 1 s"), (89, "about 89 s"), (100, "about 2 min"), (6000, "about 1 h 40 min")])
def test_times(seconds, text):
    assert duration(seconds) == text


def test_a_damaged_record_says_what_to_remove(finished):
    (finished.place.root / "results/a/result.json").write_text(json.dumps({"job": {}}))
    with pytest.raises(DataError, match=r"results/a/result\.json"):
        finished.record(finished.jobs[0])
