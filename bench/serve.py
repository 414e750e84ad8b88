"""Load on `saymask serve`: many clients at once on this machine, every answer compared with what the library says without a server.

    python bench/serve.py [--clients 20] [--rounds 10] [--frames 12]

Starts a server of its own with the toy model in float32. Each client uploads the drawn clip and then takes its share of a mixture: it asks
and follows the events, clicks, carries, reads the session, exports, gives a mask, takes it back, asks about an image, drops the session. A
503 is waited for as `Retry-After` says and counted, not taken for an answer. Prints one JSON object: requests, how many were lost (no
answer) or wrong (another one than the library's), 503s, latency in ms by kind (median, 95th percentile; to the last event where a request
is followed by events), requests per second, and the most memory that the server had. The exit code is 1 if anything was lost or wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from real_server import RealServer  # noqa: E402 (found by the line above)
from served import SAID, write_drawn_clip  # noqa: E402

from saymask.api import load_prompter, load_tracker  # noqa: E402
from saymask.models.checkpoints import load_model  # noqa: E402
from saymask.records import Rle  # noqa: E402
from saymask.runtime import Runtime  # noqa: E402
from saymask.session import Editor, VideoSession  # noqa: E402
from saymask.video.masks import rle_to_coco  # noqa: E402
from saymask.video.reader import open_source  # noqa: E402
from saymask.web.engine import frame_to_json, state_of  # noqa: E402

CLICK = {"frame_idx": 2, "x": 60.0, "y": 60.0, "query": SAID, "obj_id": 1}


class Direct:
    """What the library answers to the same steps, without a server."""

    def __init__(self, clip: Path):
        video = open_source(clip)
        runtime = Runtime("cpu", "float32")
        model = load_model("toy", runtime)
        with VideoSession(video, model, load_tracker("xmem++", dtype="float32")) as session:
            editor = Editor(session, load_prompter("toy-prompter", dtype="float32"))
            self.asked = {result.frame_idx: frame_to_json(result) for result in editor.ask(SAID)}
            editor.add_click(**CLICK)
            self.clicked = frame_to_json(editor.frame(CLICK["frame_idx"]))
            self.carried = {result.frame_idx: frame_to_json(result) for result in editor.propagate(CLICK["frame_idx"])}
            self.results = json.loads(state_of(editor))["results"]
            mask_HW = np.zeros((video.height, video.width), bool)
            mask_HW[10:40, 20:50] = True
            self.rle = rle_to_coco(Rle.encode(mask_HW))
            editor.add_mask(1, mask_HW)
            self.given = frame_to_json(editor.frame(1))
        frame_HWC = video.frames([0])[0]
        file = BytesIO()
        Image.fromarray(frame_HWC).save(file, "PNG")
        self.image = file.getvalue()
        image = Path(clip.parent / "frame.png")
        image.write_bytes(self.image)
        with VideoSession(open_source(image), model) as session:
            (masklet,) = session.segment(SAID).results[0].masklets
        self.predicted = rle_to_coco(masklet.rle_T[0])


class Load:
    """What all clients did, together."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = defaultdict(list)
        self.lost: list[str] = []
        self.wrong: list[str] = []
        self.num_busy = 0
        self._lock = threading.Lock()

    def measure(self, kind: str, ask: Callable[[], tuple[Any, Any]]) -> None:
        """One request: what came and what should have come."""
        start = time.perf_counter()
        try:
            came, expected = ask()
        except (httpx2.HTTPError, KeyError, ValueError) as error:
            with self._lock:
                self.lost.append(f"{kind}: {error!r}")
            return
        with self._lock:
            self.milliseconds[kind].append(1000 * (time.perf_counter() - start))
            if json.loads(json.dumps(came)) != json.loads(json.dumps(expected)):
                self.wrong.append(kind)

    def busy(self) -> None:
        with self._lock:
            self.num_busy += 1


