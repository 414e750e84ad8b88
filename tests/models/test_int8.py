"""Weights as 8-bit integers: how far products are off, what is replaced, and what is refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from saymask.errors import ConfigError
from saymask.models.checkpoints import load_bundled_toy, load_model, save_model
from saymask.models.int8 import Int8Linear, use_int8
from saymask.runtime import Runtime


@pytest.fixture(scope="module")
def small():
    return load_bundled_toy(Runtime(dtype="int8"))


@pytest.fixture(scope="module")
def exact():
    return load_bundled_toy(Runtime(dtype="float32"))


def packed(linear: nn.Linear) -> Int8Linear:
    layer = Int8Linear(linear)
    layer.pack(linear.weight.detach())
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_a_product_is_off_by_the_two_roundings_at_most(bias: bool):
    torch.manual_seed(0)
    linear = nn.Linear(300, 130, bias=bias)
    x_BI = torch.randn(5, 2, 300)
    step_O = linear.weight.abs().amax(1) / 127
    step_x = (x_BI.max() - x_BI.min()) / 127  # half the range of 8 bits
    with torch.no_grad():
        off = (packed(linear)(x_BI) - linear(x_BI)).abs()
        most = 0.5 * step_x * linear.weight.abs().sum(1) + 0.5 * step_O * (x_BI.abs() + 0.5 * step_x).sum(-1, keepdim=True)
    assert (off <= most * 1.01).all()
    assert off.max() > 0


def test_weights_on_the_grid_and_a_zero_row_are_exact():
    linear = nn.Linear(4, 3, bias=False)
    linear.weight.data = torch.tensor([[127.0, -5, 64, 1], [0, 0, 0, 0], [2, 254, -254, 0]])
    x_BI = torch.tensor([[127.0, 3, 0, 50], [0, 127, 1, 2]])  # one step of the 7 bits of x is 1
    with torch.no_grad():
        assert packed(linear)(x_BI).tolist() == linear(x_BI).tolist()


def test_no_float_copy_of_a_packed_weight_is_left():
    layer = packed(nn.Linear(8, 8))
    assert set(layer.state_dict()) == {"bias"}


def test_language_model_and_encoders_are_replaced_and_nothing_else(small):
    replaced = {name for name, module in small.model.named_modules() if isinstance(module, Int8Linear)}
    assert {name.split(".")[0] for name in replaced} == {"language_model", "visual", "mask_head"}
    assert all(name.startswith("mask_head.sam.vision_encoder.") for name in replaced if name.startswith("mask_head"))
    assert not any(type(module) is nn.Linear for module in small.model.language_model.model.modules())
    assert type(small.model.language_model.lm_head) is nn.Linear


def test_features_of_images_stay_near_those_of_float32(small, exact):
    frames_THWC = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()
    ours, theirs = small.encode_image(frames_THWC), exact.encode_image(frames_THWC)
    assert ours.dtype == theirs.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(ours.flatten(1), theirs.flatten(1)).min() > 0.99


def test_it_is_not_saved(small, tmp_path: Path):
    with pytest.raises(ConfigError, match="int8"):
        save_model(small.model, small.processor, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("runtime", [Runtime("cuda", "int8"), Runtime("mps", "int8"), Runtime("cpu", "int8", device_map="auto")])
def test_it_is_for_a_cpu(runtime: Runtime):
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"int8 .*(cuda|mps|device map)"):
        use_int8(model, ["0"], runtime)


def test_an_adapter_needs_whole_weights(tmp_path: Path):
    (tmp_path / "saymask_adapter.json").write_text("{}")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="saymask convert"):
        load_model(f"toy+{tmp_path}", Runtime(dtype="int8"))
