"""Loading is strict, and what was saved comes back."""

import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from saymask.errors import CheckpointError, UnknownName
from saymask.models.checkpoints import load_model, save_model
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.runtime import AS_STORED, Runtime

CPU = Runtime("cpu", "float32")


@pytest.fixture
def saved(segmenter, tmp_path):
    save_model(segmenter.model, segmenter.processor, tmp_path / "m", dtype=torch.float32)
    return tmp_path / "m"


def change(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_round_trip(segmenter, saved):
    loaded = load_model(saved, CPU)
    assert loaded.name == "m"
    original = segmenter.model.state_dict()
    assert loaded.model.state_dict().keys() == original.keys()
    assert all(torch.equal(tensor, original[key]) for key, tensor in loaded.model.state_dict().items())
    assert loaded.processor.to_inputs(["the red fish"]).tolist() == segmenter.processor.to_inputs(["the red fish"]).tolist()


def test_default_dtype_is_the_checkpoints(segmenter, tmp_path):
    save_model(segmenter.model, segmenter.processor, tmp_path / "m")
    assert load_model(tmp_path / "m", Runtime("cpu", AS_STORED)).model.dtype == torch.bfloat16
    assert load_model(tmp_path / "m", CPU).model.dtype == torch.float32


def test_auxiliary_heads_are_not_saved(segmenter, tmp_path):
    config = VideoLisaConfig.debug(seg_token_id=segmenter.config.seg_token_id, aux_loss_weight=1.0, region_words=["red"])
    save_model(VideoLisaModel(config), segmenter.processor, tmp_path / "m")
    assert not [key for key in load_file(tmp_path / "m" / "model.safetensors") if key.startswith("aux_")]
    assert load_model(tmp_path / "m", CPU).config.aux_loss_weight == 0


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda t: t.pop("prompt_projector.0.bias"), "missing prompt_projector.0.bias"),
        (lambda t: t.update(extra=torch.zeros(1)), "unexpected extra"),
        (
            lambda t: t.update({"prompt_projector.0.bias": torch.zeros(3)}),
            "wrong shape prompt_projector.0.bias: [3] in the file, [32] in the model",
        ),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_any_difference_is_an_error_that_names_the_tensor(saved, edit, problem):
    change(saved, edit)
    expected = f"{saved}: the weights do not fit the configuration; nothing was loaded\n  {problem}"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_model(saved, CPU)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_incomplete_folder(saved, file):
    (saved / file).unlink()
    with pytest.raises(CheckpointError, match=f"^{re.escape(f'{saved}: no {file}')}"):
        load_model(saved, CPU)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "config.json",
            b"{",
            "config.json: not valid JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); ",
        ),
        ("config.json", b"[]", "config.json: holds a list, expected an object; "),
        ("model.safetensors", None, "model.safetensors: cannot be read as weights ("),
        ("tokenizer.json", b"{}", "tokenizer.json: cannot be read "),
    ],
    ids=["json", "list", "weights", "tokenizer"],
)
def test_a_damaged_folder_names_the_file(saved, file, content, message):
    content = content if content is not None else (saved / file).read_bytes()[:-100]
    (saved / file).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_model(saved, CPU)
    assert str(caught.value).startswith(f"{saved}/{message}")


def test_a_saved_model_replaces_the_old_one_whole(segmenter, saved, monkeypatch):
    before = load_file(saved / "model.safetensors")
    monkeypatch.setattr(type(segmenter.processor.tokenizer), "save_pretrained", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    torch.nn.init.zeros_(segmenter.model.prompt_projector[0].bias)
    with pytest.raises(KeyboardInterrupt):
        save_model(segmenter.model, segmenter.processor, saved, dtype=torch.float32)
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_file(saved / "model.safetensors").items())


def test_another_family(saved):
    (saved / "config.json").write_text('{"model_type": "llama"}')
    expected = f"{saved}/config.json: model_type 'llama' is not a saymask model; known: saymask-videolisa"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}"):
        load_model(saved, CPU)


def test_mistyped_name():
    with pytest.raises(UnknownName, match=r"^unknown model 'tov' \(and no such folder\); did you mean 'toy'\?$"):
        load_model("tov", CPU)


def test_what_input_and_output_share_is_written_once(tokenizer, tmp_path):
    config = VideoLisaConfig.debug(seg_token_id=tokenizer.convert_tokens_to_ids("[SEG]"))
    config.text_config.tie_word_embeddings = True
    model = VideoLisaModel(config)
    save_model(model, VideoLisaProcessor(tokenizer, config), tmp_path / "tied")
    names = set(load_file(tmp_path / "tied/model.safetensors"))
    assert "language_model.model.embed_tokens.weight" in names
    assert "language_model.lm_head.weight" not in names
    loaded = load_model(tmp_path / "tied", Runtime("cpu")).model.language_model
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
