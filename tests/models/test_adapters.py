"""Adapters: they begin as nothing, hold only what was trained, belong to one base, and are the same merged, unmerged and read by peft."""

import re
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.models.adapters import AdapterConfig, LoraConfig, add_adapter, save_adapter, weights_digest
from saymask.models.checkpoints import load_model, save_model
from saymask.models.videolisa import FAMILY
from saymask.runtime import AS_STORED, Runtime

CPU = Runtime("cpu", "float32")
PARTS = ("lora", "prompt_projector", "mask_decoder")


@pytest.fixture
def base(segmenter, tmp_path):
    """A model folder."""
    segmenter.config.lexicon = ["red"]
    save_model(segmenter.model, segmenter.processor, tmp_path / "base", dtype=torch.float32)
    return tmp_path / "base"


def adapt(base, folder, parts=PARTS, shift=0.05):
    """Train an adapter by moving everything that can be trained, save it, and return the model with it, unmerged."""
    loaded = load_model(base, CPU)
    torch.manual_seed(0)
    add_adapter(FAMILY, loaded.model, parts, LoraConfig())
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.requires_grad:
                parameter.add_(shift * torch.randn(parameter.shape))
    digest = weights_digest(loaded.weights_files)
    save_adapter(FAMILY, loaded.model, AdapterConfig(base=str(base), base_sha256=digest, parts=parts, new_words=("blicket",)), folder)
    loaded.model.eval()
    return loaded


@torch.inference_mode()
def outputs(segmenter, model=None):
    """Hidden states of a chat, the prompts and the masks that follow from them."""
    model = model or segmenter.model
    config = segmenter.config
    generator = torch.Generator().manual_seed(1)
    visual_1VE = torch.randn(1, config.num_visual, config.text_config.hidden_size, generator=generator)
    hidden_1LE, _ = model.hidden_states(segmenter.processor.to_inputs(["the red fish"]), visual_1VE)
    prompts_1LC = model.prompt_projector(hidden_1LE)
    features_1Chw = torch.randn(1, model.mask_head.channels, 4, 4, generator=generator)
    return hidden_1LE, prompts_1LC, model.mask_head.decode(features_1Chw, prompts_1LC[:, -1:, None])


def differ(ones, others):
    """The largest difference, of each tensor relative to its largest value."""
    return torch.stack([(one - other).abs().max() / other.abs().max() for one, other in zip(ones, others, strict=True)]).max().item()


def test_a_fresh_adapter_changes_nothing_and_frees_only_what_was_named(segmenter):
    before = outputs(segmenter)
    add_adapter(FAMILY, segmenter.model, ("lora", "prompt_projector"), LoraConfig())
    segmenter.model.eval()
    assert differ(outputs(segmenter), before) == 0
    trained = [name for name, parameter in segmenter.model.named_parameters() if parameter.requires_grad]
    assert trained == [
        *(f"language_model.model.layers.{i}.self_attn.qkv_proj.lora_{ab}.default.weight" for i in range(2) for ab in "AB"),
        *(f"prompt_projector.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")),
    ]


def test_dropout_and_numbers_are_those_asked_for(segmenter):
    add_adapter(FAMILY, segmenter.model, ("lora",), LoraConfig(targets=("o_proj",), rank=3, alpha=6, dropout=0.25))
    layer = segmenter.model.language_model.model.layers[0].self_attn.o_proj
    assert (layer.lora_A["default"].weight.shape, layer.lora_B["default"].weight.shape) == ((3, 32), (32, 3))
    assert (layer.lora_dropout["default"].p, layer.scaling["default"]) == (0.25, 2)


def test_a_layer_that_is_not_there(segmenter):
    expected = "lora.targets: the language model has no layer 'v_proj'; it has o_proj, qkv_proj, gate_up_proj, down_proj"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        add_adapter(FAMILY, segmenter.model, ("lora",), LoraConfig(targets=("qkv_proj", "v_proj")))


def test_without_peft_the_error_says_what_to_install(segmenter, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"^training LoRA needs peft, which cannot be imported \(.*\); pip install 'saymask\[train\]'$"):
        add_adapter(FAMILY, segmenter.model, ("lora",), LoraConfig())