class Client:
    """One user: a session of its own, and the same steps as `Direct`."""

    def __init__(self, address: str, clip: bytes, direct: Direct, load: Load):
        self._http = httpx2.Client(base_url=address, timeout=600)
        self._clip, self._direct, self._load = clip, direct, load
        self._session_id = ""

    def run(self, rounds: int) -> None:
        """The steps in order, over and over, until `rounds` requests have been answered."""
        steps = (
            self._upload,
            self._ask,
            self._click,
            self._carry,
            self._read,
            self._export,
            self._mask,
            self._undo,
            self._predict,
            self._drop,
        )
        for number in range(rounds):
            step = steps[number % len(steps)]
            self._load.measure(step.__name__[1:], step)

    def _call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        while (response := self._http.request(method, path, **options)).status_code == 503:
            self._load.busy()
            time.sleep(float(response.headers["retry-after"]))
        if response.is_error:
            raise ValueError(f"{response.status_code} {response.text}")
        return response

    def _of_session(self, verb: str, body: Any = None) -> Any:
        return self._call("POST", f"/v1/sessions/{self._session_id}/{verb}", json=body or {}).json()

    def _followed(self, job_id: int) -> dict[int, Any]:
        frames, kind = {}, ""
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events") as response:
            for line in response.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    if kind == "frame":
                        frames[event["frame_idx"]] = {name: event[name] for name in ("frame_idx", "objects")}
        if kind != "end" or event["state"] != "done":
            raise ValueError(f"job {job_id} ended with {kind} {event}")
        return frames

    def _upload(self) -> tuple[Any, Any]:
        video = self._call("POST", "/v1/videos", content=self._clip).json()
        self._session_id = self._call("POST", "/v1/sessions", json={"video_id": video["id"]}).json()["id"]
        return self._call("GET", f"/v1/videos/{video['id']}/file").content == self._clip, True

    def _ask(self) -> tuple[Any, Any]:
        return self._followed(self._of_session("queries", {"query": SAID})["job_id"]), self._direct.asked

    def _click(self) -> tuple[Any, Any]:
        return self._of_session("clicks", CLICK)["objects"], self._direct.clicked["objects"]

    def _carry(self) -> tuple[Any, Any]:
        return self._followed(self._of_session("propagate", {"frame_idx": CLICK["frame_idx"]})["job_id"]), self._direct.carried

    def _read(self) -> tuple[Any, Any]:
        return self._call("GET", f"/v1/sessions/{self._session_id}").json()["results"], self._direct.results

    def _export(self) -> tuple[Any, Any]:
        return self._call("GET", f"/v1/sessions/{self._session_id}/export/json").json()["results"], self._direct.results

    def _mask(self) -> tuple[Any, Any]:
        return self._of_session("masks", {"frame_idx": 1, "rle": self._direct.rle})["objects"], self._direct.given["objects"]

    def _undo(self) -> tuple[Any, Any]:
        undone = self._of_session("undo")["undone"]
        return (undone, self._read()[0]), (True, self._direct.results)

    def _predict(self) -> tuple[Any, Any]:
        answer = self._call("POST", "/v1/predict", params={"query": SAID}, content=self._direct.image).json()
        return [obj["rle"] for obj in answer["results"][0]["objects"]], [self._direct.predicted]

    def _drop(self) -> tuple[Any, Any]:
        return self._call("DELETE", f"/v1/sessions/{self._session_id}").json(), {"dropped": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10, help="requests of each client")
    parser.add_argument("--frames", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.mp4"
        write_drawn_clip(clip, options.frames)
        direct, load = Direct(clip), Load()
        with RealServer(Path(scratch) / "data") as server:
            clients = [Client(server.address, clip.read_bytes(), direct, load) for _ in range(options.clients)]
            threads = [threading.Thread(target=client.run, args=(options.rounds,)) for client in clients]
            start = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds, peak_bytes = time.perf_counter() - start, server.peak_bytes()
    every = [value for values in load.milliseconds.values() for value in values]
    percentiles = {kind: [round(float(np.percentile(values, q))) for q in (50, 95)] for kind, values in load.milliseconds.items()}
    result = {
        **vars(options),
        "requests": len(every) + len(load.lost),
        "lost": load.lost,
        "wrong": load.wrong,
        "told_to_come_again": load.num_busy,
        "latency_ms_p50_p95": {"all": [round(float(np.percentile(every, q))) for q in (50, 95)], **percentiles},
        "requests_per_second": round(len(every) / seconds, 2),
        "server_peak_mib": round(peak_bytes / 2**20),
    }
    print(json.dumps(result, indent=2))
    sys.exit(bool(load.lost or load.wrong))


if __name__ == "__main__":
    main()
