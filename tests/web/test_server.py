"""The server's answers equal the library's; what it promised survives it."""

import sqlite3
import zipfile
from io import BytesIO

import numpy as np
import pytest
from fastapi.testclient import TestClient
from served import SAID, begin, client_of, events_of, toy_engine

from saymask.api import load_prompter, load_tracker
from saymask.errors import ConfigError
from saymask.models.checkpoints import load_model
from saymask.records import Prediction, Rle
from saymask.runtime import Runtime
from saymask.session import Editor, VideoSession
from saymask.session.live_query import DRAWN
from saymask.video.coco_rle import read_rle
from saymask.video.masks import rle_to_coco
from saymask.video.reader import open_source
from saymask.web import store as store_module
from saymask.web.app import create_app
from saymask.web.engine import MAX_OPEN, Engine
from saymask.web.service import KEPT_FEEDS, MAX_BEGUN
from saymask.web.settings import Settings
from saymask.web.store import Store

CPU = Runtime("cpu", "float32")


def masks(results, query=SAID, obj_id=1) -> np.ndarray:
    """bool masks_THW of an object, from the JSON of a session."""
    (found,) = (obj for result in results if result["query"] == query for obj in result["objects"] if obj["obj_id"] == obj_id)
    size = (128, 128)
    return np.stack([read_rle({"size": list(size), "counts": counts}).decode() for counts in found["rle_T"]])


def ask(client, session_id, query=SAID):
    response = client.post(f"/v1/sessions/{session_id}/queries", json={"query": query})
    assert response.status_code == 202, response.text
    return events_of(client, response.json()["job_id"])


@pytest.fixture(scope="module")
def direct(clip, tmp_path_factory):
    """What the library does without a server: ask, click, carry."""
    path = tmp_path_factory.mktemp("direct") / "clip.mp4"
    path.write_bytes(clip)
    with VideoSession(open_source(path), load_model("toy", CPU), load_tracker("xmem++", dtype="float32")) as session:
        editor = Editor(session, load_prompter("toy-prompter", dtype="float32"))
        editor.add_query(SAID)
        stages = [editor.prediction()]
        editor.add_click(2, 60, 60, True, SAID, 1)
        stages.append(editor.prediction())
        list(editor.propagate(2, "both"))
        stages.append(editor.prediction())
    return [np.stack([stage.masks(i)[0] for i in range(stage.video.num_frames)]) for stage in stages]


def test_from_upload_to_export_the_masks_are_the_librarys(client, clip, direct, tmp_path):
    session_id, video = begin(client, clip)
    assert (video["name"], video["width"], video["height"], video["num_frames"]) == ("clip.mp4", 128, 128, 6)
    assert video["timestamps"] == pytest.approx([i / 12 for i in range(6)], abs=1e-4)
    *frames, (kind, end) = ask(client, session_id)
    assert (kind, end) == ("end", {"state": "done", "problem": None})
    streamed = {event["frame_idx"]: read_rle(event["objects"][0]["rle"]).decode() for _, event in frames}
    assert np.array_equal(np.stack([streamed[i] for i in range(6)]), direct[0])
    clicked = client.post(f"/v1/sessions/{session_id}/clicks", json={"frame_idx": 2, "x": 60, "y": 60, "query": SAID, "obj_id": 1}).json()
    assert clicked["obj_id"] == 1 and np.array_equal(read_rle(clicked["objects"][0]["rle"]).decode(), direct[1][2])
    job_id = client.post(f"/v1/sessions/{session_id}/propagate", json={"frame_idx": 2}).json()["job_id"]
    assert [event.get("frame_idx") for _, event in events_of(client, job_id)] == [3, 4, 5, 1, 0, None]
    assert np.array_equal(masks(client.get(f"/v1/sessions/{session_id}").json()["results"]), direct[2])
    exported = client.get(f"/v1/sessions/{session_id}/export/json")
    (tmp_path / "prediction.json").write_bytes(exported.content)
    assert str(tmp_path) not in exported.text, "where the server keeps its videos"
    loaded = Prediction.load(tmp_path / "prediction.json")
    assert np.array_equal(np.stack([loaded.masks(i)[0] for i in range(6)]), direct[2])
    folder = client.get(f"/v1/sessions/{session_id}/export/png")
    assert len(zipfile.ZipFile(BytesIO(folder.content)).namelist()) >= 6


def test_a_client_that_comes_when_a_job_has_just_ended_sees_all_of_it(client, clip):
    session_id, _ = begin(client, clip)
    job_id = client.post(f"/v1/sessions/{session_id}/queries", json={"query": SAID}).json()["job_id"]
    seen = events_of(client, job_id)
    assert [event.get("frame_idx") for _, event in seen] == [*range(6), None]
    assert events_of(client, job_id) == seen
    for _ in range(KEPT_FEEDS):
        ask(client, session_id)
    assert events_of(client, job_id) == seen[-1:]


