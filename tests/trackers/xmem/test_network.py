"""XMem's network: the published code's outputs (tests/golden/xmem/README.md, section 3), and what training asks of it."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saymask.trackers.xmem.affinity import readout, similarity, top_k_softmax
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.network import FrameKey, XMemNetwork, aggregate

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

INNER = {
    "ke_conv1": "key_encoder.conv1",
    "ke_res2_0": "key_encoder.res2.0",
    "ve_conv1_0": "value_encoder.conv1",
    "ve_layer1_0": "value_encoder.layer1",
    "ve_layer3_0": "value_encoder.layer3",
    "ve_fuser_block1_0": "value_encoder.fuser.block1",
    "ve_cbam_channel_0": "value_encoder.fuser.attention.ChannelGate",
    "ve_cbam_0": "value_encoder.fuser.attention",
    "dec_g16_1": "decoder.fuser",
    "dec_g8_1": "decoder.up_16_8",
    "dec_g4_1": "decoder.up_8_4",
    "dec_pred_1": "decoder.pred",
}
"""Golden name of a tensor inside the network -> the module that gives it out when it is first called."""

EVERY_NTH_CHANNEL = {
    "f16": 16,
    "f8": 16,
    "f4": 16,
    "ke_": 8,
    "ve_conv1": 8,
    "ve_layer": 8,
    "ve_": 16,
    "dec_g": 16,
    "value": 4,
    "readout": 4,
    "": 1,
}
"""What the golden file holds of tensors whose names begin so; the first that fits counts."""


def test_formula_weights_are_those_of_the_golden_data(formula_weights: dict[str, Tensor], golden: Path):
    expected = json.loads((golden / "weights_check_salt0.json").read_text(encoding="utf-8"))["tensors"]
    assert len(expected) == 354
    for name, entry in expected.items():
        values = formula_weights[name].numpy()
        assert zlib.crc32(values.tobytes()) == entry["crc32_of_float32_le_bytes"], name
        assert values.ravel()[:3].tolist() == entry["first"], name
        assert values.sum(dtype=np.float64) == pytest.approx(entry["sum"], rel=1e-9, abs=1e-9), name


def test_parameters_are_those_of_the_published_checkpoint(golden: Path):
    manifest = json.loads((golden / "xmem_manifest.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        network = XMemNetwork(XMemConfig())
    ours = {name: {"shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch.")} for name, t in network.state_dict().items()}
    assert ours == manifest["keys"]
    assert len(ours) == manifest["num_keys"] == 412
    assert sum(parameter.numel() for parameter in network.parameters()) == manifest["num_parameters"] == 62_185_224
    assert sum(tensor.numel() for tensor in network.state_dict().values()) == manifest["num_elements_with_buffers"]


def test_every_step_gives_what_the_published_code_gives(formula_network: XMemNetwork, golden: Path):
    differences = golden_differences(formula_network, golden / "xmem_tiny" / "modules_2obj.npz")
    assert len(differences) == 49
    assert {name: difference for name, difference in differences.items() if not difference <= 1e-4} == {}


@pytest.mark.parametrize(
    ("prob_N", "expected_K"),
    [
        # Background 0.5 * 0.8 = 0.4; odds 2/3 : 1 : 1/4, together 23/12.
        ([0.5, 0.2], [8 / 23, 12 / 23, 3 / 23]),
        # One object: its odds against the background are squared, 4 : 1/4.
        ([0.8], [1 / 17, 16 / 17]),
        ([1.0, 0.0], [0.0, 1.0, 0.0]),
        ([0.0, 0.0], [1.0, 0.0, 0.0]),
    ],
)
def test_aggregate_by_hand(prob_N: list[float], expected_K: list[float]):
    prob_1N11 = torch.tensor(prob_N)[None, :, None, None]
    torch.testing.assert_close(aggregate(prob_1N11).flatten(), torch.tensor(expected_K), atol=1e-6, rtol=0)


def test_clips_and_objects_in_a_batch_are_computed_one_by_one():
    network, images_B3HW, masks_BNHW = debug_network(), torch.randn(2, 3, 32, 48), torch.zeros(2, 2, 32, 48)
    masks_BNHW[:, 0, :16, :16] = 1  # the second object is empty, so the first sees no others
    together = one_step(network, images_B3HW, masks_BNHW)
    for b in range(2):
        alone = one_step(network, images_B3HW[b : b + 1], masks_BNHW[b : b + 1, :1])
        for name, tensor in alone.items():
            torch.testing.assert_close(together[name][b : b + 1, :1], tensor, msg=name)


def test_a_value_depends_on_where_the_other_objects_are():
    network, image_13HW, masks_1NHW = debug_network(), torch.randn(1, 3, 32, 48), torch.zeros(1, 2, 32, 48)
    masks_1NHW[:, 0, :16, :16] = 1
    without_others = one_step(network, image_13HW, masks_1NHW)["value"]
    masks_1NHW[:, 1, 16:, 16:] = 1
    assert (one_step(network, image_13HW, masks_1NHW)["value"] - without_others)[0, 0].abs().max() > 1e-3


def test_a_network_without_sensory_memory():
    network = debug_network(hidden_dim=0)
    assert not [name for name in network.state_dict() if "hidden" in name]
    step = one_step(network, torch.randn(1, 3, 32, 48), torch.ones(1, 1, 32, 48))
    assert step.keys() == {"value", "logits"}
    assert step["logits"].shape == (1, 1, 32, 48)


def test_an_image_that_does_not_fit_the_grid():
    with pytest.raises(ValueError, match=r"multiples of 16, got \(1, 3, 32, 40\)"):
        debug_network().encode_key(torch.zeros(1, 3, 32, 40))


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bf16 autocast"])
def test_every_parameter_learns(autocast: bool):
    network = debug_network().train()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = network(**two_clips(), bce_keep_share=0.5)
    assert output.loss.dtype == torch.float32
    assert output.loss.item() == pytest.approx((output.mask_bce_loss + output.mask_dice_loss).item())
    output.loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_step_along_the_gradient_lowers_the_loss():
    network = debug_network().train()
    before = network(**two_clips()).loss
    before.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 1e-3 * parameter.grad
        assert network(**two_clips()).loss < before


def test_an_object_that_a_clip_does_not_have_changes_nothing():
    network = debug_network()
    second = {name: tensor[1:] for name, tensor in two_clips().items()}
    assert second["valid_BN"].tolist() == [[True, False]]
    alone = second | {"masks_BTNHW": second["masks_BTNHW"][:, :, :1], "valid_BN": second["valid_BN"][:, :1]}
    assert network(**second).loss.item() == pytest.approx(network(**alone).loss.item(), abs=1e-5)


def test_later_truth_is_compared_with_and_never_shown():
    network, batch = debug_network(), two_clips()
    moved = batch | {"masks_BTNHW": batch["masks_BTNHW"].clone()}
    moved["masks_BTNHW"][:, 1:] = 0
    values = []
    network.value_encoder.register_forward_hook(lambda module, args, output: values.append(output))
    losses = [network(**clips).loss.item() for clips in (batch, moved)]
    assert losses[0] != losses[1]
    assert len(values) == 4  # of frames 0 and 2, twice
    assert torch.equal(values[1], values[3])


def test_predictions_become_memory(monkeypatch: pytest.MonkeyPatch):
    num_elements = []

    def counting(mem_key_BCM: Tensor, *rest: Tensor) -> Tensor:
        num_elements.append(mem_key_BCM.shape[-1])
        return similarity(mem_key_BCM, *rest)

    monkeypatch.setattr("saymask.trackers.xmem.network.similarity", counting)
    debug_network()(**two_clips())
    assert num_elements == [12, 12, 24]  # frames 1, 2, 3; a frame has 3 x 4 elements, and frame 2 becomes memory


def debug_network(**changes: Any) -> XMemNetwork:
    """The smallest network, with the same random weights in every test, in evaluation mode."""
    torch.manual_seed(0)
    return XMemNetwork(XMemConfig.debug(**changes)).eval()


def one_step(network: XMemNetwork, images_B3HW: Tensor, masks_BNHW: Tensor) -> dict[str, Tensor]:
    """Memorise the masks and decode the value as if it were the readout; the sensory memory as both leave it, where there is one."""
    with torch.no_grad():
        frame = network.encode_key(images_B3HW)
        hidden = network.initial_hidden(frame, masks_BNHW.shape[1])
        value, deep = network.encode_value(images_B3HW, frame, hidden, masks_BNHW, deep_update=True)
        logits, updated = network.decode(frame, value, deep, update_hidden=True)
    tensors = {"value": value, "logits": logits, "deep": deep, "updated": updated}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def two_clips() -> dict[str, Tensor]:
    """Clips of four frames: squares that move to the right, two in the first clip, one in the second, coloured, on noise."""
    torch.manual_seed(1)
    masks_BTNHW = torch.zeros(2, 4, 2, 48, 64)
    for t in range(4):
        masks_BTNHW[:, t, 0, 4:20, 4 + 6 * t : 24 + 6 * t] = 1
        masks_BTNHW[0, t, 1, 24:44, 10 + 3 * t : 34 + 3 * t] = 1
    valid_BN = torch.tensor([[True, True], [True, False]])
    colours_NC = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 0.5, 1.0]])
    frames_BTChw = torch.einsum("btnhw,nc->btchw", masks_BTNHW, colours_NC) + 0.3 * torch.randn(2, 4, 3, 48, 64)
    return {"frames_BTChw": frames_BTChw, "masks_BTNHW": masks_BTNHW, "valid_BN": valid_BN}


def golden_differences(network: XMemNetwork, file: Path) -> dict[str, float]:
    """Largest difference of every tensor of the file, relative to the tensor's maximum."""
    expected = {name: torch.from_numpy(array) for name, array in np.load(file).items() if name != "meta_json"}
    images_TCHW, labels_THW = normalised(expected.pop("frames")), expected.pop("labels")
    masks_1NHW = torch.stack([labels_THW[:1] == obj_id for obj_id in range(1, int(labels_THW.max()) + 1)], dim=1).float()
    with torch.no_grad():
        ours = {"image0_normalised": images_TCHW[0]} | published_chain(network, images_TCHW, masks_1NHW)
    assert ours.keys() == expected.keys()
    differences = {}
    for name, want in expected.items():
        step = next(step for prefix, step in EVERY_NTH_CHANNEL.items() if name.startswith(prefix))
        got = ours[name] if step == 1 else ours[name].unfold(-3, 1, step).squeeze(-1)
        assert got.shape == want.shape, name
        differences[name] = ((got - want).abs().max() / want.abs().max()).item()
    return differences


