"""SAM 2 tracked from a stream equals the library's own whole-video session, holds no more however long the video, and loads strictly."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import EdgeTamVideoModel, Sam2VideoModel
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession
from transformers.models.sam2_video.processing_sam2_video import Sam2VideoProcessor

from saymask.errors import CheckpointError
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.storage import hub
from saymask.trackers.base import FrameMasks
from saymask.trackers.sam2.session import StreamedSession
from saymask.trackers.sam2.tracker import Sam2Tracker, load_sam2
from saymask.video.transforms import stretched

CPU = Runtime("cpu", "float32")
HEIGHT, WIDTH = 37, 53
NEEDS_TIMM = {"model_type": "edgetam_vision_model"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def tracker(sam2_folder: Path) -> Sam2Tracker:
    return load_sam2(CPU, sam2_folder)


@pytest.fixture
def edgetam(edgetam_folder: Path) -> Sam2Tracker:
    return load_sam2(CPU, edgetam_folder)


def noise_video(num_frames: int) -> Video:
    return Video.from_frames(np.random.default_rng(num_frames).integers(0, 256, (num_frames, HEIGHT, WIDTH, 3), np.uint8))


def boxes(*tops: int | None) -> torch.Tensor:
    """An object per number, 12 x 20 pixels that begin in that row; None = absent."""
    masks_NHW = torch.zeros(len(tops), HEIGHT, WIDTH)
    for obj_idx, top in enumerate(tops):
        if top is not None:
            masks_NHW[obj_idx, top : top + 12, 10 * obj_idx + 3 : 10 * obj_idx + 23] = 1
    return masks_NHW


def plain_logits(
    model: Sam2VideoModel | EdgeTamVideoModel, video: Video, reference_masks: dict[int, torch.Tensor]
) -> dict[int, torch.Tensor]:
    """Logits at video size by the library's own means: all frames in a session that keeps everything, its prompts, its propagation."""
    frames = torch.from_numpy(video.frames(range(video.num_frames)))
    session_class = Sam2VideoInferenceSession if isinstance(model, Sam2VideoModel) else EdgeTamVideoInferenceSession
    session = session_class(stretched(frames, 64, MEAN, STD), HEIGHT, WIDTH, dtype=torch.float32)
    for frame_idx in sorted(reference_masks):
        shown = {n: mask_HW for n, mask_HW in enumerate(reference_masks[frame_idx]) if mask_HW.any()}
        Sam2VideoProcessor.process_new_mask_for_video_frame(
            SimpleNamespace(target_size=64), session, frame_idx, list(shown), list(shown.values())
        )
        model(session, frame_idx=frame_idx)
    start = min(reference_masks)
    outputs = [*model.propagate_in_video_iterator(session, start)]
    outputs += [*model.propagate_in_video_iterator(session, start - 1, reverse=True)]
    return {
        output.frame_idx: functional.interpolate(output.pred_masks, size=(HEIGHT, WIDTH), mode="bilinear")[np.argsort(output.object_ids), 0]
        for output in outputs
    }


def by_frame(results: list[FrameMasks]) -> dict[int, FrameMasks]:
    assert len({result.frame_idx for result in results}) == len(results)
    return {result.frame_idx: result for result in results}


def assert_equal(actual: list[FrameMasks], expected: list[FrameMasks]) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert one.frame_idx == other.frame_idx
        assert torch.equal(one.masks_NHW, other.masks_NHW) and torch.equal(one.scores_N, other.scores_N)


# -- what it computes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tracker_name", ["tracker", "edgetam"])
@pytest.mark.parametrize(
    ("num_frames", "references"),
    [
        (14, {4: boxes(2)}),
        (14, {9: boxes(20, 5), 3: boxes(2, 25)}),
        (14, {11: boxes(20, 5), 6: boxes(9, None), 4: boxes(None, 2)}),
        (3, {2: boxes(2)}),  # shorter than the memory
    ],
    ids=["one object", "two references", "absent objects", "short video"],
)
def test_masks_equal_those_of_the_library_alone(request, tracker_name, num_frames, references):
    tracker = request.getfixturevalue(tracker_name)
    video = noise_video(num_frames)
    results = by_frame(list(tracker.propagate(video, references)))
    expected = plain_logits(tracker.model, video, references)
    assert results.keys() == expected.keys() == set(range(num_frames))
    for frame_idx, logits_NHW in expected.items():
        masks_NHW = (logits_NHW > 0) & (logits_NHW == logits_NHW.max(0).values)
        assert torch.equal(results[frame_idx].masks_NHW, masks_NHW)
        for score, logits_HW, mask_HW in zip(results[frame_idx].scores_N, logits_NHW, masks_NHW, strict=True):
            assert score.item() == pytest.approx(logits_HW[mask_HW].sigmoid().mean().item() if mask_HW.any() else 0.0, abs=1e-5)
        assert masks_NHW.any() and not masks_NHW.any(0).all(), "a mask that is empty or everywhere shows nothing"


