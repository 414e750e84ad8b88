"""What waits for a device: steps by hand go before jobs that have not begun, and clients that follow a job are told that it still waits."""

import asyncio
from contextlib import contextmanager
from threading import Event

import pytest
from served import SAID, begin, events_of

from saymask.web import feed as feed_module
from saymask.web.feed import KEEP_ALIVE, Feed
from saymask.web.problems import Problem
from saymask.web.worker import Worker


@pytest.fixture
def worker():
    worker = Worker(max_waiting=8)
    yield worker
    worker.stop()


@contextmanager
def occupied(worker):
    """Its thread is at something until the block ends."""
    begun, may_end = Event(), Event()
    worker.take_place()
    worker.submit(lambda: begun.set() or may_end.wait())
    assert begun.wait(10)
    try:
        yield
    finally:
        may_end.set()


@contextmanager
def occupied_server(client):
    """The server's only device is at something until the block ends."""
    begun, may_end = Event(), Event()
    client.portal.start_task_soon(client.app.state.service.predict, lambda engine: begun.set() or may_end.wait())
    assert begun.wait(10)
    try:
        yield
    finally:
        may_end.set()


def submit(worker, work, is_step=False):
    worker.take_place()
    return worker.submit(work, is_step)


def test_steps_go_before_what_has_not_begun_and_both_keep_their_order(worker):
    done = []
    with occupied(worker):
        kinds = ("job 1", "job 2", "step 1", "job 3", "step 2", "step 3")
        futures = [submit(worker, lambda kind=kind: done.append(kind), kind.startswith("step")) for kind in kinds]
        assert done == [] and worker.taken == 7, "what is under way is not interrupted"
    for future in futures:
        future.result(10)
    assert done == ["step 1", "step 2", "step 3", "job 1", "job 2", "job 3"]


def test_a_step_that_is_submitted_by_a_job_comes_next(worker):
    done = []

    def first():
        futures.append(submit(worker, lambda: done.append("step"), is_step=True))
        done.append("job 1")

    with occupied(worker):
        futures = [submit(worker, first), submit(worker, lambda: done.append("job 2"))]
    futures[1].result(10)
    assert done == ["job 1", "step", "job 2"]


def test_steps_take_places_and_an_error_is_its_own_steps(worker):
    with occupied(worker):
        failing = submit(worker, lambda: {}["absent"], is_step=True)
        futures = [submit(worker, lambda number=number: number, is_step=number % 2 == 0) for number in range(6)]
        with pytest.raises(Problem) as refused:
            worker.take_place()
        assert refused.value.status == 503
    assert isinstance(failing.exception(10), KeyError)
    assert [future.result(10) for future in futures] == list(range(6))
    worker.stop()
    assert worker.taken == 0


def test_what_waits_when_it_stops_is_cancelled():
    worker, begun, may_end = Worker(max_waiting=4), Event(), Event()
    running = submit(worker, lambda: begun.set() or may_end.wait(0.2))
    assert begun.wait(10)
    waiting = [submit(worker, lambda: 1, is_step) for is_step in (False, True)]
    worker.stop()
    assert running.done() and not running.cancelled()
    assert all(future.cancelled() for future in waiting) and worker.taken == 0


def test_edits_and_undo_go_before_jobs_and_exports_do_not(client, clip, tmp_path):
    """Of any session; each step sees whether the job had begun."""
    asking_id, video = begin(client, clip)
    other_id = client.post("/v1/sessions", json={"video_id": video["id"]}).json()["id"]
    service, had_begun, soon = client.app.state.service, [], client.portal.start_task_soon
    click = {"frame_idx": 2, "x": 60, "y": 60}
    with occupied_server(client):
        job_id = client.post(f"/v1/sessions/{asking_id}/queries", json={"query": SAID}).json()["job_id"]

        def step(editor):
            editor.add_click(**click)
            had_begun.append(service.job(job_id)["begun"])

        exported = soon(service.export, asking_id, "json", tmp_path)
        steps = [soon(service.edit, session_id, step) for session_id in (other_id, asking_id, other_id)]
        undone = soon(service.undo, other_id)
        client.portal.call(asyncio.sleep, 0)  # the tasks above have their places now
    assert events_of(client, job_id)[-1][1]["state"] == "done"
    for future in steps:
        future.result(10)
    assert had_begun == [0, 0, 0] and undone.result(10) is True
    exported.result(10)
    assert SAID in (tmp_path / "prediction.json").read_text(), "the export came after the job"
    given = client.get(f"/v1/sessions/{other_id}").json()["given"]
    assert [(mask["frame_idx"], mask["obj_id"]) for mask in given] == [(2, 1)], "of two clicks the last one is taken back"


def test_a_feed_says_that_it_is_there_while_nothing_comes(monkeypatch):
    monkeypatch.setattr(feed_module, "KEEP_ALIVE_SECONDS", 0.01)

    async def follow():
        feed = Feed()
        came = feed.follow()
        assert [await anext(came) for _ in range(2)] == [KEEP_ALIVE] * 2
        feed.add("first")
        feed.end("last")
        return [event async for event in came]

    assert asyncio.run(follow()) == ["first", "last"]


def test_a_job_that_waits_sends_comments_which_are_no_events(client, clip, monkeypatch):
    monkeypatch.setattr(feed_module, "KEEP_ALIVE_SECONDS", 0.01)
    session_id, _ = begin(client, clip)
    with occupied_server(client):
        job_id = client.post(f"/v1/sessions/{session_id}/queries", json={"query": SAID}).json()["job_id"]
        follower = client.portal.start_task_soon(collected, client.app.state.service, job_id)
        client.portal.call(asyncio.sleep, 0.05)
    blocks = follower.result(60)
    assert blocks[0] == KEEP_ALIVE
    assert all(block.startswith((": ", "event: ")) and block.endswith("\n\n") for block in blocks)
    assert [kind for kind, _ in events_of(client, job_id)] == [*["frame"] * 6, "end"]
    assert sum(block.startswith("event: frame") for block in blocks) == 6


async def collected(service, job_id):
    return [block async for block in service.follow(job_id)]