def normalised(frames_THWC: Tensor) -> Tensor:
    """uint8 RGB -> what the network takes."""
    images_THWC = (frames_THWC / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    return images_THWC.permute(0, 3, 1, 2)


def published_chain(network: XMemNetwork, images_TCHW: Tensor, masks_1NHW: Tensor) -> dict[str, Tensor]:
    """Frames 0 and 1 become memory, 1 and 3 are predicted, as `meta_json` says -> every tensor on the way by its golden name."""
    found: dict[str, Tensor] = {}
    hooks = [network.key_encoder.res2.register_forward_pre_hook(lambda module, args: keep_first(found, "ke_pool", args[0]))]
    for name, path in INNER.items():
        keep = lambda module, args, output, name=name: keep_first(found, name, output)  # noqa: E731
        hooks.append(network.get_submodule(path).register_forward_hook(keep))

    keys = [network.encode_key(images_TCHW[None, t]) for t in range(4)]
    hidden = network.initial_hidden(keys[0], masks_1NHW.shape[1])
    value_0, hidden_0 = network.encode_value(images_TCHW[:1], keys[0], hidden, masks_1NHW, deep_update=True)
    readout_1, found["similarity_1"], found["affinity_1"] = read(keys[:1], [value_0], keys[1], top_k=20)
    logits_1, segmented_1 = network.decode(keys[1], readout_1, hidden_0, update_hidden=True)
    found["logits_1"], found["prob_1"] = all_logits(logits_1), aggregate(logits_1.sigmoid())[0]
    masks_1NHW = aggregate(logits_1.sigmoid())[:, 1:]
    value_1, hidden_1 = network.encode_value(images_TCHW[1:2], keys[1], segmented_1, masks_1NHW, deep_update=True)
    _, _, found["affinity_full_3"] = read(keys[:2], [value_0, value_1], keys[3], top_k=48)
    readout_3, found["similarity_3"], found["affinity_top30_3"] = read(keys[:2], [value_0, value_1], keys[3], top_k=30)
    found["usage_top30_3"] = found["affinity_top30_3"].sum(1)
    logits_3, hidden_3 = network.decode(keys[3], readout_3, hidden_1, update_hidden=False)
    found["logits_3"], found["prob_3"] = all_logits(logits_3), aggregate(logits_3.sigmoid())[0]
    assert hidden_3 is hidden_1

    for t, key in enumerate(keys):
        found |= {f"key_{t}": key.key_BChw[0], f"shrinkage_{t}": key.shrinkage_B1hw[0, 0], f"selection_{t}": key.selection_BChw[0]}
    for t, key in enumerate(keys[:2]):
        found |= {f"f16_{t}": key.f16_BChw[0], f"f8_{t}": key.f8_BChw[0], f"f4_{t}": key.f4_BChw[0]}
    found |= {"value_0": value_0[0], "value_1": value_1[0], "readout_1": readout_1[0], "readout_3": readout_3[0]}
    found |= {"hidden_after_value_0": hidden_0[0], "hidden_after_segment_1": segmented_1[0], "hidden_after_value_1": hidden_1[0]}
    for hook in hooks:
        hook.remove()
    return found


def keep_first(found: dict[str, Tensor], name: str, tensor_GChw: Tensor) -> None:
    """The first tensor of a name, without an axis that the golden file leaves out."""
    if name.startswith("ke_"):
        tensor_GChw = tensor_GChw[0]
    elif name == "dec_pred_1":
        tensor_GChw = tensor_GChw[:, 0]
    found.setdefault(name, tensor_GChw)


def all_logits(logits_1NHW: Tensor) -> Tensor:
    """Logits with the background's, which is where no object is."""
    prob_NHW = logits_1NHW[0].sigmoid()
    return torch.cat([torch.logit((1 - prob_NHW).prod(0, keepdim=True)), logits_1NHW[0]])


def read(memory: list[FrameKey], values: list[Tensor], frame: FrameKey, top_k: int) -> tuple[Tensor, Tensor, Tensor]:
    """readout_1NChw, and similarity_MP and affinity_MP in full."""
    mem_key_1CM = torch.cat([key.key_BChw.flatten(2) for key in memory], dim=2)
    mem_shrinkage_11M = torch.cat([key.shrinkage_B1hw.flatten(2) for key in memory], dim=2)
    mem_value_1MNC = torch.cat([value.flatten(3).permute(0, 3, 1, 2) for value in values], dim=1)
    similarity_1PM = similarity(mem_key_1CM, mem_shrinkage_11M, frame.key_BChw, frame.selection_BChw)
    affinity = top_k_softmax(similarity_1PM, top_k)
    affinity_1PM = torch.zeros_like(similarity_1PM).scatter(2, affinity.elements_BPK, affinity.weights_BPK)
    return readout(affinity, mem_value_1MNC).unflatten(3, frame.key_BChw.shape[2:]), similarity_1PM[0].T, affinity_1PM[0].T
