"""One image in one request gives what the library gives."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from served import SAID, client_of

from saymask.cli.demo import SCENE, SPLIT
from saymask.models.checkpoints import load_model
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.toyworld.dataset import load_toyworld
from saymask.video.coco_rle import read_rle


@pytest.fixture(scope="module")
def frame_HWC() -> np.ndarray:
    return load_toyworld(None, SPLIT)[SCENE].video.frames([0])[0]


def as_png(frame_HWC) -> bytes:
    file = BytesIO()
    Image.fromarray(frame_HWC).save(file, "PNG")
    return file.getvalue()


def test_the_masks_are_the_librarys(client, frame_HWC, tmp_path):
    queries = [SAID, "the orange cup"]
    response = client.post("/v1/predict", params={"query": queries, "answer": "forced"}, content=as_png(frame_HWC))
    assert response.status_code == 200, response.text
    with VideoSession(Video.from_frames(frame_HWC[None]), load_model("toy", Runtime("cpu", "float32"))) as session:
        expected = session.segment(queries, answer="forced")
    answer = response.json()
    assert (answer["width"], answer["height"]) == (128, 128) and [result["query"] for result in answer["results"]] == queries
    for result, direct in zip(answer["results"], expected.results, strict=True):
        (found,), (masklet,) = result["objects"], direct.masklets
        assert np.array_equal(read_rle(found["rle"]).decode(), masklet.rle_T[0].decode()) and masklet.rle_T[0].area > 0
        assert tuple(found["box"]) == masklet.rle_T[0].box() and found["score"] == pytest.approx(masklet.frame_scores_T[0], abs=1e-4)
    assert list((tmp_path / "server" / "scratch").iterdir()) == []


@pytest.mark.parametrize("params", [{}, {"query": ""}, {"query": ["x"] * 9}, {"query": "x" * 501}, {"query": "x", "answer": "maybe"}])
def test_queries_have_bounds(client, frame_HWC, params):
    assert client.post("/v1/predict", params=params, content=as_png(frame_HWC)).json()["code"] == "invalid_request"


def test_only_images_of_a_bearable_size(clip, frame_HWC, tmp_path, engine):
    with client_of(tmp_path, engine, max_image_pixels=128 * 127, max_upload_bytes=100_000) as client:
        for content in (clip, b"", b"<svg/>", as_png(frame_HWC)):
            answer = client.post("/v1/predict", params={"query": SAID}, content=content)
            assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_video") and str(tmp_path) not in answer.text
        for content in (bytes(100_001), iter([bytes(60_000)] * 2)):
            assert client.post("/v1/predict", params={"query": SAID}, content=content).status_code == 413
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_full_line_is_said(frame_HWC, tmp_path, engine):
    with client_of(tmp_path, engine, max_waiting=0) as client:
        answer = client.post("/v1/predict", params={"query": SAID}, content=as_png(frame_HWC))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