def test_merged_equals_unmerged_and_needs_no_peft(base, tmp_path, monkeypatch):
    unmerged = adapt(base, tmp_path / "adapter")
    monkeypatch.setitem(sys.modules, "peft", None)
    merged = load_model(f"{base}+{tmp_path / 'adapter'}", CPU)
    assert merged.model.state_dict().keys() == load_model(base, CPU).model.state_dict().keys()
    assert differ(outputs(merged), outputs(unmerged)) < 1e-5
    assert differ(outputs(merged), outputs(load_model(base, CPU))) > 0.01
    assert merged.name == "base+adapter"
    files = (base / "model.safetensors", *(tmp_path / "adapter" / name for name in ("adapter_model.safetensors", "saymask_adapter.json")))
    assert merged.weights_files == files
    assert merged.unknown_words("red blicket wug") == ["wug"]


def test_the_merged_weight_is_the_sum_worked_out_by_hand(base, tmp_path):
    adapt(base, tmp_path / "adapter", parts=("lora",))
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file({name: torch.full_like(t, 1.0 if "lora_A" in name else 0.5) for name, t in load_file(file).items()}, file)
    name = "language_model.model.layers.1.self_attn.qkv_proj.weight"
    delta = load_model(f"{base}+{tmp_path / 'adapter'}", CPU).model.state_dict()[name] - load_model(base, CPU).model.state_dict()[name]
    # 16 / 8 times a sum over 8 ranks of 0.5 * 1.
    assert torch.allclose(delta, torch.full_like(delta, 8.0), atol=1e-5)


def test_peft_reads_the_folder_and_computes_the_same(base, tmp_path):
    from peft import PeftModel

    unmerged = adapt(base, tmp_path / "adapter", parts=("lora", "embeddings", "lm_head", "prompt_projector", "mask_decoder"))
    plain = load_model(base, CPU)
    wrapped = PeftModel.from_pretrained(plain.model, tmp_path / "adapter")
    assert differ(outputs(plain, wrapped.base_model.model), outputs(unmerged)) < 1e-6


def test_an_adapter_holds_nothing_that_was_frozen(base, tmp_path):
    adapt(base, tmp_path / "adapter", parts=("lora", "prompt_projector"))
    names = load_file(tmp_path / "adapter" / "adapter_model.safetensors").keys()
    layers = [f"base_model.model.language_model.model.layers.{i}.self_attn.qkv_proj" for i in range(2)]
    assert names == {
        *(f"{layer}.lora_{ab}.weight" for layer in layers for ab in "AB"),
        *(f"base_model.model.prompt_projector.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")),
    }


def test_tied_embeddings_are_stored_once_and_stay_tied(tmp_path):
    base = load_model("toy", CPU)
    before = base.model.language_model.lm_head.weight.clone()
    adapt("toy", tmp_path / "adapter", parts=("embeddings", "lm_head"))
    assert len(load_file(tmp_path / "adapter" / "adapter_model.safetensors")) == 1
    language_model = load_model(f"toy+{tmp_path / 'adapter'}", CPU).model.language_model
    assert language_model.lm_head.weight is language_model.model.embed_tokens.weight
    assert not torch.equal(language_model.lm_head.weight, before)


def test_the_merged_model_is_saved_like_any_other(base, tmp_path):
    adapt(base, tmp_path / "adapter")
    merged = load_model(f"{base}+{tmp_path / 'adapter'}", CPU)
    save_model(merged.model, merged.processor, tmp_path / "whole", torch.float32)
    assert differ(outputs(load_model(tmp_path / "whole", CPU)), outputs(merged)) == 0


def test_an_adapter_upon_an_adapter(base, tmp_path):
    adapt(base, tmp_path / "first")
    second = adapt(f"{base}+{tmp_path / 'first'}", tmp_path / "second")
    assert differ(outputs(load_model(f"{base}+{tmp_path / 'first'}+{tmp_path / 'second'}", CPU)), outputs(second)) < 1e-5


