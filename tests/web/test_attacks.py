"""What a client must not be able to do: each attempt is refused by a status below 500, and nothing lies where it should not."""

from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from attacked_server import LIMITS
from attacks import ATTACKS, FFCONCAT, PLAYLIST, RAW_ATTACKS, SVG, Target, png_bomb
from real_server import RealServer
from served import begin, client_of

from saymask.errors import ConfigError
from saymask.video.limits import ReadLimits
from saymask.web.settings import Settings

TOKEN = "0123456789abcdef-token"
TRAVERSALS = [
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\x",
    "a/../../b",
    "%2e%2e%2fetc",
    "....//etc",
    "~/.ssh/id_rsa",
    "x\x00y",
    "\u202emp4.x",
]


def root_with(clip, folder):
    """A folder with one good video, and beside it what must not be reached."""
    (folder / "root").mkdir(parents=True)
    (folder / "root" / "good.mp4").write_bytes(clip)
    (folder / "secret.mp4").write_bytes(clip)
    (folder / "root" / "link.mp4").symlink_to(folder / "secret.mp4")
    return folder / "root"


@pytest.fixture(scope="module")
def target(clip, engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    with client_of(folder / "data", engine, root=root_with(clip, folder), **LIMITS) as client:
        session_id, video = begin(client, clip)
        assert client.post("/v1/videos/by-path", json={"path": "good.mp4"}).status_code == 201
        yield Target(client, clip, video["id"], session_id)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_is_refused(target, name):
    assert 400 <= ATTACKS[name](target) < 500


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("loopback")
def test_a_real_server_refuses_all_of_them_and_stays_small(clip, tmp_path):
    command = (str(Path(__file__).parents[1] / "support" / "attacked_server.py"), str(tmp_path / "data"), str(root_with(clip, tmp_path)))
    with RealServer(tmp_path / "data", command) as server, httpx2.Client(base_url=server.address, timeout=60) as client:
        session_id, video = begin(client, clip)
        target = Target(client, clip, video["id"], session_id, server.port)
        answers = {name: send(target) for name, send in {**ATTACKS, **RAW_ATTACKS}.items()}
        assert len(answers) >= 30 and {name: status for name, status in answers.items() if not 400 <= status < 500} == {}
        assert client.get("/health").json()["status"] == "ok" and client.get(f"/v1/sessions/{session_id}").status_code == 200
        assert server.peak_bytes() < 2 * 2**30
        assert "Traceback" not in server.log.read_text() and "passwd" not in server.log.read_text()


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_name_is_never_a_path(client, clip, name, tmp_path):
    video = client.post("/v1/videos", params={"name": name}, content=clip).json()
    assert not {"/", "\\", "\x00", "\u202e"} & set(video["name"])
    written = {path.name for path in (tmp_path / "server").rglob("*") if path.is_file()}
    assert {file for file in written if not file.startswith("saymask.sqlite")} == {video["id"]}
    for path in (f"/v1/videos/{name}/file", f"/v1/sessions/{name}", f"/v1/sessions/{name}/export/json", f"/v1/jobs/{name}/events"):
        try:
            response = client.get(path)
        except httpx2.InvalidURL:
            continue
        assert 400 <= response.status_code < 500, path
    session_id = client.post("/v1/sessions", json={"video_id": video["id"]}).json()["id"]
    with suppress(httpx2.InvalidURL):
        assert client.get(f"/v1/sessions/{session_id}/export/{name}").status_code == 404


@pytest.mark.parametrize(
    "content",
    [b"", b"no video", FFCONCAT, PLAYLIST, SVG, b"PK\x03\x04" + bytes(100), bytes(2000), png_bomb(60_000)],
    ids=["empty", "text", "ffconcat", "playlist", "svg", "zip", "zeros", "bomb"],
)
def test_what_is_no_video_is_refused_and_not_kept(client, content, tmp_path):
    response = client.post("/v1/videos", content=content)
    assert response.status_code == 422 and response.json()["code"] == "unreadable_video"
    assert str(tmp_path) not in response.text
    assert list((tmp_path / "server" / "videos").iterdir()) == []


def test_uploads_and_bodies_have_a_limit(clip, tmp_path, engine):
    with client_of(tmp_path, engine, max_upload_bytes=len(clip) - 1, max_body_bytes=1000) as client:
        assert client.post("/v1/videos", content=clip).status_code == 413
        assert client.post("/v1/videos", content=iter([clip[:1000], clip[1000:]])).status_code == 413, "without a length"
        assert client.post("/v1/videos", headers={"content-length": "x" * 3}, content=b"").status_code == 413
        assert client.post("/v1/sessions", content=b"x" * 1001).status_code == 413
        assert client.post("/v1/sessions", content=iter([b"x" * 600] * 2)).status_code == 413
        assert list((tmp_path / "videos").iterdir()) == []
    with client_of(tmp_path / "short", engine, limits=ReadLimits(max_frames=5)) as client:
        assert client.post("/v1/videos", content=clip).status_code == 422
    with client_of(tmp_path / "small", engine, limits=ReadLimits(max_pixels=100)) as client:
        assert client.post("/v1/videos", content=clip).status_code == 422


def test_videos_and_sessions_have_a_limit(clip, tmp_path, engine):
    with client_of(tmp_path / "few", engine, max_videos=1, max_sessions=2) as client:
        _, video = begin(client, clip)
        assert client.post("/v1/videos", content=clip).json()["code"] == "too_many_videos"
        answers = [client.post("/v1/sessions", json={"video_id": video["id"]}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 429, 429]


@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer wrong-token", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"])
def test_without_the_token_nothing_is_answered(tmp_path, engine, shown):
    headers = {} if shown is None else {"authorization": shown}
    with client_of(tmp_path, engine, host="0.0.0.0", token=TOKEN) as client:
        assert client.get("/health").status_code == 200
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/videos"), ("GET", "/openapi.json"), ("DELETE", "/v1/sessions/x")):
            response = client.request(method, path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "no_token")
        assert client.get("/v1/models", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_nobody_else_is_let_in_without_a_token(tmp_path, host):
    with pytest.raises(ConfigError, match="SAYMASK_TOKEN"):
        Settings(tmp_path, host)


def test_a_token_must_be_hard_to_guess(tmp_path):
    with pytest.raises(ConfigError, match="6 characters"):
        Settings(tmp_path, token="secret")


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}, {"host": ""}])
def test_pages_of_others_cannot_use_it(client, headers):
    response = client.post("/v1/sessions", json={"video_id": "x"}, headers=headers)
    assert response.status_code == 403
    assert not [name for name in client.get("/health").headers if name.startswith("access-control")]
