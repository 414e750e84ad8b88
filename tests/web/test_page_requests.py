"""What the page asks the server for beside masks: its own files, names of objects, and sentences that are tried on a few frames."""

from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served import SAID, begin, client_of, events_of

from saymask.video.coco_rle import read_rle
from saymask.video.reader import open_source

NUM_FRAMES = 6


def ask(client, session_id, **fields):
    response = client.post(f"/v1/sessions/{session_id}/queries", json={"query": SAID, **fields})
    assert response.status_code == 202, response.text
    return events_of(client, response.json()["job_id"])


def covered(client, session_id) -> list[bool]:
    """Whether each frame has a mask of the first object of the first query."""
    (result, *_) = client.get(f"/v1/sessions/{session_id}").json()["results"]
    counts_T = result["objects"][0]["rle_T"]
    return [bool(read_rle({"size": [128, 128], "counts": counts}).decode().any()) for counts in counts_T]


def test_a_sentence_is_tried_on_a_window_and_then_asked_about_all(client, clip):
    session_id, _ = begin(client, clip)
    *frames, (_, end) = ask(client, session_id, window=[2, 3])
    assert end["state"] == "done"
    assert [(event["frame_idx"], event["done"], event["total"]) for _, event in frames] == [(2, 1, 2), (3, 2, 2)]
    assert covered(client, session_id) == [i in (2, 3) for i in range(NUM_FRAMES)]
    assert client.get(f"/v1/sessions/{session_id}").json()["results"][0]["notes"]["window"] == [2, 3]
    assert ask(client, session_id)[-1][1]["state"] == "failed", "it is there already"
    assert ask(client, session_id, again=True)[-1][1]["state"] == "done"
    assert covered(client, session_id) == [True] * NUM_FRAMES


@pytest.mark.parametrize("window", [[4, 2], [0, NUM_FRAMES]])
def test_a_window_that_is_not_there_ends_its_job_and_says_why(client, clip, window):
    session_id, _ = begin(client, clip)
    ((_, end),) = ask(client, session_id, window=window)
    assert end["state"] == "failed" and end["problem"]["code"] == "cannot_be_done"
    assert f"frames 0 to {NUM_FRAMES - 1}" in " ".join(end["problem"].values())
    assert client.get(f"/v1/sessions/{session_id}").json()["results"] == []


def test_a_name_is_kept_and_taken_back(client, clip, tmp_path):
    session_id, _ = begin(client, clip)
    ask(client, session_id)
    named = lambda: client.get(f"/v1/sessions/{session_id}").json()["results"][0]["objects"][0]["phrase"]  # noqa: E731
    before = named()
    assert client.post(f"/v1/sessions/{session_id}/rename", json={"query": SAID, "obj_id": 1, "phrase": "Goldie"}).status_code == 200
    assert named() == "Goldie"
    client.post(f"/v1/sessions/{session_id}/undo")
    assert named() == before
    refused = client.post(f"/v1/sessions/{session_id}/rename", json={"query": SAID, "obj_id": 9, "phrase": "x"})
    assert refused.status_code == 400 and "object 9" in refused.json()["message"]


def test_a_mask_may_come_as_a_list_of_counts(client, clip):
    session_id, _ = begin(client, clip)
    counts = [128 * 30 + 10, 5, 128 * 98 - 15]  # down the columns: column 30, rows 10 to 14
    given = client.post(f"/v1/sessions/{session_id}/masks", json={"frame_idx": 1, "rle": {"size": [128, 128], "counts": counts}}).json()
    expected_HW = np.zeros((128, 128), bool)
    expected_HW[10:15, 30] = True
    assert np.array_equal(read_rle(given["objects"][0]["rle"]).decode(), expected_HW)


def test_a_session_says_where_masks_were_given(client, clip):
    session_id, _ = begin(client, clip)
    ask(client, session_id)
    given = lambda: client.get(f"/v1/sessions/{session_id}").json()["given"]  # noqa: E731
    assert given() == []
    for frame_idx in (4, 1):
        client.post(f"/v1/sessions/{session_id}/clicks", json={"frame_idx": frame_idx, "x": 60, "y": 60, "query": SAID, "obj_id": 1})
    assert sorted(given(), key=lambda mask: mask["frame_idx"]) == [{"query": SAID, "obj_id": 1, "frame_idx": i} for i in (1, 4)]
    client.post(f"/v1/sessions/{session_id}/undo")
    assert given() == [{"query": SAID, "obj_id": 1, "frame_idx": 4}]


def test_the_pages_files_need_no_token_and_nothing_else_lies_beside_them(clip, tmp_path, engine):
    with client_of(tmp_path, engine, token="0123456789abcdef-token") as client:
        index = client.get("/")
        assert index.status_code == 200 and client.get("/page/page.js").headers["content-type"].startswith("text/javascript")
        for path in ("/page/", "/page/app.py", "/page/..%2fapp.py", "/page/%2e%2e/settings.py", "/page/x/../../v1/models"):
            assert client.get(path).status_code in (401, 404), path
        assert client.get("/v1/models").status_code == 401


def test_the_page_asks_nobody_else(client):
    parts = [path.name for path in (Path(str(files("saymask"))) / "web" / "page").iterdir()]
    assert {"index.html", "page.js", "page.css"} <= set(parts)
    for path in ("/", *(f"/page/{name}" for name in parts)):
        response = client.get(path)
        assert response.status_code == 200 and "default-src 'self'" in response.headers["content-security-policy"]
        assert "http:" not in response.text and "https:" not in response.text


def test_a_frame_comes_as_an_image(client, clip, tmp_path):
    _, video = begin(client, clip)
    (tmp_path / "clip.mp4").write_bytes(clip)
    frames_THWC = open_source(tmp_path / "clip.mp4").frames(range(NUM_FRAMES)).astype(int)
    for frame_idx in (4, 1):
        response = client.get(f"/v1/videos/{video['id']}/frames/{frame_idx}")
        assert response.headers["content-type"] == "image/jpeg"
        distances = np.abs(frames_THWC - np.asarray(Image.open(BytesIO(response.content)))).mean((1, 2, 3))
        assert distances.argmin() == frame_idx and distances.min() < 3
    for frame_idx, status in ((NUM_FRAMES, 400), (-1, 400), ("x", 422)):
        assert client.get(f"/v1/videos/{video['id']}/frames/{frame_idx}").status_code == status
    assert client.get("/v1/videos/nowhere/frames/0").status_code == 404
