"""SAM 3 from a stream equals the library's own session that keeps everything; what it holds; which phrases it is asked."""

import gc
import sys

import numpy as np
import pytest
import torch
from transformers import Sam3VideoModel
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession
from transformers.models.sam3_video.processing_sam3_video import Sam3VideoProcessor

from saymask.errors import ConfigError
from saymask.models.checkpoints import load_model
from saymask.models.sam3.phrases import noun_phrases
from saymask.records import Rle, Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.video.transforms import stretched

CPU = Runtime("cpu", "float32")


def noise(num_frames: int) -> Video:
    return Video.from_frames(np.random.default_rng(4).integers(0, 256, (num_frames, 37, 53, 3), np.uint8), fps=4)


class WithoutTorchvision(Sam3VideoProcessor):
    """The library's post-processing; what it prepares frames with needs torchvision."""

    def __init__(self):
        pass


def plain(folder, video: Video, segmenter, phrases: list[str]) -> dict[int, dict]:
    """The library alone: a session with all frames, its iterator, its post-processing."""
    model = Sam3VideoModel.from_pretrained(folder).eval()
    frames = stretched(torch.from_numpy(video.frames(range(video.num_frames))), 112, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    session = Sam3VideoInferenceSession(frames, video.height, video.width, dtype=torch.float32)
    for phrase in phrases:
        prompt_id = session.add_prompt(phrase)
        text = segmenter.tokenizer(phrase, return_tensors="pt", padding="max_length", max_length=8)
        session.prompt_input_ids[prompt_id] = text["input_ids"]
        session.prompt_attention_masks[prompt_id] = text["attention_mask"]
    return {
        output.frame_idx: WithoutTorchvision().postprocess_outputs(session, output)
        for output in model.propagate_in_video_iterator(session, 0)
    }


def test_masks_and_ids_equal_those_of_the_library_alone(sam3_folder, monkeypatch):
    def boxes(masks_NHW):
        return torch.tensor([Rle.encode(mask_HW.numpy()).box() or (0, 0, 0, 0) for mask_HW in masks_NHW])

    monkeypatch.setattr(sys.modules[Sam3VideoProcessor.__module__], "masks_to_boxes", boxes, raising=False)
    video = noise(24)
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    expected = plain(sam3_folder, video, segmenter, ["red dog", "ball"])
    with VideoSession(video, segmenter) as session:
        (result,) = session.segment("the red dog; a ball").results
    seen: dict[int, dict[int, np.ndarray]] = {}
    for t, output in expected.items():
        for obj_id, mask_HW in zip(output["object_ids"].tolist(), output["masks"], strict=True):
            if mask_HW.any():
                seen.setdefault(obj_id, {})[t] = mask_HW.numpy()
    assert len(seen) == len(result.masklets) > 0, "a video without an object shows nothing"
    for (_, by_frame), masklet in zip(sorted(seen.items()), result.masklets, strict=True):
        for t in range(24):
            assert np.array_equal(masklet.rle_T[t].decode(), by_frame.get(t, np.zeros((37, 53), dtype=bool))), f"frame {t}"


def test_what_is_held_does_not_grow_with_the_video(sam3_folder):
    """At the end of each step: tracked frames within the memory's reach, heavy outputs of the nearest conditioning frames."""
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    held: dict[int, int] = {}

    def count(_, args, kwargs, output):
        session = kwargs["inference_session"]
        outputs = [each for of_object in session.output_dict_per_obj.values() for kind in of_object.values() for each in kind.values()]
        heavy = [value for each in outputs for name, value in each.items() if name == "maskmem_features" and value is not None]
        held[output.frame_idx] = len(heavy)
        assert session.processed_frames is None

    segmenter.model.register_forward_hook(count, with_kwargs=True)
    with VideoSession(noise(40), segmenter) as session:
        session.segment("the red dog; a ball")
    assert max(held[t] for t in range(30, 40)) <= max(held[t] for t in range(10, 20)) and max(held.values()) > 0


@pytest.mark.slow
def test_memory_is_flat_over_500_frames(sam3_folder):
    """Bytes of all tensors that are alive at a step, late and early in the video; object pointers of conditioning frames may remain."""
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    alive: dict[int, int] = {}

    def count(_, args, kwargs, output):
        if output.frame_idx % 20 == 0:
            gc.collect()
            alive[output.frame_idx] = sum(item.nbytes for item in gc.get_objects() if isinstance(item, torch.Tensor))

    segmenter.model.register_forward_hook(count, with_kwargs=True)
    frame = np.random.default_rng(4).integers(0, 256, (1, 37, 53, 3), np.uint8)
    video = Video.from_frames(np.broadcast_to(frame, (500, 37, 53, 3)), fps=4)
    with VideoSession(video, segmenter) as session:
        (result,) = session.segment("the red dog; a ball").results
    early, late = max(alive[t] for t in range(100, 200, 20)), max(alive[t] for t in range(400, 500, 20))
    print(f"tensors alive: {early} bytes up to frame 200, {late} up to frame 500, {len(result.masklets)} objects")
    assert result.masklets and late - early < 0.01 * early


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("the brown dog", ["brown dog"]),
        ("Please segment the dog that barks, and all red balls", ["dog", "red balls"]),
        ("a dog; a ball; a dog", ["dog", "ball"]),
        ("every player in white", ["player in white"]),
    ],
)
def test_a_sentence_is_cut_to_noun_phrases(query, phrases):
    assert noun_phrases(query) == phrases


@pytest.mark.parametrize("query", ["who will win?", "which one is red", "What moves"])
def test_questions_are_for_the_agent(query):
    with pytest.raises(ConfigError, match="use -m agent"):
        noun_phrases(query)


def test_a_query_that_names_nothing():
    with pytest.raises(ConfigError, match="names nothing"):
        noun_phrases("; .")
