"""SAM 3 from a stream equals the library's own session that keeps everything; what it holds; which phrases it is asked."""

import gc
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from transformers import Sam3VideoModel
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession
from transformers.models.sam3_video.processing_sam3_video import Sam3VideoProcessor

from saymask.errors import ConfigError
from saymask.models.checkpoints import load_model
from saymask.models.sam3.options import Sam3Options
from saymask.models.sam3.phrases import noun_phrases
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.session.live import LiveSession
from saymask.trackers.loading import load_tracker
from saymask.video.transforms import stretched

CPU = Runtime("cpu", "float32")


def noise(num_frames: int) -> Video:
    return Video.from_frames(np.random.default_rng(4).integers(0, 256, (num_frames, 37, 53, 3), np.uint8), fps=4)


class WithoutTorchvision(Sam3VideoProcessor):
    """The library's post-processing; what it prepares frames with needs torchvision."""

    def __init__(self):
        pass


def corners(masks_NHW: torch.Tensor) -> torch.Tensor:
    """Boxes x0 y0 x1 y1 of the outermost pixels, as torchvision's `masks_to_boxes` gives them: the last pixel is inside."""
    found = [mask_HW.nonzero(as_tuple=True) for mask_HW in masks_NHW]
    return torch.tensor([[xs.min(), ys.min(), xs.max(), ys.max()] if len(xs) else [0, 0, 0, 0] for ys, xs in found]).float()


@pytest.fixture(autouse=True)
def boxes_without_torchvision(monkeypatch):
    monkeypatch.setattr(sys.modules[Sam3VideoProcessor.__module__], "masks_to_boxes", corners, raising=False)