def test_references_before_others_see_them(tracker):
    """A reference at the end changes what is found at the start: all are given before tracking begins."""
    video = noise_video(10)
    alone = by_frame(list(tracker.propagate(video, {0: boxes(2)})))
    both = by_frame(list(tracker.propagate(video, {0: boxes(2), 9: boxes(20)})))
    assert not torch.equal(alone[1].masks_NHW, both[1].masks_NHW)


def test_an_empty_first_reference_is_no_prompt(tracker):
    video = noise_video(8)
    with_empty = list(tracker.propagate(video, {1: boxes(None), 5: boxes(2)}))
    assert_equal(with_empty, list(tracker.propagate(video, {5: boxes(2)})))
    assert [result.frame_idx for result in with_empty] == [5, 6, 7, 4, 3, 2, 1, 0]


def test_soft_masks_are_prompts_where_they_exceed_one_half(tracker):
    video = noise_video(4)
    soft = boxes(2) * 0.3 + boxes(5) * 0.3
    expected = list(tracker.propagate(video, {0: boxes(2) * boxes(5)}))
    assert_equal(list(tracker.propagate(video, {0: soft})), expected)


def test_a_frame_is_stretched_to_a_square_and_normalised(tracker):
    frames_THWC = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    frames_THWC[:] = (255, 0, 51)
    session = StreamedSession(tracker.model, Video.from_frames(frames_THWC), tracker.features(noise_video(1), 0), 1)
    pixels_CHW = session.get_frame(0)
    assert pixels_CHW.shape == (3, 64, 64)
    expected = torch.tensor([(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225])
    torch.testing.assert_close(pixels_CHW, expected[:, None, None].expand(3, 64, 64))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_tracks_too(sam2_folder, dtype):
    tracker = load_sam2(Runtime("cpu", dtype), sam2_folder)
    results = list(tracker.propagate(noise_video(3), {1: boxes(2, 20)}))
    assert [result.frame_idx for result in results] == [1, 2, 0]
    assert all(result.scores_N.dtype == torch.float32 and result.masks_NHW.any() for result in results)


# -- what it holds --------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_session_holds_no_more_on_a_longer_video(tracker):
    """Memory reaches 3 frames back. At the end of a step on the way forth: the frame itself, 3 before it, and 2 after the reference."""
    held: dict[int, list[int]] = {20: [], 60: []}

    def count(_, args, output):
        session = args[0]
        for obj_idx, outputs in session.output_dict_per_obj.items():
            held[num_frames].append(len(outputs["non_cond_frame_outputs"]))
            assert len(outputs["cond_frame_outputs"]) == 1
            assert len(session.frames_tracked_per_obj[obj_idx]) <= 1
            assert list(session.mask_inputs_per_obj[obj_idx]) in ([], [10])
        assert session.processed_frames is None

    tracker.model.register_forward_hook(count)
    for num_frames in held:
        assert len(list(tracker.propagate(noise_video(num_frames), {10: boxes(2, 20)}))) == num_frames
    assert max(held[20]) == max(held[60]) == 6
    assert held[60][-1] == 4, "on the way back, far from the reference"


def test_what_a_step_has_used_up_is_dropped(tracker):
    sessions = []
    tracker.model.register_forward_hook(lambda _, args, output: sessions.append(args[0]))
    list(tracker.propagate(noise_video(5), {1: boxes(2)}))
    outputs = [output for kind in sessions[-1].output_dict_per_obj[0].values() for output in kind.values()]
    assert len(outputs) == 3
    assert all(value.numel() < 64 * 64 for output in outputs for value in output.values()), "a mask at the model's input size"
    assert sessions[-1].mask_inputs_per_obj == {0: {}}


def test_frames_are_read_eight_at_a_time_in_both_directions(tracker):
    calls = []
    frames = noise_video(20)

    def read(frame_idx):
        calls.append(list(frame_idx))
        return frames.read(frame_idx)

    video = Video("counted", "memory", HEIGHT, WIDTH, frames.timestamps_T, frames.duration, read, frames.frame_names)
    list(tracker.propagate(video, {17: boxes(2)}))
    assert calls == [list(range(16, 20)), list(range(8, 16)), list(range(8))]


# -- what it shares -------------------------------------------------------------------------------------------------------------------


def encoded_frames(tracker: Sam2Tracker) -> list[int]:
    """A list that grows by one entry for every frame that goes through the image encoder."""
    calls: list[int] = []
    tracker.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_shared_features_change_no_mask_and_save_the_encoding(tracker):
    video = noise_video(9)
    fresh = list(tracker.propagate(video, {4: boxes(2)}))
    features = tracker.features(video, 2**30)
    calls = encoded_frames(tracker)
    assert_equal(list(tracker.propagate(video, {4: boxes(2)}, features)), fresh)
    assert len(calls) == 9
    assert_equal(list(tracker.propagate(video, {4: boxes(2)}, features)), fresh)
    assert len(calls) == 9


def test_a_budget_keeps_the_first_frames_that_fit(tracker):
    """A frame's features: 16 x 16 x 16 + 8 x 8 x 32 + 4 x 4 x 128 float32 numbers."""
    video = noise_video(5)
    frame_bytes = 4 * (16 * 16 * 16 + 8 * 8 * 32 + 4 * 4 * 128)
    features = tracker.features(video, 2 * frame_bytes)
    fresh = list(tracker.propagate(video, {0: boxes(2)}))
    calls = encoded_frames(tracker)
    list(tracker.propagate(video, {0: boxes(2)}, features))
    assert len(calls) == 5
    assert_equal(list(tracker.propagate(video, {0: boxes(2)}, features)), fresh)
    assert len(calls) == 5 + 3


def test_propagations_side_by_side_encode_each_frame_once(tracker):
    """Without any budget: the latest frame is always there."""
    video = noise_video(6)
    references = [{0: boxes(2)}, {0: boxes(20)}, {0: boxes(11, 25)}]
    alone = [list(tracker.propagate(video, masks)) for masks in references]
    features = tracker.features(video, 0)
    calls = encoded_frames(tracker)
    together = zip(*(tracker.propagate(video, masks, features) for masks in references), strict=True)
    for results, expected in zip(zip(*together, strict=True), alone, strict=True):
        assert_equal(list(results), expected)
    assert len(calls) == 6


# -- its weights ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(sam2_folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(sam2_folder, tmp_path / "copy"))


def change_weights(folder: Path, without: str | None = None, **changes: torch.Tensor) -> None:
    tensors = {name: tensor for name, tensor in (load_file(folder / "model.safetensors") | changes).items() if name != without}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def change_config(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | changes))


