"""The schema is valid, says what every request is answered, and what comes is what it says."""

import jsonschema
import pytest
from openapi_spec_validator import validate
from served import SAID, begin, events_of

from saymask.records import Rle
from saymask.video.masks import rle_to_coco
from saymask.web.answers import Frame
from saymask.web.app import PROBLEMS

VERBS = ("get", "post", "head", "patch", "delete", "options")


@pytest.fixture
def schema(client):
    return client.get("/openapi.json").json()


def operations(schema):
    return {
        f"{verb.upper()} {path}": found for path, of_path in schema["paths"].items() for verb, found in of_path.items() if verb in VERBS
    }


def test_it_is_valid_and_lists_what_there_is(schema):
    validate(schema)
    of_session = ("queries", "propagate", "cancel", "clicks", "boxes", "masks", "rename", "drop", "undo")
    assert set(operations(schema)) == {
        "GET /health",
        "GET /v1/models",
        "POST /v1/predict",
        "POST /v1/videos",
        "POST /v1/videos/by-path",
        "GET /v1/videos/{video_id}",
        "GET /v1/videos/{video_id}/file",
        "GET /v1/videos/{video_id}/frames/{frame_idx}",
        "OPTIONS /v1/uploads",
        "POST /v1/uploads",
        *(f"{verb} /v1/uploads/{{upload_id}}" for verb in ("HEAD", "PATCH", "DELETE")),
        "POST /v1/sessions",
        "GET /v1/sessions/{session_id}",
        "DELETE /v1/sessions/{session_id}",
        *(f"POST /v1/sessions/{{session_id}}/{verb}" for verb in of_session),
        "GET /v1/sessions/{session_id}/export/{format_name}",
        "GET /v1/jobs/{job_id}",
        "GET /v1/jobs/{job_id}/events",
    }


def test_every_request_says_its_answer_and_its_problems(schema):
    for name, operation in operations(schema).items():
        assert operation.get("description"), name
        responses = operation["responses"]
        for status in PROBLEMS:
            assert responses[str(status)]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ProblemAnswer"}, name
        ((status, answer),) = ((status, answer) for status, answer in responses.items() if status.startswith("2"))
        contents = answer.get("content", {})
        if not contents:
            assert status == "204" or answer["headers"], name
        for kind, content in contents.items():
            has_fields = "$ref" in content["schema"]
            assert has_fields if kind == "application/json" else content["schema"]["type"] == "string", (name, kind)


def require(schema, name, answer):
    """An answer is what the schema says of this request."""
    content = operations(schema)[name]["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**content, "components": schema["components"]}).validate(answer.json())


def test_what_comes_is_what_it_says(client, schema, clip):
    require(schema, "GET /health", client.get("/health"))
    require(schema, "GET /v1/models", client.get("/v1/models"))
    require(schema, "POST /v1/videos", client.post("/v1/videos", content=clip))
    session_id, video = begin(client, clip)
    require(schema, "GET /v1/videos/{video_id}", client.get(f"/v1/videos/{video['id']}"))

    def of_session(verb, body):
        answer = client.post(f"/v1/sessions/{session_id}/{verb}", json=body)
        require(schema, f"POST /v1/sessions/{{session_id}}/{verb}", answer)
        return answer.json()

    events = events_of(client, of_session("queries", {"query": SAID})["job_id"])
    for kind, event in events[:-1]:
        assert kind == "frame" and (event.pop("done"), event.pop("total")) == (event["frame_idx"] + 1, 6)
        Frame.model_validate(event)
    of_session("clicks", {"frame_idx": 2, "x": 60, "y": 60, "query": SAID, "obj_id": 1})
    of_session("boxes", {"frame_idx": 1, "box": [40, 40, 90, 90]})
    of_session("masks", {"frame_idx": 1, "rle": rle_to_coco(Rle.empty(128, 128))})
    events_of(client, of_session("propagate", {"frame_idx": 2, "num_frames": 1})["job_id"])
    of_session("cancel", {})
    require(schema, "GET /v1/sessions/{session_id}", client.get(f"/v1/sessions/{session_id}"))
    of_session("rename", {"query": SAID, "obj_id": 1, "phrase": "it"})
    of_session("undo", {})
    of_session("drop", {"query": SAID})
    of_session("clicks", {"frame_idx": 99, "x": 1, "y": 1})
    require(schema, "GET /v1/jobs/{job_id}", client.get("/v1/jobs/1"))
    require(schema, "GET /v1/jobs/{job_id}", client.get("/v1/jobs/99999"))
    require(schema, "DELETE /v1/sessions/{session_id}", client.delete(f"/v1/sessions/{session_id}"))