def prepared(video: Video) -> torch.Tensor:
    return stretched(torch.from_numpy(video.frames(range(video.num_frames))), 112, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def prompt(session: Sam3VideoInferenceSession, segmenter, phrases: list[str]) -> None:
    for phrase in phrases:
        prompt_id = session.add_prompt(phrase)
        text = segmenter.tokenizer(phrase, return_tensors="pt", padding="max_length", max_length=8)
        session.prompt_input_ids[prompt_id] = text["input_ids"]
        session.prompt_attention_masks[prompt_id] = text["attention_mask"]


def limit_objects(model: Sam3VideoModel, max_num_objects: int) -> None:
    """One object is shown at once: random masks do not match from frame to frame, and what is on probation would be withdrawn."""
    model.max_num_objects = max_num_objects
    model.hotstart_delay = 0 if max_num_objects == 1 else model.hotstart_delay


def plain(folder, video: Video, segmenter, phrases: list[str], max_num_objects: int) -> dict[int, dict]:
    """The library alone: a session that keeps all frames and outputs, its iterator, its post-processing."""
    model = Sam3VideoModel.from_pretrained(folder).eval()
    limit_objects(model, max_num_objects)
    session = Sam3VideoInferenceSession(prepared(video), video.height, video.width, dtype=torch.float32)
    prompt(session, segmenter, phrases)
    return {
        output.frame_idx: WithoutTorchvision().postprocess_outputs(session, output)
        for output in model.propagate_in_video_iterator(session, 0)
    }


def rows_of(output: dict) -> dict[int, int]:
    """Id -> row of the objects that show a pixel."""
    return {int(obj_id): row for row, obj_id in enumerate(output["object_ids"]) if output["masks"][row].any()}


@pytest.mark.parametrize(
    ("num_frames", "phrases", "max_num_objects"),
    [pytest.param(24, ["red dog", "ball"], 3, marks=pytest.mark.slow), (6, ["ball"], 1)],
    ids=["several", "one"],
)
def test_masks_boxes_scores_and_ids_equal_those_of_the_library_alone(sam3_folder, num_frames, phrases, max_num_objects):
    """24 frames are many times what the memory reaches back (4 frames), so what is dropped on the way is shown to change nothing.

    The library's box is around a mask before pixels that another object claims are taken from it, ours around the mask that is shown; so
    boxes are compared where nothing was taken: everywhere where there is but one object.
    """
    video = noise(num_frames)
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    limit_objects(segmenter.model, max_num_objects)
    expected = plain(sam3_folder, video, segmenter, phrases, max_num_objects)
    with VideoSession(video, segmenter) as session:
        (result,) = session.segment("; ".join(phrases)).results
    ids = sorted({obj_id for output in expected.values() for obj_id in rows_of(output)})
    assert len(ids) == len(result.masklets) >= max_num_objects, "a video without objects shows nothing"
    masklets = dict(zip(ids, result.masklets, strict=True))
    assert [masklet.obj_id for masklet in result.masklets] == list(range(1, len(ids) + 1))
    compared_boxes, scores = 0, {obj_id: [0.0] for obj_id in ids}
    for t, output in expected.items():
        phrases = {obj_id: phrase for phrase, obj_ids in output["prompt_to_obj_ids"].items() for obj_id in obj_ids}
        rows = rows_of(output)
        for obj_id, masklet in masklets.items():
            if obj_id not in rows:
                assert masklet.rle_T[t].area == 0 and masklet.frame_scores_T[t] == 0
                continue
            row = rows[obj_id]
            mask_HW = output["masks"][row]
            assert np.array_equal(masklet.rle_T[t].decode(), mask_HW.numpy()), f"frame {t}, object {obj_id}"
            assert masklet.frame_scores_T[t] == pytest.approx(float(output["scores"][row]), abs=1e-6)
            assert masklet.phrase == phrases[obj_id]
            scores[obj_id].append(float(output["scores"][row]))
            if len(rows) == 1 or torch.equal(corners(mask_HW[None])[0], output["boxes"][row]):
                x0, y0, x1, y1 = output["boxes"][row].int().tolist()
                assert masklet.rle_T[t].box() == (x0, y0, x1 + 1, y1 + 1)
                compared_boxes += 1
    assert compared_boxes == num_frames if max_num_objects == 1 else compared_boxes > 0
    assert [masklet.presence for masklet in result.masklets] == pytest.approx([max(scores[obj_id]) for obj_id in ids], abs=1e-6)


def streamed(segmenter, video: Video, query: str, **options) -> list[list]:
    walk = segmenter.follow(video, query, Sam3Options(**options))
    return [walk.step(t) for t in range(video.num_frames)]


@pytest.mark.slow
def test_followed_frame_by_frame_it_equals_the_librarys_own_streaming(sam3_folder):
    video = noise(8)
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    found = streamed(segmenter, video, "the red dog; a ball")
    model = Sam3VideoModel.from_pretrained(sam3_folder).eval()
    session = Sam3VideoInferenceSession(video_height=video.height, video_width=video.width, dtype=torch.float32)
    prompt(session, segmenter, ["red dog", "ball"])
    with torch.inference_mode():
        for t, pixels in enumerate(prepared(video)):
            output = WithoutTorchvision().postprocess_outputs(session, model(inference_session=session, frame=pixels))
            rows = rows_of(output)
            assert [sighting.obj_id for sighting in found[t]] == sorted(rows), f"frame {t}"
            for sighting in found[t]:
                assert torch.equal(sighting.mask_HW, output["masks"][rows[sighting.obj_id]])
                assert sighting.score == pytest.approx(float(output["scores"][rows[sighting.obj_id]]), abs=1e-6)
    assert any(len(seen) > 1 for seen in found)


def test_followed_frame_by_frame_no_later_frame_is_read_and_none_is_kept(sam3_folder):
    class Latest:
        """A live stream: only the frame that was stepped to can be read."""

        height, width, now = 37, 53, -1

        def frames(self, frame_idx):
            assert list(frame_idx) == [self.now]
            return np.random.default_rng(self.now).integers(0, 256, (1, 37, 53, 3), np.uint8)

    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    source = Latest()
    walk = segmenter.follow(source, "ball", Sam3Options(max_objects=1))
    for source.now in range(8):
        seen = walk.step(source.now)
        assert len(seen) <= 1 and walk._session.processed_frames is None
        tracked = [outputs["non_cond_frame_outputs"] for outputs in walk._session.output_dict_per_obj.values()]
        assert all(len(outputs) <= 4 for outputs in tracked)
    with pytest.raises(ConfigError, match="use -m agent"):
        segmenter.follow(source, "which one wins?", Sam3Options())


@pytest.mark.slow
def test_a_live_session_shows_what_the_walk_sees_from_the_frame_on_which_it_was_asked(sam3_folder):
    video = noise(8)
    frames_THWC = video.frames(range(8))
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    expected = streamed(segmenter, Video.from_frames(frames_THWC[2:], fps=4), "the red dog; a ball")
    with LiveSession((37, 53), 4, segmenter) as live:
        live.push(frames_THWC[0])
        live.push(frames_THWC[1])
        live.add_query("the red dog; a ball")
        ids: dict[int, int] = {}
        for frame_HWC, seen in zip(frames_THWC[2:], expected, strict=True):
            result = live.push(frame_HWC)
            shown = {obj_id: (rle, score) for obj_id, rle, score in zip(result.obj_ids, result.rles, result.scores_N.tolist(), strict=True)}
            for sighting in seen:
                rle, score = shown.pop(ids.setdefault(sighting.obj_id, len(ids) + 1))
                assert np.array_equal(rle.decode(), sighting.mask_HW.numpy()) and score == pytest.approx(sighting.score)
            assert all(rle.area == 0 and score == 0 for rle, score in shown.values()), "what is not seen is nowhere"
        counts = Counter(obj.answer.phrase for obj in live.objects.values())
        assert len(ids) == sum(counts.values()) > 1
        assert live.answers["the red dog; a ball"].text == ", ".join(f"{phrase}: {count}" for phrase, count in counts.items())
        live.drop_object("the red dog; a ball", 1)
        assert 1 not in live.push(frames_THWC[7]).obj_ids


@pytest.mark.slow
def test_a_file_read_causally_equals_the_walk_and_is_asked_once(sam3_folder):
    video = noise(8)
    segmenter = load_model(f"sam3:{sam3_folder}", CPU)
    expected = streamed(segmenter, video, "ball")
    with VideoSession(video, segmenter) as session:
        (result,) = session.segment("ball", causal=True).results
        (sure,) = session.segment("ball", causal=True, min_presence=1.0).results
    assert "ask_every" not in result.notes and sure.masklets == ()
    for t, seen in enumerate(expected):
        areas = [masklet.rle_T[t].area for masklet in result.masklets if masklet.rle_T[t].area]
        assert areas == [int(sighting.mask_HW.sum()) for sighting in seen]
    assert any(expected)


@pytest.mark.slow
def test_another_tracker_starts_where_an_object_is_largest_and_refine_corrects_it(sam3_folder, sam2_folder):
    video = noise(8)
    segmenter, tracker = load_model(f"sam3:{sam3_folder}", CPU), load_tracker("sam2", CPU, sam2_folder)
    with VideoSession(video, segmenter) as session:
        (own,) = session.segment("the red dog").results
        with pytest.raises(ConfigError, match="tracker"):
            session.refine(0, np.zeros((37, 53), bool))
    with VideoSession(video, segmenter, tracker) as session:
        (result,) = session.segment("the red dog", max_objects=1).results
        corrected = np.zeros((37, 53), bool)
        corrected[5:20, 10:40] = True
        (refined,) = session.refine(3, corrected).results
    best = max(range(len(own.masklets)), key=lambda n: own.masklets[n].presence)
    start = max(range(8), key=lambda t: own.masklets[best].rle_T[t].area)
    reference = torch.from_numpy(own.masklets[best].rle_T[start].decode())[None]
    for masks, prediction in (({start: reference}, result), ({start: reference, 3: torch.from_numpy(corrected)[None]}, refined)):
        for frame in tracker.propagate(video, masks):
            assert np.array_equal(prediction.masklets[0].rle_T[frame.frame_idx].decode(), frame.masks_NHW[0].numpy())
    assert result.notes["tracker"] == "sam2" and result.notes["reference_frames"] == [start]


@pytest.mark.slow
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
