"""The loop against a real server whose answers are scripted: what it proposes, verifies, repairs, spends, keeps and writes down."""

import json

import numpy as np
import pytest
from drawn_parts import ColourDetector, ColourTracker
from scripted_server import Say, scripted_server

from saymask.errors import ConfigError, ServiceError
from saymask.models.agent.segmenter import AgentSegmenter
from saymask.models.agent.server import ServerModel
from saymask.models.grounded.segmenter import GroundedSegmenter
from saymask.records import Video
from saymask.session import VideoSession

pytestmark = pytest.mark.usefixtures("loopback")


def two_squares() -> Video:
    """12 frames of 20 x 80: a red square and a green one, both still."""
    frames = np.full((12, 20, 80, 3), 40, dtype=np.uint8)
    frames[:, 5:15, 10:20] = (255, 0, 0)
    frames[:, 5:15, 50:60] = (0, 255, 0)
    return Video.from_frames(frames, fps=4)


RED, GREEN = (10, 5, 20, 15), (50, 5, 60, 15)


def propose(*targets: dict, absent: bool = False) -> Say:
    return Say(json.dumps({"absent": absent, "targets": list(targets)}))


def judge(**verdicts: str) -> Say:
    """judge(_1="accept", _2="reject")"""
    probabilities = {"accept": 0.9, "reject": 0.1, "unsure": 0.5}
    entries = [
        {"number": int(number[1:]), "verdict": verdict, "probability": probabilities[verdict]} for number, verdict in verdicts.items()
    ]
    return Say(json.dumps({"verdicts": entries}))


def ask(script, query="the one that stops the traffic", name="scripted", timeout=5.0, video=None, **options):
    """One query -> its result, what the server saw, and the pauses between attempts."""
    pauses: list[float] = []
    with scripted_server(script) as server:
        model = ServerModel(server.address, name, timeout=timeout, sleep=pauses.append)
        segmenter = AgentSegmenter(model, GroundedSegmenter(ColourDetector(), ColourTracker()), "agent")
        with VideoSession(video or two_squares(), segmenter) as session:
            prediction = session.segment(query, **{"cache": None, **options})
    return prediction.results[0], server, pauses


def boxes(result) -> list:
    return [masklet.rle_T[6].box() for masklet in result.masklets]


# -- answers -----------------------------------------------------------------------------------------------------------------------------


def test_what_is_accepted_is_the_answer():
    result, server, _ = ask([propose({"phrase": "red"}, {"phrase": "green"}), judge(_1="accept", _2="reject")])
    assert boxes(result) == [RED]
    assert (result.text, result.masklets[0].presence) == ("red", 0.9)
    assert result.notes["calls"] == 2 and result.notes["tokens"] == 200 and not result.notes["low_confidence"]
    first, second = server.prompts()
    assert "the one that stops the traffic" in first and "the one that stops the traffic" in second
    assert len(server.requests[0]["messages"][0]["content"]) == 1 + 8 and len(server.requests[1]["messages"][0]["content"]) == 2
    assert server.requests[0]["temperature"] == 0 and server.requests[0]["model"] == "scripted"


def test_all_that_are_accepted_are_the_answer():
    result, _, _ = ask([propose({"phrase": "red"}, {"phrase": "green"}), judge(_1="accept", _2="accept")])
    assert boxes(result) == [RED, GREEN] and [masklet.obj_id for masklet in result.masklets] == [1, 2]


def test_absent_is_one_call_and_no_object():
    result, server, _ = ask([propose(absent=True)])
    assert (result.text, result.masklets, len(server.requests)) == ("not in this video", (), 1)


def test_all_rejected_is_absent():
    result, _, _ = ask([propose({"phrase": "red"}), judge(_1="reject")])
    assert (result.text, result.masklets) == ("not in this video", ())


def test_forced_takes_the_best_of_what_was_rejected():
    script = [propose({"phrase": "red"}, {"phrase": "green"}), judge(_1="reject", _2="reject")]
    result, _, _ = ask(script, answer="forced")
    assert len(result.masklets) == 1 and result.notes["low_confidence"]


def test_only_the_unsure_are_asked_about_again_on_other_frames():
    script = [propose({"phrase": "red"}, {"phrase": "green"}), judge(_1="reject", _2="unsure"), judge(_2="accept")]
    result, server, _ = ask(script)
    assert boxes(result) == [GREEN] and result.notes["rounds"] == 2
    assert "numbered: 1, 2." in server.prompts()[1] and "numbered: 2." in server.prompts()[2]
    sheets = [request["messages"][0]["content"][1]["image_url"]["url"] for request in server.requests[1:]]
    assert sheets[0] != sheets[1]


def test_what_stays_unsure_is_given_as_unsure():
    script = [propose({"phrase": "red"}), *([judge(_1="unsure")] * 3)]
    result, server, _ = ask(script)
    assert boxes(result) == [RED] and result.notes["low_confidence"]
    assert len(server.requests) == 4, "one proposal, three rounds"


