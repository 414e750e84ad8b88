"""Narrow detectors with random weights, saved as published ones are."""

from pathlib import Path

import pytest
import torch
from published_folders import TEXT, VISION, WORDS, randomised, save_clip_tokenizer, save_owlv2
from transformers import (
    BertTokenizer,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    MMGroundingDinoConfig,
    MMGroundingDinoForObjectDetection,
)
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil


def _dino_config(config_class):
    swin = {
        "model_type": "swin",
        "image_size": 64,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 1, 1],
        "window_size": 4,
        "out_indices": [2, 3, 4],
    }
    bert = {
        "model_type": "bert",
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    return config_class(
        backbone_config=swin,
        text_config=bert,
        num_queries=12,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_n_points=2,
        decoder_n_points=2,
        disable_custom_kernels=True,
        max_text_len=32,
    )


def _save_dino(folder: Path, config_class, model_class) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        randomised(model_class(_dino_config(config_class))).save_pretrained(folder)
    BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(folder)
    GroundingDinoImageProcessorPil(size={"shortest_edge": 128, "longest_edge": 200}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save_dino(tmp_path_factory.mktemp("dino"), GroundingDinoConfig, GroundingDinoForObjectDetection)


@pytest.fixture(scope="session")
def mm_dino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save_dino(tmp_path_factory.mktemp("mm"), MMGroundingDinoConfig, MMGroundingDinoForObjectDetection)


@pytest.fixture(scope="session")
def owlv2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_owlv2(tmp_path_factory.mktemp("owlv2"))


@pytest.fixture(scope="session")
def clipseg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clipseg")
    config = CLIPSegConfig(
        text_config=TEXT,
        vision_config=VISION,
        projection_dim=16,
        reduce_dim=8,
        extract_layers=[0, 1],
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        randomised(CLIPSegForImageSegmentation(config)).save_pretrained(folder)
    save_clip_tokenizer(folder)
    return folder
