"""XMem's weights from both layouts. Published files here hold one number per tensor, stretched to its shape, so they are small."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from saymask.errors import CheckpointError
from saymask.runtime import AS_STORED, Runtime
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.weights import load_xmem, save_xmem

CPU = Runtime("cpu")
MASK_CONV = "value_encoder.conv1.weight"


def debug_network() -> XMemNetwork:
    """Random weights, BatchNorm's statistics included."""
    torch.manual_seed(0)
    network = XMemNetwork(XMemConfig.debug(domain_tag="drawn")).train()
    with torch.no_grad():
        network.encode_key(torch.randn(2, 3, 32, 32))
    return network


def published_tensors(**changes: Any) -> dict[str, Tensor]:
    """A published state_dict: every floating tensor filled with a number of its own."""
    with torch.device("meta"):
        wanted = XMemNetwork(XMemConfig(**changes)).state_dict()
    return {name: torch.full((), number, dtype=tensor.dtype).expand(tensor.shape) for number, (name, tensor) in enumerate(wanted.items())}


def published_file(folder: Path, tensors: dict[str, Any]) -> Path:
    torch.save(tensors, folder / "XMem.pth")
    return folder / "XMem.pth"


def test_a_saved_network_comes_back_bit_for_bit(tmp_path: Path):
    network = debug_network()
    save_xmem(network, tmp_path / "tracker", torch.float32)
    loaded = load_xmem(tmp_path / "tracker", CPU)
    assert loaded.config.to_dict() == network.config.to_dict()
    assert loaded.config.domain_tag == "drawn"
    assert not loaded.training
    expected, found = network.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in expected.items())


def test_weights_are_saved_in_bf16_but_for_counters(tmp_path: Path):
    network = debug_network()
    save_xmem(network, tmp_path / "tracker")
    saved = load_file(tmp_path / "tracker" / "model.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(saved[name], tensor.bfloat16() if tensor.is_floating_point() else tensor), name
    assert load_xmem(tmp_path / "tracker", Runtime("cpu", AS_STORED)).dtype == torch.bfloat16
    assert load_xmem(tmp_path / "tracker", Runtime("cpu", "float32")).dtype == torch.float32


def test_a_network_runs_in_bf16(tmp_path: Path):
    save_xmem(debug_network(), tmp_path / "tracker")
    logits = {}
    for dtype in ("float32", "bfloat16"):
        network = load_xmem(tmp_path / "tracker", Runtime("cpu", dtype))
        torch.manual_seed(0)
        image_13HW, masks_1NHW = torch.randn(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
        with torch.no_grad():
            frame = network.encode_key(image_13HW)
            value, hidden = network.encode_value(image_13HW, frame, network.initial_hidden(frame, 1), masks_1NHW, True)
            logits[dtype], hidden = network.decode(frame, value, hidden, update_hidden=True)
        assert hidden is not None and hidden.dtype == value.dtype == frame.key_BChw.dtype == getattr(torch, dtype)
    torch.testing.assert_close(logits["bfloat16"], logits["float32"], atol=0.05, rtol=0)


@pytest.mark.parametrize("dims", [(64, 512, 64), (32, 128, 16), (64, 512, 0)], ids=["published", "narrower", "no sensory memory"])
def test_a_published_file_says_its_own_widths(tmp_path: Path, dims: tuple[int, int, int]):
    tensors = published_tensors(key_dim=dims[0], value_dim=dims[1], hidden_dim=dims[2])
    network = load_xmem(published_file(tmp_path, tensors), CPU)
    assert (network.config.key_dim, network.config.value_dim, network.config.hidden_dim) == dims
    assert not network.training
    found = network.state_dict()
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_a_network_for_one_object_does_not_see_the_others(tmp_path: Path):
    tensors = published_tensors()
    four_channels = tensors[MASK_CONV][:, :4]
    network = load_xmem(published_file(tmp_path, tensors | {MASK_CONV: four_channels}), CPU)
    weight = network.state_dict()[MASK_CONV]
    assert torch.equal(weight[:, :4], four_channels)
    assert not weight[:, 4].any()


def test_every_tensor_that_does_not_fit_is_named(tmp_path: Path):
    tensors = published_tensors()
    tensors["decoder.pred.offset"] = tensors.pop("decoder.pred.bias")
    tensors["key_proj.d_proj.weight"] = torch.zeros(1, 1024, 1, 1)
    tensors[MASK_CONV] = tensors[MASK_CONV][:, :3]
    file = published_file(tmp_path, tensors)
    with pytest.raises(CheckpointError) as error:
        load_xmem(file, CPU)
    assert str(error.value) == (
        f"{file}: the weights do not fit the configuration; nothing was loaded\n"
        "  missing decoder.pred.bias\n"
        "  unexpected decoder.pred.offset\n"
        "  wrong shape key_proj.d_proj.weight: [1, 1024, 1, 1] in the file, [1, 1024, 3, 3] in the model\n"
        f"  wrong shape {MASK_CONV}: [64, 3, 7, 7] in the file, [64, 5, 7, 7] in the model"
    )


def test_a_folder_whose_weights_do_not_fit_its_configuration(tmp_path: Path):
    save_xmem(debug_network(), tmp_path)
    save_file({"decoder.pred.bias": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"do not fit the configuration; nothing was loaded\n  missing decoder\."):
        load_xmem(tmp_path, CPU)


def _absent(path: Path) -> None:
    pass


def _empty_folder(path: Path) -> None:
    path.mkdir()


def _folder_without_weights(path: Path) -> None:
    save_xmem(debug_network(), path)
    (path / "model.safetensors").unlink()


def _cut_off_weights(path: Path) -> None:
    save_xmem(debug_network(), path)
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _change_config(**changes: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        save_xmem(debug_network(), path)
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        (path / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")

    return make


def _text(path: Path) -> None:
    path.write_text("<!DOCTYPE html>", encoding="utf-8")


def _other_network(path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(2, 2)}, path)


def _training_state(path: Path) -> None:
    torch.save({"network": published_tensors(), "it": 1000}, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_absent, "no such file or folder; give a folder with config.json and model.safetensors, or XMem.pth"),
        (_empty_folder, "config.json: no such file; the copy is incomplete or damaged: fetch it again"),
        (_folder_without_weights, "no weights; expected model.safetensors or pytorch_model.bin"),
        (_cut_off_weights, "model.safetensors: cannot be read as weights"),
        (_change_config(model_type="bert"), "config.json: model_type 'bert' is not an XMem tracker; expected 'saymask-xmem'"),
        (_change_config(key_encoder_depths=[1]), "key_encoder_depths = [1] must be three"),
        (_change_config(key_dim=-1), "config.json: key_dim is -1"),
        (_change_config(top_k="many"), "config.json: top_k is 'many'"),
        (_change_config(mem_every=0), "mem_every = 0"),
        (_change_config(key_encoder_depths=[1, 1, 10**6]), "config.json: key_encoder_depths.2 is 1e+06"),
        (_text, "cannot be read as weights"),
        (_other_network, "not XMem's weights (no key_proj or fuser); give XMem.pth as its authors publish it"),
        (_training_state, "cannot be read as weights (network is no tensor)"),
    ],
)
def test_what_is_no_tracker_is_refused(tmp_path: Path, make: Callable[[Path], None], message: str):
    path = tmp_path / "weights"
    make(path)
    with pytest.raises(CheckpointError) as error:
        load_xmem(path, CPU)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