# -- bad text ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    ["I see a red square.", '{"absent": fal', '{"targets": "red"}', '{"targets": [{"phrase": 7}]}', "", "[" * 5000, '{"a":' * 3000 + "}"],
    ids=["words", "cut off", "no list", "wrong type", "nothing", "brackets", "deep"],
)
def test_an_answer_that_cannot_be_read_is_asked_for_once_more(bad):
    result, server, _ = ask([Say(bad), propose({"phrase": "red"}), judge(_1="accept")])
    assert boxes(result) == [RED]
    assert "could not be read" in server.prompts()[1] and server.prompts()[1].startswith(server.prompts()[0])


def test_a_model_that_never_answers_in_json_leaves_the_query_itself():
    result, server, _ = ask([Say("no idea")] * 8, query="red")
    assert boxes(result) == [RED] and result.notes["low_confidence"] and "could not be read" in result.notes["proposal"]
    assert len(server.requests) == 2 + 2 * 3


def test_options_of_the_segmenter_are_passed_on_and_checked():
    script = [propose({"phrase": "red"}), judge(_1="accept")]
    found, _, _ = ask(script, segmenter_options={"box_threshold": 0.95})
    assert found.masklets == ()
    with pytest.raises(ConfigError, match="box_threshold"):
        ask(script, segmenter_options={"box_treshold": 0.5})


def test_an_answer_in_a_code_fence_is_read():
    fenced = Say(f"Sure!\n```json\n{propose({'phrase': 'green'}).text}\n```")
    result, _, _ = ask([fenced, judge(_1="accept")])
    assert boxes(result) == [GREEN]


def test_verdicts_on_numbers_that_do_not_exist_change_nothing():
    result, _, _ = ask([propose({"phrase": "red"}), judge(_7="accept"), judge(_1="accept")])
    assert boxes(result) == [RED] and result.notes["rounds"] == 2


# -- boxes -------------------------------------------------------------------------------------------------------------------------------


def test_a_box_is_tracked_where_its_phrase_finds_nothing():
    """In thousandths: the green square at 50 ... 60 of 80 columns and 5 ... 15 of 20 rows."""
    target = {"phrase": "a traffic light", "frame": 3, "box": [600, 200, 770, 800]}
    result, _, _ = ask([propose(target), judge(_1="accept")])
    assert boxes(result) == [GREEN] and result.masklets[0].phrase == "a traffic light"


def test_a_model_that_answers_in_pixels_of_the_sent_image():
    """It is sent frames of 64 x 256, 3.2 times as large as the video."""
    target = {"phrase": "a traffic light", "frame": 1, "box": [155, 10, 195, 52]}
    result, server, _ = ask([propose(target), judge(_1="accept")], name="Qwen2.5-VL-7B")
    assert boxes(result) == [GREEN]
    assert "pixels of the image" in server.prompts()[0]


@pytest.mark.parametrize(
    "target",
    [
        {"frame": 3, "box": [600, 200, 1700, 800]},
        {"frame": 3, "box": [770, 200, 600, 800]},
        {"frame": 99, "box": [600, 200, 770, 800]},
        {"frame": 3, "box": [600, 200]},
        {"box": [600, 200, 770, 800]},
        {"frame": 3, "box": [0, 0, 100, 100]},
    ],
    ids=["outside", "reversed", "no such frame", "two numbers", "no frame", "nothing there"],
)
def test_wrong_coordinates_are_left_out(target):
    result, server, _ = ask([propose({"phrase": "a traffic light", **target})])
    assert (result.masklets, result.text, len(server.requests)) == ((), "not in this video", 1)


# -- the server --------------------------------------------------------------------------------------------------------------------------


def test_too_many_requests_and_then_success():
    script = [Say(status=429, headers={"Retry-After": "7"}), Say(status=503), propose({"phrase": "red"}), judge(_1="accept")]
    result, server, pauses = ask(script)
    assert boxes(result) == [RED] and len(server.requests) == 4
    assert pauses == [7.0, 1.0]


def test_a_time_out_is_tried_again():
    script = [Say(pause=1.0), propose({"phrase": "red"}), judge(_1="accept")]
    result, _, pauses = ask(script, timeout=0.3)
    assert boxes(result) == [RED] and pauses == [0.5]


def test_a_server_that_never_answers_is_an_error_that_names_it():
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:\d+/v1: no answer after 4 attempts"):
        ask([Say(pause=0.6)] * 4, timeout=0.1)


def test_an_answer_that_breaks_off_is_tried_again():
    cut_off = Say("red", headers={"Content-Length": "5000"})
    result, server, pauses = ask([cut_off, propose({"phrase": "red"}), judge(_1="accept")])
    assert boxes(result) == [RED] and len(server.requests) == 3 and pauses == [0.5]


