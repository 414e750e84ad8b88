"""`kill -9` in the middle of uploads and jobs: what was confirmed is there after the next start, and the end is as without a kill."""

import random
import time

import httpx2
import numpy as np
import pytest
from real_server import RealServer
from served import SAID, write_drawn_clip

from saymask.records import Rle
from saymask.video.masks import rle_to_coco

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("loopback")]
NUM_FRAMES = 24
QUERIES = (SAID, "the orange cup", "the bird", "the blue key")
PART = 1500
PATCH_TYPE = "application/offset+octet-stream"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("long") / "clip.mp4"
    write_drawn_clip(path, NUM_FRAMES)
    return path.read_bytes()


class Client:
    """What one user does, step by step, and what the server has confirmed of it."""

    def __init__(self, server, clip):
        self.server, self.clip = server, clip
        self.confirmed = 0  # bytes
        self.session_id = None
        self.jobs: dict[str, int] = {}
        self.edits = 0

    def call(self, method, path, **options):
        with httpx2.Client(base_url=self.server.address, timeout=60) as client:
            return client.request(method, path, **options)

    def session(self):
        return self.call("GET", f"/v1/sessions/{self.session_id}").json()

    def begin_upload(self):
        answer = self.call("POST", "/v1/uploads", headers={"upload-length": str(len(self.clip))})
        self.upload = answer.headers["location"]

    def send_part(self):
        offset = int(self.call("HEAD", self.upload).headers["upload-offset"])
        assert offset >= self.confirmed, "confirmed bytes are gone"
        headers = {"upload-offset": str(offset), "content-type": PATCH_TYPE}
        if offset < len(self.clip):
            answer = self.call("PATCH", self.upload, headers=headers, content=self.clip[offset : offset + PART])
            assert answer.status_code == 204, answer.text
            self.confirmed = int(answer.headers["upload-offset"])

    def begin_session(self):
        self.session_id = self.call("POST", "/v1/sessions", json={"video_id": self.upload.rpartition("/")[2]}).json()["id"]

    def give_mask(self):
        mask_HW = np.zeros((128, 128), bool)
        mask_HW[10 : 20 + self.edits, 30:50] = True
        body = {"frame_idx": self.edits, "rle": rle_to_coco(Rle.encode(mask_HW))}
        assert self.call("POST", f"/v1/sessions/{self.session_id}/masks", json=body).status_code == 200
        self.edits += 1

    def ask(self, query):
        self.jobs[query] = self.call("POST", f"/v1/sessions/{self.session_id}/queries", json={"query": query}).json()["job_id"]

    def wait(self):
        while self.session()["jobs"]:
            time.sleep(0.05)


def steps_of(client):
    yield client.begin_upload
    for _ in range(-(-len(client.clip) // PART)):
        yield client.send_part
    yield client.begin_session
    yield client.give_mask
    yield client.give_mask
    for query in QUERIES:
        yield lambda query=query: client.ask(query)


def masks_of(session):
    """Of every query: the run lengths of each object on every frame."""
    return {result["query"]: [obj["rle_T"] for obj in result["objects"]] for result in session["results"]}


@pytest.fixture(scope="module")
def expected(clip, tmp_path_factory):
    """What a run without a kill ends with."""
    with RealServer(tmp_path_factory.mktemp("straight") / "data") as server:
        client = Client(server, clip)
        for step in steps_of(client):
            step()
        client.wait()
        return client.session()


def kill_and_compare(server, client):
    """Whatever could be read before the kill can be read after it; jobs have ended or are under way."""
    before = client.session() if client.session_id else None
    server.kill()
    server.start()
    if before:
        after = masks_of(client.session())
        assert {query: after[query] for query in masks_of(before)} == masks_of(before)
        states = {client.call("GET", f"/v1/jobs/{job_id}").json()["state"] for job_id in client.jobs.values()}
        assert states <= {"waiting", "done"}


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_was_confirmed_is_lost(clip, expected, tmp_path, seed):
    """Three kills: in the upload, between or in jobs, and at a random moment after the last one was promised."""
    rng = random.Random(seed)
    with RealServer(tmp_path / "data") as server:
        client = Client(server, clip)
        steps = list(steps_of(client))
        kills = {rng.randrange(2, len(steps) - 8), rng.randrange(len(steps) - 5, len(steps) - 1), len(steps) - 1}
        for number, step in enumerate(steps):
            step()
            if number in kills:
                time.sleep(rng.uniform(0, 1))
                kill_and_compare(server, client)
        client.wait()
        session = client.session()
        states = [client.call("GET", f"/v1/jobs/{job_id}").json()["state"] for job_id in client.jobs.values()]
        assert len(kills) == 3 and states == ["done"] * len(QUERIES) and masks_of(session) == masks_of(expected)
        assert client.call("GET", f"/v1/videos/{session['video']['id']}/file").content == clip
        assert {**session["video"], "id": ""} == {**expected["video"], "id": ""}
        log = server.log.read_text()
        assert not any(said in log for said in (*QUERIES, session["video"]["id"], client.session_id)), log


def test_a_request_that_is_cut_off_leaves_what_was_confirmed(clip, tmp_path):
    """The server dies while bytes come; the client does not know how many were taken, asks, and goes on."""
    rng = random.Random(0)
    with RealServer(tmp_path / "data") as server:
        client = Client(server, clip)
        client.begin_upload()
        client.send_part()

        def slowly(offset):
            yield clip[offset : offset + 700]
            server.kill()
            yield bytes(5000 - 700)  # nobody takes them

        for _ in range(3):
            offset = client.confirmed
            headers = {"upload-offset": str(offset), "content-type": PATCH_TYPE, "content-length": "5000"}
            with pytest.raises(httpx2.TransportError):
                client.call("PATCH", client.upload, headers=headers, content=slowly(offset))
            server.start()
            client.send_part()
            time.sleep(rng.uniform(0, 0.1))
        while client.confirmed < len(clip):
            client.send_part()
        assert client.call("GET", client.upload.replace("uploads", "videos") + "/file").content == clip
