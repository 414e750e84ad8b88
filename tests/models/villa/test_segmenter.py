"""ViLLa in a session: objects with phrases, presence that gates and filters, key frames in the notes, a save and a load."""

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from saymask.errors import CheckpointError, ConfigError
from saymask.models.base import Answer, ObjectAnswer
from saymask.models.checkpoints import load_model, save_model
from saymask.models.villa.dual_encoder import DualEncoder, load_dual_encoder
from saymask.records import Prediction
from saymask.runtime import Runtime
from saymask.samples import Expression
from saymask.session import VideoSession


@pytest.fixture
def sample(make_squares):
    return make_squares(Expression("0", "the fish", (1,)), num_frames=12)


def test_a_forced_answer_is_one_object_with_presence_on_its_key_frames(make_villa, sample):
    result = VideoSession(sample.video, make_villa()).segment("the fish", answer="forced").results[0]
    (masklet,) = result.masklets
    assert sorted(masklet.frame_presence) == result.notes["key_frames"] == result.notes["reference_frames"]
    assert 0 < masklet.presence < 1
    assert len(result.notes["frame_relevance"]) == 4


def test_several_queries_in_a_call_are_answered_as_alone(make_villa, sample):
    villa = make_villa()
    together = VideoSession(sample.video, villa).segment(["the fish", "Where is it?"], answer="forced").results
    for query, result in zip(("the fish", "Where is it?"), together, strict=True):
        alone = VideoSession(sample.video, villa).segment(query, answer="forced").results[0]
        assert alone.masklets[0].presence == pytest.approx(result.masklets[0].presence, abs=1e-6)
        assert alone.notes == result.notes


def with_presence(villa, bias):
    torch.nn.init.zeros_(villa.model.presence_head.weight)
    torch.nn.init.constant_(villa.model.presence_head.bias, bias)
    return villa


def test_presence_is_divided_by_the_temperature(make_villa, sample):
    villa = with_presence(make_villa(presence_temperature=4.0), 2.0)
    masklet = VideoSession(sample.video, villa).segment("the fish", answer="forced").results[0].masklets[0]
    assert masklet.presence == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_key_frames_without_the_object_are_silent(make_villa, sample):
    villa = with_presence(make_villa(), -1.0)
    result = VideoSession(sample.video, villa).segment("the fish", answer="forced").results[0]
    assert not any(result.masklets[0].rle_T[index].area for index in result.notes["key_frames"])


def test_objects_below_the_least_presence_are_left_out_and_named(make_villa, sample):
    villa = with_presence(make_villa(), 0.0)
    session = VideoSession(sample.video, villa)
    assert len(session.segment("the fish", answer="forced", min_presence=0.5).results[0].masklets) == 1
    result = session.segment("the fish", answer="forced", min_presence=0.6).results[0]
    assert result.masklets == ()
    assert result.notes["below_min_presence"] == [{"phrase": "", "presence": 0.5}]


def test_a_model_that_does_not_say_how_sure_it_is_cannot_be_filtered(segmenter, sample):
    with pytest.raises(ConfigError, match=r"min_presence = 0\.5.*'debug'"):
        VideoSession(sample.video, segmenter).segment("the fish", min_presence=0.5)


def test_key_frames_read_both_tokens_and_others_the_video_token(make_villa, sample):
    villa = make_villa()
    width = villa.model.mask_head.channels
    frame, video = torch.randn(width), torch.randn(width)
    obj = ObjectAnswer("", 0.9, video[None], {3: torch.stack([frame, video])}, {3: 0.9})
    features = torch.randn(2, width, 4, 4)
    logits = villa.decode(features, [2, 3], sample.video, [Answer("", (obj,))]).lowres_TNhw
    assert torch.allclose(logits[0], villa.model.mask_head.decode(features[:1], video[None, None, None])[0])
    assert torch.allclose(logits[1], villa.model.mask_head.decode(features[1:], torch.stack([frame, video])[None, None])[0])


def test_a_saved_model_answers_the_same_and_so_does_a_saved_prediction(make_villa, sample, tmp_path):
    villa = make_villa()
    save_model(villa.model, villa.processor, tmp_path / "villa", torch.float32)
    loaded = load_model(tmp_path / "villa", Runtime.choose("cpu", "float32"))
    before, after = (VideoSession(sample.video, each).segment("the fish", answer="forced") for each in (villa, loaded))
    assert after.results[0].masklets[0].frame_presence == pytest.approx(before.results[0].masklets[0].frame_presence)
    again = Prediction.load(after.save(tmp_path, "json")[0])
    assert again.results[0].masklets[0].frame_presence == after.results[0].masklets[0].frame_presence


def test_a_dual_encoder_can_score_the_frames(make_villa, sample, monkeypatch):
    class Rows:
        """Describes a frame by whether its first square has come far, and every text as far."""

        def describe_frames(self, frames_THWC):
            far_T = torch.from_numpy(frames_THWC[:, 0, 16:, 0].max(1) > 99).float()
            return torch.stack([far_T, 1 - far_T], dim=1)

        def describe_text(self, text):
            return torch.tensor([1.0, 0.0])

    monkeypatch.setattr("saymask.models.villa.segmenter.load_dual_encoder", lambda folder, device: Rows())
    notes = VideoSession(sample.video, make_villa()).segment("the fish", answer="forced", dual_encoder="clip").results[0].notes
    assert max(notes["key_frames"]) >= 9  # the first square touches column 16 from frame 9 on


def test_a_folder_that_is_no_dual_encoder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        load_dual_encoder(tmp_path, torch.device("cpu"))


def test_frames_and_texts_are_described_in_one_space():
    text = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 16, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config={**text, "eos_token_id": 3}, vision_config=vision, projection_dim=6))
    image_processor = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})

    def process(images=None, text=None, return_tensors="pt", **options):
        return image_processor(images, return_tensors=return_tensors) if images else {"input_ids": torch.tensor([[1, 2, 3]])}

    encoder = DualEncoder(model, process)
    assert encoder.describe_frames(np.zeros((2, 20, 20, 3), np.uint8)).shape == (2, 6)
    assert encoder.describe_text("a fish").shape == (6,)