def test_a_server_that_fails_while_verifying_leaves_the_best_candidate():
    result, _, _ = ask([propose({"phrase": "red"}), *([Say(status=500)] * 4)])
    assert boxes(result) == [RED] and result.notes["low_confidence"] and "HTTP 500" in result.notes["stopped"]


def test_a_refusal_is_not_tried_again_and_does_not_show_the_key(monkeypatch):
    monkeypatch.setenv("SAYMASK_AGENT_KEY", "sk-secret")
    with pytest.raises(ServiceError, match="HTTP 401") as caught:
        ask([Say("wrong key sk-secret", status=401)])
    assert "sk-secret" not in str(caught.value) and "key" in str(caught.value)


def test_the_key_is_sent_and_written_nowhere(monkeypatch, caplog):
    monkeypatch.setenv("SAYMASK_AGENT_KEY", "sk-secret")
    caplog.set_level("DEBUG")
    result, server, _ = ask([Say(status=503), propose({"phrase": "red"}), judge(_1="accept")])
    assert server.headers[0]["Authorization"] == "Bearer sk-secret" and "sk-secret" not in caplog.text
    assert all(b"sk-secret" not in content for content in result.files.values()) and "sk-secret" not in json.dumps(result.notes)


def test_a_redirect_does_not_get_the_key(monkeypatch):
    monkeypatch.setenv("SAYMASK_AGENT_KEY", "sk-secret")
    with scripted_server([propose()]) as other, pytest.raises(ServiceError, match="HTTP 307"):
        ask([Say(status=307, headers={"Location": f"{other.address}/chat/completions"})])
    assert other.requests == []


# -- budget, cache, trace ----------------------------------------------------------------------------------------------------------------


def test_when_the_budget_is_spent_the_best_candidate_is_flagged():
    result, server, _ = ask([propose({"phrase": "red"}, {"phrase": "green"})], max_calls=1)
    assert len(server.requests) == 1 and len(result.masklets) == 1
    assert result.notes["low_confidence"] and result.notes["stopped"] == "the budget is spent"


def test_tokens_are_a_budget_too():
    result, server, _ = ask([propose({"phrase": "red"}), judge(_1="unsure")], max_tokens=150)
    assert len(server.requests) == 2 and result.notes["low_confidence"]


def test_seconds_are_a_budget_too():
    """Counted from the first question on: the second comes after 0.2 s and more."""
    result, server, _ = ask([Say(propose({"phrase": "red"}).text, pause=0.2)], max_seconds=0.2)
    assert len(server.requests) == 1 and boxes(result) == [RED] and result.notes["stopped"] == "the budget is spent"


def test_a_second_run_asks_nothing(tmp_path):
    first, _, _ = ask([propose({"phrase": "red"}), judge(_1="accept")], cache=tmp_path)
    second, server, _ = ask([], cache=tmp_path)
    assert server.requests == [] and boxes(second) == boxes(first) == [RED]
    assert (second.notes["calls"], second.notes["cached_calls"], second.notes["tokens"]) == (0, 2, 0)
    third, server, _ = ask([propose(absent=True)], cache=tmp_path, query="another question")
    assert len(server.requests) == 1 and third.masklets == ()


def test_a_damaged_answer_on_disk_is_asked_for_again(tmp_path):
    ask([propose(absent=True)], cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    _, server, _ = ask([propose(absent=True)], cache=tmp_path)
    assert len(server.requests) == 1 and json.loads(file.read_text())["tokens"] == 100


def test_a_trace_stands_beside_the_saved_result(tmp_path):
    with scripted_server([propose({"phrase": "red"}), judge(_1="accept")]) as server:
        model = ServerModel(server.address, "scripted")
        with VideoSession(two_squares(), AgentSegmenter(model, GroundedSegmenter(ColourDetector(), ColourTracker()), "agent")) as session:
            prediction = session.segment("<b>the red one</b>", cache=None)
    written = prediction.save(tmp_path, "json")
    assert [path.name for path in written] == ["prediction.json", "trace-1.json", "trace-1.html"]
    trace = json.loads((tmp_path / "trace-1.json").read_text())
    assert [exchange["tokens"] for exchange in trace["exchanges"]] == [100, 100] and trace["notes"]["calls"] == 2
    page = (tmp_path / "trace-1.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 9 and "<b>the" not in page and "&lt;b&gt;the red one" in page


# -- names -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["agent:", "agent:http://#x", "agent:ftp://host/v1#x", "agent:http://host/v1", "agent:http://key:pw@host/v1#x"]
)
def test_incomplete_addresses_are_refused(name):
    from saymask.models.checkpoints import load_model
    from saymask.runtime import Runtime

    with pytest.raises(ConfigError, match="agent") as caught:
        load_model(name, Runtime("cpu"))
    assert "key:pw" not in str(caught.value)
