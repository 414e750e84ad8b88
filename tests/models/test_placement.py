"""A language model spread over devices computes what it computes on one, and a wrong wish is refused in words."""

import gc

import numpy as np
import pytest
import torch
from transformers import BitsAndBytesConfig

from saymask.errors import ConfigError
from saymask.models.checkpoints import load_model, save_model
from saymask.models.placement import language_quantisation
from saymask.models.videolisa.options import VideoLisaOptions
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession


@pytest.fixture
def folder(segmenter, tmp_path):
    save_model(segmenter.model, segmenter.processor, tmp_path / "m", dtype=torch.float32)
    return tmp_path / "m"


def prompts(folder, device_map, answer="forced"):
    segmenter = load_model(folder, Runtime("cpu", "float32", device_map))
    frames_THWC = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    with VideoSession(Video.from_frames(frames_THWC), segmenter) as session:
        session.segment("the red fish")
        answers = segmenter.reason(session, ["the red fish", "the blue key"], VideoLisaOptions(answer=answer))
    return segmenter, torch.stack([obj.prompt_KC for reply in answers for obj in reply.objects])


@pytest.mark.parametrize("device_map", ["auto", {"layers.1": "disk"}, {"layers.0": "disk", "layers.1": "cpu"}], ids=str)
def test_layers_elsewhere_give_the_same_prompts(folder, device_map):
    _, expected = prompts(folder, None)
    segmenter, found = prompts(folder, device_map)
    assert torch.allclose(found, expected, atol=1e-6)
    layers = segmenter.model.language_model.model.layers
    offloaded = {f"layers.{i}" for i, layer in enumerate(layers) if all(parameter.is_meta for parameter in layer.parameters())}
    assert offloaded == ({name for name, device in device_map.items() if device == "disk"} if isinstance(device_map, dict) else set())


def test_what_was_put_on_the_disk_goes_with_the_model(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("saymask.models.placement.mkdtemp", lambda prefix: str(tmp_path / "offload"))
    segmenter, _ = prompts(folder, {"layers.1": "disk"})
    assert list((tmp_path / "offload").glob("*.dat"))
    del segmenter
    gc.collect()
    assert not (tmp_path / "offload").exists()


@pytest.mark.parametrize(
    ("device_map", "message"),
    [
        ("balanced", "device_map 'balanced' is not known; give 'auto' or a mapping from parts such as 'layers.3' to devices"),
        ({"layers.7": "cpu"}, "device_map names 'layers.7', which is no layer of the language model; it has layers.0 to layers.1"),
    ],
    ids=str,
)
def test_a_map_that_leads_nowhere(folder, device_map, message):
    with pytest.raises(ConfigError) as caught:
        load_model(folder, Runtime("cpu", "float32", device_map))
    assert str(caught.value) == message


def test_quantisation_without_a_cuda_device(folder):
    with pytest.raises(ConfigError) as caught:
        load_model(folder, Runtime("cpu", quantization_config=BitsAndBytesConfig(load_in_8bit=True)))
    assert str(caught.value) == (
        "quantization_config needs a CUDA device, and this run is on 'cpu'; leave it out, dtype bfloat16 halves float32"
    )


def test_quantisation_is_for_the_language_model_alone():
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["mine"])
    arguments = language_quantisation(
        Runtime("cuda:1", quantization_config=config), "language_model", ["visual", "language_model", "mask_head"]
    )
    assert arguments == {"quantization_config": config, "device_map": {"": "cuda:1"}}
    assert config.llm_int8_skip_modules == ["mine", "mask_head", "visual", "lm_head"]
    assert language_quantisation(Runtime("cuda"), "language_model", []) == {}


def test_quantisation_without_its_library(folder):
    with pytest.raises(ConfigError, match=r"^the quantisation's library cannot be imported .*; pip install 'saymask\[quant\]'$"):
        load_model(folder, Runtime("cuda", quantization_config=BitsAndBytesConfig(load_in_8bit=True)))
