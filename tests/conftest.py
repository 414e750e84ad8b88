"""Rules for every test: no network, no download, no terminal width of the machine that runs it."""

import gc
import os
import socket
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["COLUMNS"] = "140"


def pytest_unconfigure() -> None:
    """Python looks through all that a process holds when it ends, which takes seconds after thousands of tests."""
    gc.freeze()


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection fails and says so; those marked `weights` may, and to this machine those that use `loopback`."""
    if request.node.get_closest_marker("weights"):
        return

    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        to_itself = self.family == socket.AF_INET and isinstance(address, tuple) and address[0] == "127.0.0.1"
        # Worker processes talk to each other through AF_UNIX.
        if self.family != socket.AF_UNIX and not (to_itself and "loopback" in request.fixturenames):
            pytest.fail(f"the test opened a connection to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    monkeypatch.setattr(socket.socket, "connect_ex", local_only)


@pytest.fixture
def loopback() -> None:
    """The test talks to a server that it starts itself, on 127.0.0.1."""


SAM2_SIZE, SAM2_WIDTH = 64, 128  # narrower ones the library cannot build


def _sam2_parts() -> dict:
    """What a narrow SAM 2 and a narrow EdgeTAM have in common; the memory is short: 2 tracked frames and 3 pointers back."""
    size, width = SAM2_SIZE, SAM2_WIDTH
    sides = [size // stride for stride in (4, 8, 16)]
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [size, size],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "blocks_per_stage": [1, 1, 2, 1],
        "global_attention_blocks": [3],
        "window_size_per_stage": [4, 4, 4, 2],
        "window_positional_embedding_background_size": [2, 2],
    }
    return {
        "vision_config": {
            "model_type": "sam2_vision_model",
            "backbone_config": backbone,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[side, side] for side in sides],
            "fpn_hidden_size": width,
        },
        "prompt_encoder_config": {"hidden_size": width, "image_size": size, "mask_input_channels": 4},
        "mask_decoder_config": {"hidden_size": width, "mlp_dim": 16, "num_attention_heads": 4, "iou_head_hidden_dim": 16},
        "image_size": size,
        "num_maskmem": 3,
        "max_object_pointers_in_encoder": 4,
        "memory_attention_hidden_size": width,
        "memory_attention_num_layers": 1,
        "memory_attention_rope_feat_sizes": [sides[-1], sides[-1]],
        "memory_encoder_hidden_size": width,
        "mask_downsampler_embed_dim": width,
        "memory_fuser_num_layers": 1,
        "memory_fuser_embed_dim": width,
        "memory_fuser_intermediate_dim": 16,
    }


def _save_random(model_class: Any, config: Any, folder: Path, seed: int) -> Path:
    """A model of random weights, saved as published ones are; the seed is one whose masks are neither empty nor everywhere."""
    import torch

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        model = model_class(config)
        for parameter in model.parameters():  # many are zero at first and would hide what is added to them
            parameter.add_(0.1 * torch.randn(parameter.shape))
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(5.0)  # objects are never out of sight
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow SAM 2."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    config = Sam2VideoConfig(**_sam2_parts(), memory_attention_feed_forward_hidden_size=16)
    return _save_random(Sam2VideoModel, config, tmp_path_factory.mktemp("sam2"), seed=0)


@pytest.fixture(scope="session")
def edgetam_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow EdgeTAM on SAM 2's image encoder: its own needs timm."""
    from transformers import EdgeTamVideoConfig, EdgeTamVideoModel

    config = EdgeTamVideoConfig(
        **_sam2_parts(),
        memory_attention_mlp_hidden_size=16,
        memory_attention_rope_k_sizes=[2, 2],
        perceiver_resampler_num_latents=4,
        perceiver_resampler_num_latents_2d=4,
        perceiver_resampler_mlp_intermediate_size=16,
        perceiver_resampler_num_layers=1,
    )
    return _save_random(EdgeTamVideoModel, config, tmp_path_factory.mktemp("edgetam"), seed=1)