def test_a_folder_is_loaded_as_it_is(sam2_folder):
    tracker = load_sam2(CPU, str(sam2_folder))
    assert tracker.weights_files == (sam2_folder / "model.safetensors",)
    assert not tracker.model.training
    state = tracker.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in load_file(sam2_folder / "model.safetensors").items())


def test_tensors_that_do_not_fit_are_named(copy):
    told = f"{copy}: the weights do not fit the configuration; nothing was loaded\n"
    change_weights(copy, without="no_object_pointer", stray=torch.zeros(2))
    with pytest.raises(CheckpointError, match=f"^{re.escape(told)}  missing no_object_pointer\n  unexpected stray$"):
        load_sam2(CPU, copy)
    change_weights(copy, no_memory_embedding=torch.zeros(1, 1, 5))
    expected = "  wrong shape no_memory_embedding: [1, 1, 5] in the file, [1, 1, 128] in the model"
    with pytest.raises(CheckpointError, match=f"^{re.escape(told + expected)}$"):
        load_sam2(CPU, copy)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json: no such file; the copy is incomplete or damaged: fetch it again"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights; expected model.safetensors or pytorch_model.bin"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"12345678"), "model.safetensors: cannot be read as weights ("),
        (
            lambda folder: change_config(folder, model_type="sam2"),
            "model_type 'sam2' is none of sam2_video, edgetam_video; give a copy of https://",
        ),
        (lambda folder: change_config(folder, num_maskmem="seven"), "no model can be built from it ("),
        (
            lambda folder: change_config(folder, model_type="edgetam_video", vision_config={"model_type": "edgetam_vision_model"}),
            "pip install timm",
        ),
    ],
    ids=["no config", "no weights", "damaged", "another model", "senseless number", "a library is missing"],
)
def test_a_folder_that_cannot_be_used_is_named_with_the_reason(copy, spoil, message):
    spoil(copy)
    with pytest.raises(CheckpointError) as caught:
        load_sam2(CPU, copy)
    assert str(caught.value).startswith(str(copy)) and message in str(caught.value)


def test_a_path_that_is_no_folder_is_not_looked_for_on_the_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "HfApi", lambda: pytest.fail("the hub was asked"))
    for weights in (tmp_path / "nowhere", "nowhere"):
        with pytest.raises(CheckpointError, match=rf"^{re.escape(str(weights))}: no such folder; give a copy of https://\S+ as --tracker"):
            load_sam2(CPU, weights)


def test_without_a_network_one_error_says_what_is_needed(monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("offline mode is enabled")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    monkeypatch.setattr(hub, "HfApi", lambda: SimpleNamespace(model_info=offline))
    expected = (
        "cannot download from https://huggingface.co (offline mode is enabled); needed and not on this disk:\n"
        "  facebook/sam2.1-hiera-tiny (0.2 GB) from https://huggingface.co/facebook/sam2.1-hiera-tiny\n"
        "with a copy of it on disk: give its folder as --tracker-weights DIR (in Python: tracker_weights=DIR)"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_sam2(CPU, None)


def test_a_repository_on_disk_is_loaded_without_the_hub(monkeypatch, sam2_folder):
    asked = []
    monkeypatch.setattr(hub, "snapshot_download", lambda repo_id, **_: asked.append(repo_id) or str(sam2_folder))
    monkeypatch.setattr(hub, "HfApi", lambda: pytest.fail("the hub was asked"))
    for weights in (None, "someone/sam2-fork"):
        assert load_sam2(CPU, weights).weights_files == (sam2_folder / "model.safetensors",)
    assert asked == ["facebook/sam2.1-hiera-tiny", "someone/sam2-fork"]