def test_masks_boxes_undo_and_dropping(client, clip):
    session_id, _ = begin(client, clip)
    mask_HW = np.zeros((128, 128), bool)
    mask_HW[10:20, 30:50] = True
    given = client.post(f"/v1/sessions/{session_id}/masks", json={"frame_idx": 1, "rle": rle_to_coco(Rle.encode(mask_HW))}).json()
    assert given["objects"][0]["box"] == [30, 10, 50, 20]
    boxed = client.post(f"/v1/sessions/{session_id}/boxes", json={"frame_idx": 1, "box": [40, 40, 90, 90]}).json()
    assert [obj["obj_id"] for obj in boxed["objects"]] == [1, 2]
    drawn = given["objects"][0]["query"]
    assert client.post(f"/v1/sessions/{session_id}/drop", json={"query": drawn, "obj_id": 1}).status_code == 200
    of = lambda: [obj["obj_id"] for result in client.get(f"/v1/sessions/{session_id}").json()["results"] for obj in result["objects"]]  # noqa: E731
    assert of() == [2]
    assert [client.post(f"/v1/sessions/{session_id}/undo").json()["undone"] for _ in range(4)] == [True, True, True, False]
    assert of() == []


def test_a_session_goes_on_in_a_new_process_with_what_was_given(clip, tmp_path, engine, direct):
    with client_of(tmp_path, engine) as client:
        session_id, _ = begin(client, clip)
        ask(client, session_id)
        client.post(f"/v1/sessions/{session_id}/clicks", json={"frame_idx": 2, "x": 60, "y": 60, "query": SAID, "obj_id": 1})
    with client_of(tmp_path) as client:
        assert np.array_equal(masks(client.get(f"/v1/sessions/{session_id}").json()["results"]), direct[1])
        job_id = client.post(f"/v1/sessions/{session_id}/propagate", json={"frame_idx": 2}).json()["job_id"]
        assert events_of(client, job_id)[-1][1]["state"] == "done"
        assert np.array_equal(masks(client.get(f"/v1/sessions/{session_id}").json()["results"]), direct[2])
    with client_of(tmp_path, engine) as client:
        for stage in (1, 0):
            assert client.post(f"/v1/sessions/{session_id}/undo").json() == {"undone": True}
            assert np.array_equal(masks(client.get(f"/v1/sessions/{session_id}").json()["results"]), direct[stage])
        assert [client.post(f"/v1/sessions/{session_id}/undo").json()["undone"] for _ in range(2)] == [True, False]
        assert client.get(f"/v1/sessions/{session_id}").json()["results"] == []


def test_many_sessions_at_once_can_all_take_back(client, clip):
    """More than are open at once, in turn."""
    session_id, video = begin(client, clip)
    others = [client.post("/v1/sessions", json={"video_id": video["id"]}).json()["id"] for _ in range(MAX_OPEN)]
    mask = {"frame_idx": 0, "rle": rle_to_coco(Rle.encode(np.ones((128, 128), bool)))}
    for each in (session_id, *others):
        assert client.post(f"/v1/sessions/{each}/masks", json=mask).status_code == 200
    for each in (session_id, *others):
        assert client.post(f"/v1/sessions/{each}/undo").json() == {"undone": True}
        again = client.post(f"/v1/sessions/{each}/masks", json={**mask, "frame_idx": 1}).json()
        assert (again["obj_id"], len(again["objects"])) == (1, 1)


