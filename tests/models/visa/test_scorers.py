"""Scorers outside the model: a server's votes over HTTP, a dual encoder's similarities, and what is said when they fail."""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scripted_server import Say, scripted_server
from scripted_visa import Script, bright_after, debug_segmenter, find_bright
from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from saymask.models.visa.options import VisaOptions
from saymask.models.visa.prompts import RELEASED
from saymask.models.visa.scorers import choose_target
from saymask.models.visa.votes import MOVIE_END, MOVIE_OPENING
from saymask.records import Video
from saymask.session import VideoSession
from saymask.trackers.loading import load_tracker

QUERY = "the red fish"


def session(video: Video | None = None) -> VideoSession:
    return VideoSession(video or bright_after(10), debug_segmenter(), load_tracker("hold"))


def never() -> list[str]:
    raise AssertionError("the model itself was asked")


def chosen(options: VisaOptions, video: Video | None = None):
    with session(video) as view:
        return choose_target(view, QUERY, options, never)


def by_server(address: str, **options) -> VisaOptions:
    return VisaOptions(votes_url=address, votes_model="some-vlm", **options)


@pytest.fixture
def key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("SAYMASK_VOTES_KEY", "secret")


@pytest.mark.usefixtures("loopback", "key")
def test_a_server_votes_until_there_are_enough():
    script = [Say("At 70%.")] * 6 + [Say("The last 80%")] * 3 + [Say("I cannot tell")]
    with scripted_server(script) as server:
        found = chosen(by_server(server.address, seed=5))
    assert (found.candidates, found.bins) == ((14, 4), (0, 0, 3, 0, 0, 0, 0, 6, 0, 0, 0))
    assert found.remarks == ("1 of 10 votes name no percentage",)
    assert [request["n"] for request in server.requests] == list(range(10, 0, -1))
    assert [request["seed"] for request in server.requests] == list(range(5, 15))
    first = server.requests[0]
    assert (first["model"], first["temperature"], first["top_p"]) == ("some-vlm", 0.6, 0.9)
    assert all(headers["Authorization"] == "Bearer secret" for headers in server.headers)


@pytest.mark.usefixtures("loopback", "key")
def test_a_server_sees_all_frames_between_the_published_words():
    with scripted_server([Say("0%")]) as server:
        chosen(by_server(server.address, num_votes=1), bright_after(10, 20))
    content = server.requests[0]["messages"][0]["content"]
    assert content[0]["text"] == MOVIE_OPENING
    assert content[-1]["text"] == f"{MOVIE_END}\n{RELEASED.sampler_question(QUERY)}"
    images = [part["image_url"]["url"] for part in content[1:-1]]
    pixels = [np.asarray(Image.open(BytesIO(base64.b64decode(url.split(",")[1])))) for url in images]
    assert [image.max() > 128 for image in pixels] == [False] * 10 + [True] * 10


@pytest.mark.usefixtures("loopback")
def test_no_key_no_header(monkeypatch):
    for name in ("SAYMASK_VOTES_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with scripted_server([Say("0%")]) as server:
        chosen(by_server(server.address, num_votes=1))
    assert "Authorization" not in server.headers[0]


@pytest.mark.usefixtures("loopback", "key")
def test_a_server_that_refuses_is_named_and_the_middle_taken():
    with scripted_server([Say("no such model", status=400)]) as server:
        found = chosen(by_server(server.address))
    assert (found.candidates, found.bins) == ((10,), ())
    (remark,) = found.remarks
    assert server.address in remark
    assert "HTTP 400" in remark
    assert remark.endswith("the middle of the video is taken")
    assert "secret" not in remark


@pytest.mark.usefixtures("loopback", "key")
def test_a_server_that_is_not_there_costs_no_answer():
    """The whole way: the query is answered from the middle of the video, and the notes say why."""
    with scripted_server(lambda body: Say()) as server:
        address = server.address.replace("/v1", "/elsewhere")
        segmenter = debug_segmenter()
        find_bright(segmenter)
        Script(segmenter, [], "Sure, [SEG].")
        with VideoSession(bright_after(5), segmenter, load_tracker("hold")) as opened:
            (result,) = opened.segment(QUERY, votes_url=address, votes_model="m").results
    assert result.notes["target_frame"] == 10
    assert "HTTP 404" in result.notes["remarks"][0]
    assert result.mask(10).any()


@pytest.mark.usefixtures("loopback", "key")
def test_nonsense_of_a_server():
    with scripted_server(lambda body: Say("")) as server:
        (remark,) = chosen(by_server(server.address)).remarks
    assert remark == "none of 10 answers names a percentage, the first is ''; the middle of the video is taken"


# -- similarity --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dual_encoder(tmp_path_factory) -> Path:
    """A narrow CLIP with random weights, saved as published ones are."""
    folder = tmp_path_factory.mktemp("clip")
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    side = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 8}
    tokens = {"vocab_size": len(words), "max_position_embeddings": 32, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    torch.manual_seed(0)
    images = {"image_size": 16, "patch_size": 8}
    config = CLIPConfig(text_config={**side, **tokens}, vision_config={**side, **images}, projection_dim=8, initializer_factor=20.0)
    CLIPModel(config).save_pretrained(folder)
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    CLIPProcessor(CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16), tokenizer).save_pretrained(folder)
    return folder


def noise() -> Video:
    return Video.from_frames(np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8), "noise", 10.0)


def test_the_frame_most_like_the_text_is_chosen(dual_encoder):
    """Scores are the library's own logits, up to their scale."""
    found = chosen(VisaOptions(scorer="similarity", similarity_model=str(dual_encoder)), noise())
    model, processor = CLIPModel.from_pretrained(dual_encoder).eval(), CLIPProcessor.from_pretrained(dual_encoder)
    inputs = processor(text=[QUERY], images=list(noise().frames(range(20))), return_tensors="pt", padding=True)
    with torch.no_grad():
        cosine_T = (model(**inputs).logits_per_image[:, 0] / model.logit_scale.exp()).numpy()
    best = int(cosine_T.argmax())
    assert found.candidates[0] == best
    far = [frame for frame in range(20) if abs(frame - best) > 20 / 11]
    assert found.candidates[1] == max(far, key=lambda frame: cosine_T[frame])
    assert found.bins == pytest.approx(cosine_T - cosine_T.min(), abs=1e-3)
    assert found.bins[best] == max(found.bins) > 0


@pytest.mark.parametrize("name", ["nowhere/at-all", "not-an-encoder"])
def test_an_encoder_that_cannot_be_had(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "not-an-encoder").mkdir()
    found = chosen(VisaOptions(scorer="similarity", similarity_model=name))
    assert found.candidates == (10,)
    (remark,) = found.remarks
    assert re.match(f"{name} cannot be loaded as a dual encoder .*; the middle of the video is taken$", remark)
