"""Uploads in parts: what was confirmed is there after a crash, and the whole is the file that was sent."""

import asyncio
import base64

import pytest
from served import client_of

from saymask.web.problems import Problem
from saymask.web.settings import Settings
from saymask.web.store import Store
from saymask.web.videos import Videos

PATCH_TYPE = {"content-type": "application/offset+octet-stream"}


def create(client, size, name="clip.mp4", **headers):
    encoded = base64.b64encode(name.encode()).decode()
    headers = {"upload-length": str(size), "upload-metadata": f"filetype eA==,filename {encoded}", **headers}
    return client.post("/v1/uploads", headers=headers)


def patch(client, address, offset, content, **headers):
    return client.patch(address, headers={**PATCH_TYPE, "upload-offset": str(offset), **headers}, content=content)


def offset(client, address) -> tuple[int, int]:
    headers = client.head(address).headers
    return int(headers["upload-offset"]), int(headers["upload-length"])


def test_a_file_in_parts_is_the_file(client, clip):
    created = create(client, len(clip))
    address = created.headers["location"]
    assert (created.status_code, created.headers["tus-resumable"]) == (201, "1.0.0") and created.headers["upload-expires"].endswith("GMT")
    third = len(clip) // 3
    for start, end in ((0, third), (third, third), (third, 2 * third), (2 * third, len(clip))):
        assert offset(client, address) == (start, len(clip))
        answer = patch(client, address, start, iter([clip[start : start + 10], clip[start + 10 : end]] if start < end else []))
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(end))
    assert offset(client, address) == (len(clip), len(clip)), "a client that did not hear the last answer asks"
    video_id = address.rpartition("/")[2]
    assert client.get(f"/v1/videos/{video_id}/file").content == clip
    whole = client.post("/v1/videos", params={"name": "clip.mp4"}, content=clip).json()
    assert client.get(f"/v1/videos/{video_id}").json() == {**whole, "id": video_id}


def test_a_part_that_does_not_follow_is_refused(client, clip):
    address = create(client, len(clip)).headers["location"]
    patch(client, address, 0, clip[:100])
    for wrong in (0, 99, 101, len(clip)):
        answer = patch(client, address, wrong, clip[wrong : wrong + 10])
        assert (answer.status_code, answer.json()["code"], answer.headers["upload-offset"]) == (409, "wrong_offset", "100")
    answer = patch(client, address, 100, clip[100:] + b"x")
    assert answer.status_code == 413 and offset(client, address)[0] <= len(clip)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"upload-offset": "-1"}, 422),
        ({"upload-offset": "x"}, 422),
        ({"upload-offset": str(2**63)}, 422),
        ({"content-type": "application/json"}, 415),
        ({"tus-resumable": "0.2.2"}, 412),
    ],
)
def test_a_request_that_is_no_part_is_refused(client, clip, headers, status):
    address = create(client, len(clip)).headers["location"]
    answer = patch(client, address, 0, clip, **headers)
    assert answer.status_code == status and set(answer.json()) == {"code", "message", "hint"}
    assert offset(client, address)[0] == 0


@pytest.mark.parametrize(("size", "status"), [(0, 422), (-5, 422), (2**63, 422), ("1e3", 422), (2**40, 413)])
def test_a_size_that_cannot_be_is_refused(client, size, status, tmp_path):
    assert create(client, size).status_code == status
    assert create(client, 100, **{"upload-metadata": "filename ***"}).status_code == 400
    assert list((tmp_path / "server" / "videos").iterdir()) == []


def test_what_is_no_video_is_gone_with_its_last_byte(client, tmp_path):
    address = create(client, 1000).headers["location"]
    assert patch(client, address, 0, bytes(999)).status_code == 204
    last = patch(client, address, 999, b"x")
    assert (last.status_code, last.json()["code"]) == (422, "unreadable_video") and str(tmp_path) not in last.text
    assert client.head(address).status_code == 404 and list((tmp_path / "server" / "videos").iterdir()) == []


def test_an_upload_can_be_dropped_and_counts_as_a_video(clip, tmp_path, engine):
    with client_of(tmp_path, engine, max_videos=1) as client:
        address = create(client, len(clip)).headers["location"]
        assert create(client, len(clip)).status_code == client.post("/v1/videos", content=clip).status_code == 429
        assert client.delete(address).status_code == 204 and client.delete(address).status_code == 404
        assert client.post("/v1/videos", content=clip).status_code == 201
    assert len(list((tmp_path / "videos").iterdir())) == 1


def test_a_full_disk_is_said_before_anything_is_sent(clip, tmp_path, engine):
    with client_of(tmp_path, engine, min_free_bytes=2**62) as client:
        for answer in (create(client, len(clip)), client.post("/v1/videos", content=clip)):
            assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")


def test_an_upload_goes_on_in_a_new_process(clip, tmp_path, engine):
    with client_of(tmp_path, engine) as client:
        address = create(client, len(clip)).headers["location"]
        patch(client, address, 0, clip[:1000])
    with (tmp_path / "videos" / address.rpartition("/")[2]).open("ab") as file:
        file.write(b"written, but never confirmed")
    (tmp_path / "videos" / "whole-upload-that-was-cut").write_bytes(clip[:50])
    with client_of(tmp_path, engine) as client:
        assert offset(client, address) == (1000, len(clip))
        assert patch(client, address, 1000, clip[1000:]).status_code == 204
        assert client.get(address.replace("uploads", "videos") + "/file").content == clip
    assert len(list((tmp_path / "videos").iterdir())) == 1


async def pieces(*parts, after=None):
    for part in parts:
        yield part
    if after is not None:
        await after.wait()


def test_an_upload_that_had_come_whole_is_finished_at_the_start(clip, tmp_path):
    store = Store(tmp_path / "saymask.sqlite")
    videos = Videos(Settings(tmp_path), store)
    whole, empty = (videos.begin_upload("clip.mp4", len(clip), in_parts=True) for _ in range(2))
    asyncio.run(videos.receive(whole, 0, pieces(clip)))
    asyncio.run(videos.receive(empty, 0, pieces(bytes(len(clip)))))
    videos.start()
    assert videos.facts(whole)["num_frames"] == 6 and videos.progress(whole) == (len(clip), len(clip))
    with pytest.raises(Problem, match="no upload"):
        videos.progress(empty)


def test_one_request_at_a_time_and_slow_ones_end(tmp_path):
    videos = Videos(Settings(tmp_path, max_upload_seconds=0.2), Store(tmp_path / "saymask.sqlite"))

    async def run():
        upload_id = videos.begin_upload("clip.mp4", 100, in_parts=True)
        slow = asyncio.create_task(videos.receive(upload_id, 0, pieces(b"abc", after=asyncio.Event())))
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as second:
            await videos.receive(upload_id, 0, pieces(b"x"))
        with pytest.raises(Problem) as dropped:
            videos.drop_upload(upload_id)
        with pytest.raises(Problem) as ended:
            await slow
        return second.value.status, dropped.value.status, ended.value.status, videos.progress(upload_id)

    assert asyncio.run(run()) == (423, 423, 408, (3, 100))


def test_uploads_that_were_left_expire(tmp_path):
    videos = Videos(Settings(tmp_path, upload_idle_seconds=-1.0), Store(tmp_path / "saymask.sqlite"))
    upload_id = videos.begin_upload("clip.mp4", 100, in_parts=True)
    videos.expire()
    with pytest.raises(Problem, match=upload_id):
        videos.progress(upload_id)
    assert list((tmp_path / "videos").iterdir()) == []
