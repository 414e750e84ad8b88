"""Folders in the released layout: what loads, what it computes, and what is said when something does not fit."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from saymask.errors import CheckpointError, ConfigError
from saymask.models import checkpoints
from saymask.models.checkpoints import load_model, save_model
from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID, encode
from saymask.models.parts.visual import sparse_dense_tokens
from saymask.models.videolisa import prompts
from saymask.models.videolisa.release_download import VideoLisaRelease, load_hub, load_videolisa_3_8b
from saymask.models.videolisa.release_loading import load_release, load_tokenizer
from saymask.runtime import AS_STORED, Runtime
from saymask.storage import hub
from saymask.storage.weight_files import read_json, weight_files
from saymask.video.transforms import Geometry

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden/videolisa"
FAKE = SimpleNamespace(**runpy.run_path(str(ROOT / "bench/fake_release.py")))
CPU = Runtime("cpu", "float32")


def write(out, layout="bin", make=None):
    return FAKE.write_release(out, FAKE.TINY_CONFIG, FAKE.TINY_TOWER, make or FAKE.random_tensors(0), layout, shard_bytes=40_000)


@pytest.fixture
def release(tmp_path):
    return write(tmp_path)


def change(folder, name, edit):
    """Edit the shard that holds a tensor."""
    file = next(file for file in weight_files(folder) if name in torch.load(file, weights_only=True))
    tensors = torch.load(file, weights_only=True)
    edit(tensors)
    torch.save(tensors, file)


def test_both_formats_give_the_same_model_and_every_tensor_is_the_files(release, tmp_path):
    folder, tower = release
    written = {name: tensor for file in weight_files(folder) for name, tensor in torch.load(file, weights_only=True).items()}
    assert len(weight_files(folder)) > 2
    model = load_release(folder, Runtime("cpu", AS_STORED), "fake").model
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    other = load_release(*write(tmp_path / "other", "safetensors")[:1], Runtime("cpu", AS_STORED), "fake", tower).model
    assert all(torch.equal(tensor, other.state_dict()[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(model.language_model.lm_head.weight, written["lm_head.weight"])
    neck = written["model.visual_model.image_encoder.neck.2.weight"]
    assert neck.dtype == torch.float32
    assert torch.equal(model.mask_head.sam.vision_encoder.neck.conv2.weight, neck.to(torch.bfloat16))


def test_the_dtype_is_bf16_whatever_the_files_hold_unless_asked(tmp_path):
    folder, _ = write(tmp_path, make=lambda name, shape: torch.full(shape, 0.1))
    state = load_release(folder, Runtime("cpu", AS_STORED), "fake").model.state_dict()
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    assert load_release(folder, CPU, "fake").model.mask_head.sam.shared_image_embedding.positional_embedding[0, 0].item() == np.float32(0.1)


@pytest.mark.parametrize(
    ("part", "name", "edit", "problem"),
    [
        (0, "lm_head.weight", lambda t: t.pop("lm_head.weight"), "missing lm_head.weight"),
        (
            1,
            "vision_model.post_layernorm.bias",
            lambda t: t.pop("vision_model.post_layernorm.bias"),
            "missing model.vision_tower.vision_tower.vision_model.post_layernorm.bias",
        ),
        (
            0,
            "model.norm.weight",
            lambda t: t.update({"model.norms.weight": t.pop("model.norm.weight")}),
            "missing model.norm.weight\n  unexpected model.norms.weight",
        ),
        (
            0,
            "model.visual_model.mask_decoder.iou_token.weight",
            lambda t: t.update({"model.visual_model.mask_decoder.iou_token.weight": torch.zeros(1, 3)}),
            "wrong shape model.visual_model.mask_decoder.iou_token.weight: [1, 3] in the file, [1, 16] in the model",
        ),
    ],
    ids=["dropped", "dropped from the tower", "renamed", "reshaped"],
)
def test_a_tensor_that_does_not_fit_is_named(release, part, name, edit, problem):
    folder, tower = release
    change(release[part], name, edit)
    expected = f"{folder} with {tower}: the weights do not fit the configuration; nothing was loaded\n  {problem}"
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_release(folder, CPU, "fake")


def test_the_text_half_of_clip_is_left_alone(release):
    change(
        release[1], "vision_model.post_layernorm.bias", lambda t: t.update({"text_model.x": torch.zeros(1), "logit_scale": torch.zeros(1)})
    )
    assert load_release(release[0], CPU, "fake").name == "fake"


def test_no_vision_tower(release):
    folder, tower = release
    tower.rename(tower.with_name("elsewhere"))
    expected = (
        f"{folder}: its vision tower is not part of it; fetch https://huggingface.co/openai/clip-vit-large-patch14-336 and give its folder "
        f"as --vision-tower DIR (in Python: vision_tower=DIR), or put it at {folder / 'clip-vit-large-patch14-336'}"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_release(folder, CPU, "fake")
    assert load_release(folder, CPU, "fake", tower.with_name("elsewhere")).name == "fake"


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        (
            "pytorch_model-00002.bin",
            "no pytorch_model-00002.bin; pytorch_model.bin.index.json names it, so the copy is incomplete: fetch the rest",
        ),
        ("tokenizer.model", "tokenizer.model: no such file; the copy is incomplete: fetch the rest"),
        ("tokenizer_config.json", "tokenizer_config.json: no such file; the copy is incomplete or damaged: fetch it again"),
        ("config.json", "config.json: no such file; the copy is incomplete or damaged: fetch it again"),
    ],
)
def test_an_incomplete_copy(release, file, problem):
    (release[0] / file).unlink()
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(release[0]))}.*{re.escape(problem)}$"):
        load_release(release[0], CPU, "fake")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b""], ids=["cut off", "empty"])
@pytest.mark.parametrize("layout", ["bin", "safetensors"])
def test_a_damaged_shard(tmp_path, layout, damage):
    folder, _ = write(tmp_path, layout)
    file = weight_files(folder)[1]
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=rf"^{re.escape(str(file))}: cannot be read as weights \(.*\); fetch it again$"):
        load_release(folder, CPU, "fake")


def test_a_training_checkpoint_is_no_release(release):
    file = weight_files(release[0])[0]
    torch.save({"optimizer": {"step": 1}}, file)
    with pytest.raises(
        CheckpointError, match=rf"^{re.escape(str(file))}: cannot be read as weights \(optimizer is no tensor\); fetch it again$"
    ):
        load_release(release[0], CPU, "fake")


class Payload:
    def __reduce__(self):
        return print, ("code from a file was run",)


def test_no_code_of_a_file_is_run(release, capsys):
    file = weight_files(release[0])[0]
    torch.save({"lm_head.weight": Payload()}, file)
    with pytest.raises(CheckpointError, match=rf"^{re.escape(str(file))}: cannot be read as weights \(Weights only load failed"):
        load_release(release[0], CPU, "fake")
    assert "code from a file was run" not in capsys.readouterr().out


def test_our_layout_is_no_release(release, segmenter, tmp_path):
    save_model(segmenter.model, segmenter.processor, tmp_path / "ours")
    recognised = [VideoLisaRelease().recognises(read_json(folder / "config.json")) for folder in (release[0], tmp_path / "ours")]
    assert recognised == [True, False]


# -- by name, folder or repository -----------------------------------------------------------------------------------------------------


def test_load_model_knows_the_layout(release):
    folder, tower = release
    assert load_model(folder, Runtime("cpu", AS_STORED)).model.dtype == torch.bfloat16
    elsewhere = tower.rename(tower.with_name("elsewhere"))
    assert load_model(str(folder), Runtime("cpu", AS_STORED), str(elsewhere)).name == "model"


def test_load_model_asks_the_hub_for_what_looks_like_a_repository_and_its_config_for_the_family(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.json"
    monkeypatch.setattr(checkpoints, "fetch_config", lambda repo_id: config)
    monkeypatch.setattr(VideoLisaRelease, "load_hub", lambda self, *arguments: arguments)
    config.write_text('{"model_type": "llava_phi"}')
    assert load_model("owner/some-model.v2", CPU) == ("owner/some-model.v2", CPU, "owner/some-model.v2", None)
    config.write_text('{"model_type": "gpt2"}')
    with pytest.raises(CheckpointError, match=r"owner/some-model.v2 on the hub: model_type 'gpt2'"):
        load_model("owner/some-model.v2", CPU)


@pytest.mark.parametrize("name", ["toy", "./no/such/folder"])
def test_a_vision_tower_needs_released_weights(release, name):
    expected = f"--vision-tower DIR (in Python: vision_tower=DIR) goes with a folder or repository of released weights; {name!r} is neither"
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        load_model(name, CPU, release[1])


# -- the numbers of the reference -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_golden_weights_in_the_released_layout_give_the_golden_masks(tmp_path):
    weights, numbers = load_file(GOLDEN / "tiny_model.safetensors"), json.loads((GOLDEN / "tiny_model.json").read_text())
    sam = numbers["sam_config"]
    prompt = {"hidden_size": sam["prompt_embed_dim"], "image_size": sam["img_size"], "patch_size": sam["patch_size"]}
    values = {
        **FAKE.FULL_CONFIG,
        **numbers["llm_config"],
        **{"num_frames_sparse": numbers["num_frames_sparse"], "num_frames_dense": numbers["num_frames_dense"]},
        "mask_config": {
            "vision_config": {
                **{"hidden_size": sam["embed_dim"], "output_channels": sam["prompt_embed_dim"], "num_hidden_layers": sam["depth"]},
                **{key: sam[key] for key in ("patch_size", "window_size", "global_attn_indexes")},
                **{"num_attention_heads": sam["num_heads"], "image_size": sam["img_size"], "num_pos_feats": sam["prompt_embed_dim"] // 2},
            },
            "prompt_encoder_config": prompt,
            "mask_decoder_config": {
                **{"hidden_size": sam["prompt_embed_dim"], "mlp_dim": sam["dec_mlp_dim"], "num_attention_heads": sam["dec_num_heads"]},
                **{"iou_head_hidden_dim": sam["iou_head_hidden_dim"], "layer_norm_eps": sam["layer_norm_eps_two_way_transformer"]},
            },
        },
    }
    tower_keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    tower = {key: numbers["vision_tower_config"][key] for key in tower_keys}
    folder, _ = FAKE.write_release(tmp_path, values, tower, lambda name, shape: weights[name], shard_bytes=200_000)
    model = load_release(folder, CPU, "golden").model
    assert model.config.seg_token_id == numbers["seg_token_idx"]

    golden = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN / "tiny_io.npz").items()}
    input_ids = golden["input_ids"].long()
    visual = sparse_dense_tokens(model.visual(golden["images_clip"][0])[None], golden["dense_indices"].long())
    hidden, spliced = model.hidden_states(input_ids, visual)
    prompt_embed = model.prompt_projector(model.seg_hidden(input_ids, hidden, spliced)[0])
    features = model.mask_head.encode(golden["images_sam"][0])
    lowres = model.mask_head.decode(features, prompt_embed[None, :, None].expand(len(features), -1, -1, -1))
    resized, original = (tuple(golden[name].flatten()[:2].tolist()) for name in ("resize_hw", "original_hw"))
    masks = Geometry(original, resized, (64, 64)).undo(lowres)[:, 0]
    assert (masks - golden["pred_masks"]).abs().max() <= 1e-5


# -- the tokenizer --------------------------------------------------------------------------------------------------------------------

QUESTIONS = ("Please segment the {} in this scene.", "{} Please output the segmentation masks.", " What is {} in this video?", "{}?.")
NOUNS = ("red fish", "wide  gap, 12", "café 漢字", "second line\nof\ttext", "key ([SEG]) and [SEG]more")
PROMPTS = [prompts.chat(question.format(noun), prompts.FORCED_ANSWER) for question in QUESTIONS for noun in NOUNS]


@pytest.mark.parametrize(
    ("legacy", "opening"),
    [
        (False, "<s> ▁ <|system|> You ▁are ▁a ▁helpful ▁AI ▁assistant . <|end|> <|user|>"),
        (True, "<s> <|system|> ▁You ▁are ▁a ▁helpful ▁AI ▁assistant . <|end|> <|user|>"),
        (None, "<s> <|system|> ▁You ▁are ▁a ▁helpful ▁AI ▁assistant . <|end|> <|user|>"),
    ],
    ids=["one space in front", "every space", "not said: every space"],
)
def test_the_ids_of_a_chat(tmp_path, legacy, opening):
    seg_token_id = FAKE.write_tokenizer(tmp_path, 600, legacy)
    tokenizer = load_tokenizer(tmp_path)
    chunk = [*map(tokenizer.convert_tokens_to_ids, opening.split()), IMAGE_TOKEN_ID]
    for prompt in PROMPTS:
        ids = encode(prompt, tokenizer.encode, tokenizer.bos_token_id)
        assert ids[: len(chunk)] == chunk
        assert ids.count(seg_token_id) == prompt.count("[SEG]")
    assert tokenizer.pad_token_id == 0


def test_the_answer_of_a_model_is_read_without_the_spaces_of_its_encoding(release):
    processor = load_release(release[0], CPU, "fake").processor
    for answer in ("Sure, [SEG].", "It is the red  fish [SEG]"):
        ids, labels = processor.encode_chat("Where is it?", answer)
        assert processor.decode_answer(ids[labels.count(IGNORE_LABEL) :]) == f"{answer}<|end|>"


def test_every_shard_is_named_for_reports(release):
    model_folder, tower_folder = release
    loaded = load_release(model_folder, CPU, "fake")
    assert loaded.weights_files == (*weight_files(model_folder), *weight_files(tower_folder))


def test_quantisation_wants_our_layout(release):
    with pytest.raises(ConfigError) as caught:
        load_release(release[0], Runtime("cuda", quantization_config=object()), "fake")
    assert str(caught.value) == (
        f"{release[0]}: quantisation reads our own layout; write it first with `saymask convert {release[0]} DST`, then load DST"
    )


def test_layers_of_a_release_may_go_to_the_disk(release):
    first = load_release(release[0], CPU, "fake")
    spread = load_release(release[0], Runtime("cpu", "float32", {"layers.1": "disk"}), "fake")
    ids, visual = first.processor.to_inputs(["the red fish"]), torch.randn(1, first.config.num_visual, 32)
    with torch.inference_mode():
        assert torch.allclose(spread.model.hidden_states(ids, visual)[0], first.model.hidden_states(ids, visual)[0], atol=1e-6)


def test_a_tokenizer_longer_than_the_embeddings(release):
    settings = release[0] / "tokenizer_config.json"
    values = json.loads(settings.read_text())
    seg = values["added_tokens_decoder"].pop("127")
    values["added_tokens_decoder"] |= {"127": {**seg, "content": "<one>"}, "128": seg}
    settings.write_text(json.dumps(values))
    with pytest.raises(
        CheckpointError, match=rf"^{re.escape(str(release[0]))}: the tokenizer gives \[SEG\] the id 128, the embeddings end at 127$"
    ):
        load_release(release[0], CPU, "fake")


@pytest.mark.parametrize("legacy", [False, True], ids=["one space in front", "every space"])
def test_our_layout_keeps_weights_and_ids(release, tmp_path, legacy):
    FAKE.write_tokenizer(release[0], FAKE.TINY_CONFIG["vocab_size"], legacy)
    first = load_release(release[0], Runtime("cpu", AS_STORED), "fake")
    save_model(first.model, first.processor, tmp_path / "ours", torch.bfloat16)
    second = load_model(tmp_path / "ours", Runtime("cpu", AS_STORED))
    assert all(torch.equal(tensor, second.model.state_dict()[key]) for key, tensor in first.model.state_dict().items())
    queries = ["red fish", "a  key?", " [SEG]   <|end|>\n"]
    assert second.processor.to_inputs(queries).tolist() == first.processor.to_inputs(queries).tolist()
    assert second.config.text_config.sliding_window == 2048


# -- the hub --------------------------------------------------------------------------------------------------------------------------


def test_without_a_network_one_error_says_what_is_needed(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise ConnectionError("offline mode is enabled")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=offline))
    expected = (
        "cannot download from https://huggingface.co (offline mode is enabled); needed and not on this disk:\n"
        "  ZechenBai/VideoLISA-3.8B (10.3 GB) from https://huggingface.co/ZechenBai/VideoLISA-3.8B\n"
        "  openai/clip-vit-large-patch14-336 (1.7 GB) from https://huggingface.co/openai/clip-vit-large-patch14-336\n"
        "with copies of both folders on disk: give the first as the model, the second as --vision-tower DIR (in Python: vision_tower=DIR)"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_videolisa_3_8b(CPU)


def test_a_download_is_announced_and_takes_one_format(monkeypatch, release, caplog):
    folder, tower = release
    listing = {
        "ZechenBai/VideoLISA-3.8B": {"config.json": 1000, "tokenizer.model": 500_000, "pytorch_model-1.bin": 10_300_000_000, "x.png": 7},
        "openai/clip-vit-large-patch14-336": {"model.safetensors": 1_700_000_000, "pytorch_model.bin": 1_700_000_000, "config.json": 1},
    }
    fetched = {}

    def model_info(repo_id, files_metadata):
        return SimpleNamespace(
            siblings=[SimpleNamespace(rfilename=name, size=size, lfs=None, blob_id=None) for name, size in listing[repo_id].items()]
        )

    def snapshot(repo_id, local_files_only=False, allow_patterns=None, ignore_patterns=None):
        if local_files_only:
            raise FileNotFoundError(repo_id)
        assert caplog.messages, "the notice comes first"
        fetched[repo_id] = allow_patterns
        return str(tower if "clip" in repo_id else folder)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    monkeypatch.setattr(hub, "hf_hub_download", lambda repo_id, name: fetched[repo_id].append(name))
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=model_info))
    assert load_hub("ZechenBai/VideoLISA-3.8B", CPU, "fake").name == "fake"
    assert fetched == {
        "ZechenBai/VideoLISA-3.8B": ["config.json", "tokenizer.model", "pytorch_model-1.bin"],
        "openai/clip-vit-large-patch14-336": ["config.json", "model.safetensors"],
    }
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        "downloading ZechenBai/VideoLISA-3.8B (10.3 GB) and openai/clip-vit-large-patch14-336 (1.7 GB) from https://huggingface.co to "
    )


def test_what_is_on_disk_is_not_fetched_again(monkeypatch, release):
    folders = {"some/fork": release[0], "openai/clip-vit-large-patch14-336": release[1]}
    monkeypatch.setattr(hub, "snapshot_download", lambda repo_id, **_: str(folders[repo_id]))
    monkeypatch.setattr(hub, "HfApi", lambda: pytest.fail("the hub was asked"))
    assert load_hub("some/fork", CPU, "fork").name == "fork"


# -- the true size --------------------------------------------------------------------------------------------------------------------

LOAD_AND_MEASURE = """
import resource, sys, time
from pathlib import Path
from saymask.models.videolisa.release_loading import load_release
from saymask.runtime import AS_STORED, Runtime
start = time.monotonic()
model = load_release(Path(sys.argv[1]), Runtime("cpu", AS_STORED), "fake").model
size = sum(tensor.clone().nbytes for tensor in model.state_dict().values())  # the clones touch every page
print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, time.monotonic() - start)
"""


@pytest.mark.huge
@pytest.mark.timeout(1800)
def test_the_full_size_loads_with_a_peak_of_about_the_model(tmp_path):
    """Needs 12 GB of disk and 14 GB of memory; prints the figures."""
    folder, _ = FAKE.write_release(tmp_path, FAKE.FULL_CONFIG, FAKE.FULL_TOWER, FAKE.random_tensors(0))
    child = subprocess.run([sys.executable, "-c", LOAD_AND_MEASURE, str(folder)], capture_output=True, text=True, check=True)
    size, peak, seconds = map(float, child.stdout.split())
    print(f"\nmodel {size / 1e9:.2f} GB, peak {peak / 1e9:.2f} GB, {seconds:.0f} s")
    assert size == 2 * (4_484_832_816 + 303_507_456)
    assert peak < size + 2 * FAKE.SHARD_BYTES, "the model, one shard of it as the file has it, and the libraries"