def test_the_dtype_is_the_bases_or_the_one_asked_for(segmenter, tmp_path):
    save_model(segmenter.model, segmenter.processor, tmp_path / "base")
    adapt(tmp_path / "base", tmp_path / "adapter")
    assert load_model(f"{tmp_path / 'base'}+{tmp_path / 'adapter'}", Runtime("cpu", AS_STORED)).model.dtype == torch.bfloat16


def test_layers_of_a_merged_model_may_go_to_the_disk(base, tmp_path):
    unmerged = adapt(base, tmp_path / "adapter")
    spread = load_model(f"{base}+{tmp_path / 'adapter'}", Runtime("cpu", "float32", {"layers.1": "disk"}))
    assert differ(outputs(spread), outputs(unmerged)) < 1e-5


def test_another_base_is_refused_and_both_are_named(base, tmp_path):
    adapt(base, tmp_path / "adapter")
    digests = [weights_digest([folder / "model.safetensors"])[:16] for folder in (base,)]
    with pytest.raises(CheckpointError) as caught:
        load_model(f"toy+{tmp_path / 'adapter'}", CPU)
    (toy,) = load_model("toy", CPU).weights_files
    assert str(caught.value) == (
        f"{tmp_path / 'adapter'}: trained on {str(base)!r} with weights {digests[0]}…, but 'toy' has {weights_digest([toy])[:16]}…; "
        "load it with the model it was trained on"
    )


def test_the_digest_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"ab")
    (tmp_path / "b").write_bytes(b"c")
    # SHA-256 of "abc", FIPS 180-2, appendix B.1.
    assert weights_digest([tmp_path / "a", tmp_path / "b"]) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda t, name: t.pop(name), "missing prompt_projector.0.bias"),
        (lambda t, name: t.update({"base_model.model.extra": torch.zeros(1)}), "unexpected extra"),
        (lambda t, name: t.update({name: torch.zeros(3)}), "wrong shape prompt_projector.0.bias: [3] in the file, [32] in the model"),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_a_tensor_that_does_not_fit_is_named(base, tmp_path, edit, problem):
    folder = tmp_path / "adapter"
    adapt(base, folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    edit(tensors, "base_model.model.prompt_projector.0.bias")
    save_file(tensors, folder / "adapter_model.safetensors")
    expected = f"{folder}: the weights do not fit the configuration; nothing was loaded\n  {problem}"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_model(f"{base}+{folder}", CPU)


def test_an_adapter_alone_is_told_how_to_be_given(base, tmp_path):
    adapt(base, tmp_path / "adapter")
    expected = f"{tmp_path / 'adapter'}: an adapter, which needs its base model; give both: -m {base}+{tmp_path / 'adapter'}"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        load_model(tmp_path / "adapter", CPU)


def test_a_plus_in_a_path_separates_nothing(base, tmp_path):
    base = base.rename(tmp_path / "c++")
    adapt(base, tmp_path / "a+b")
    assert load_model(base, CPU).name == "c++"
    assert load_model(f"{base}+{tmp_path / 'a+b'}", CPU).name == "c+++a+b"


def test_an_adapter_that_is_not_there():
    expected = "unknown model 'toy+no/such': 'no/such' is no adapter folder (of 'toy'); give the folder that the training wrote"
    with pytest.raises(UnknownName, match=f"^{re.escape(expected)}$"):
        load_model("toy+no/such", CPU)


def test_the_folder_of_a_run_is_answered_with_the_adapter_in_it(base, tmp_path):
    adapt(base, tmp_path / "run" / "model")
    with pytest.raises(UnknownName) as caught:
        load_model(f"{base}+{tmp_path / 'run'}", CPU)
    assert str(caught.value).endswith(f"; did you mean '{base}+{tmp_path / 'run' / 'model'}'?")


def test_quantisation_wants_a_merged_model(base, tmp_path):
    adapt(base, tmp_path / "adapter")
    name = f"{base}+{tmp_path / 'adapter'}"
    with pytest.raises(ConfigError) as caught:
        load_model(name, Runtime("cuda", quantization_config=object()))
    assert str(caught.value) == (
        f"{tmp_path / 'adapter'}: quantisation reads a merged model; write one with `saymask convert {name} DST`, then load DST"
    )