def test_only_so_much_can_be_taken_back(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MAX_UNDO_BYTES", 220)
    store = Store(tmp_path / "saymask.sqlite")
    store.add_video("v", "v", None, "{}")
    session_id = store.add_session("v")
    for letter in "abcc":  # the last one changes nothing
        store.save(session_id, letter * 100)
    states = [store.undo(session_id) for _ in range(3)]
    assert [state and state[0] for state in states] == ["b", "a", None]
    store.save(session_id, "d" * 1000)
    store.save(session_id, "e")
    assert store.undo(session_id) == "d" * 1000, "the last change can be taken back whatever it is about"


def test_a_session_that_is_dropped_takes_its_video_along(client, clip, tmp_path):
    session_id, video = begin(client, clip)
    other_id = client.post("/v1/sessions", json={"video_id": video["id"]}).json()["id"]
    stored = tmp_path / "server" / "videos" / video["id"]
    client.delete(f"/v1/sessions/{session_id}")
    assert client.get(f"/v1/sessions/{session_id}").status_code == 404 and stored.exists()
    client.delete(f"/v1/sessions/{other_id}")
    assert not stored.exists()


def test_a_cancelled_job_leaves_nothing_and_a_failed_one_says_why(client, clip):
    session_id, _ = begin(client, clip)
    ask(client, session_id)
    (_, end) = ask(client, session_id)[-1]
    assert end["state"] == "failed" and end["problem"]["code"] == "cannot_be_done" and SAID in end["problem"]["message"]
    job_ids = [client.post(f"/v1/sessions/{session_id}/queries", json={"query": q}).json()["job_id"] for q in ("the cup", "the bird")]
    client.post(f"/v1/sessions/{session_id}/cancel")
    states = [events_of(client, job_id)[-1][1]["state"] for job_id in job_ids]
    assert states[1] == "cancelled" and client.get(f"/v1/jobs/{job_ids[1]}").json() == {"state": "cancelled"}
    assert "the bird" not in [result["query"] for result in client.get(f"/v1/sessions/{session_id}").json()["results"]]


def test_more_than_may_wait_are_told_to_come_again(clip, tmp_path, engine):
    with client_of(tmp_path, engine, max_waiting=1) as client:
        session_id, _ = begin(client, clip)
        answers = [client.post(f"/v1/sessions/{session_id}/queries", json={"query": f"the fish {i}"}) for i in range(8)]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused and all(answer.headers["retry-after"] == "2" and answer.json()["code"] == "busy" for answer in refused)
        for answer in answers:
            if answer.status_code == 202:
                assert events_of(client, answer.json()["job_id"])[-1][1]["state"] == "done"


def test_idle_sessions_expire_unless_a_job_waits(clip, tmp_path, engine):
    with client_of(tmp_path, engine, idle_seconds=-1.0) as client:
        session_id, video = begin(client, clip)
        client.post(f"/v1/sessions/{session_id}/queries", json={"query": SAID})
        other_id = client.post("/v1/sessions", json={"video_id": video["id"]}).json()["id"]
        client.app.state.service.expire()
        assert client.get(f"/v1/sessions/{other_id}").status_code == 404
        (job_id,) = client.get(f"/v1/sessions/{session_id}").json()["jobs"]
        assert events_of(client, job_id)[-1][1]["state"] == "done"
        client.app.state.service.expire()
        assert client.get(f"/v1/sessions/{session_id}").status_code == 404
        assert list((tmp_path / "videos").iterdir()) == []


def test_sessions_are_shared_out_among_devices(clip, tmp_path):
    class Counted(Engine):
        num_jobs = 0

        def editor(self, *given):
            self.num_jobs += 1
            return super().editor(*given)

    engines = [Counted("toy", None, None, CPU) for _ in range(2)]
    with TestClient(create_app(Settings(tmp_path), *engines), base_url="http://localhost") as client:
        video_id = begin(client, clip)[1]["id"]
        found = []
        while not all(engine.num_jobs for engine in engines):
            session_id = client.post("/v1/sessions", json={"video_id": video_id}).json()["id"]
            ask(client, session_id)
            found.append(masks(client.get(f"/v1/sessions/{session_id}").json()["results"]))
        assert all(np.array_equal(found[0], other) for other in found[1:])


def test_a_job_in_which_the_process_died_often_is_given_up(clip, tmp_path, engine):
    with client_of(tmp_path, engine) as client:
        session_id, _ = begin(client, clip)
    store = Store(tmp_path / "saymask.sqlite")
    job_ids = [store.add_job(session_id, f'{{"query": "the fish {i}"}}') for i in range(2)]
    for _ in range(MAX_BEGUN):
        store.begin_job(job_ids[0])
    store.close()
    with client_of(tmp_path, engine) as client:
        ends = [events_of(client, job_id)[-1][1] for job_id in job_ids]
    assert (ends[0]["state"], ends[0]["problem"]["code"], ends[1]["state"]) == ("failed", "gave_up", "done")


def test_a_session_has_a_largest_size_and_stays_what_it_was(clip, tmp_path, engine):
    with client_of(tmp_path, engine, max_state_bytes=6000) as client:
        session_id, _ = begin(client, clip)
        noise_HW = np.random.default_rng(0).random((128, 128)) < 0.5
        small = {"frame_idx": 0, "rle": rle_to_coco(Rle.encode(np.ones((128, 128), bool)))}
        assert client.post(f"/v1/sessions/{session_id}/masks", json=small).status_code == 200
        before = client.get(f"/v1/sessions/{session_id}").json()
        large = client.post(f"/v1/sessions/{session_id}/masks", json={"frame_idx": 0, "rle": rle_to_coco(Rle.encode(noise_HW))})
        assert (large.status_code, large.json()["code"]) == (413, "session_full")
        assert client.get(f"/v1/sessions/{session_id}").json() == before
        assert (
            client.post(f"/v1/sessions/{session_id}/masks", json={**small, "frame_idx": 1, "obj_id": 1, "query": DRAWN}).status_code == 200
        )


def test_a_database_of_another_version_is_not_touched(tmp_path):
    with sqlite3.connect(tmp_path / "saymask.sqlite") as database:
        database.execute("PRAGMA user_version = 7")
    with pytest.raises(ConfigError, match="version 7"):
        create_app(Settings(tmp_path), toy_engine())
