"""Boxes become tracks with stable identities: which frames are looked at, what is new or has come back; as the library alone finds it."""

import numpy as np
import pytest
import torch
from drawn_parts import ColourDetector, ColourTracker
from torch.nn import functional
from transformers import EdgeTamVideoModel, GroundingDinoForObjectDetection, Sam2VideoModel
from transformers.models.edgetam_video.modeling_edgetam_video import EdgeTamVideoInferenceSession
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession
from transformers.models.sam2_video.processing_sam2_video import Sam2VideoProcessor

from saymask.errors import ConfigError
from saymask.models.checkpoints import load_model
from saymask.models.grounded.segmenter import GroundedSegmenter
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.trackers.base import FrameMasks
from saymask.trackers.loading import load_tracker
from saymask.video.transforms import stretched

CPU = Runtime("cpu", "float32")
FPS = 4


def drawn(*squares: tuple[str, range, int], num_frames: int = 24, width: int = 80) -> Video:
    """20 rows; per square its colour, the frames on which it is there, and its first column (it is 10 wide, 10 high)."""
    frames = np.full((num_frames, 20, width, 3), 40, dtype=np.uint8)
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    for colour, times, left in squares:
        for t in times:
            frames[t, 5:15, left : left + 10] = colours[colour]
    return Video.from_frames(frames, fps=FPS)


def ask(video: Video, query: str, **options):
    segmenter = GroundedSegmenter(ColourDetector(), ColourTracker())
    with VideoSession(video, segmenter) as session:
        (result,) = session.segment(query, **options).results
    return result


def frames_with(masklet) -> list[int]:
    return [t for t, rle in enumerate(masklet.rle_T) if rle.area]


# -- the library's own calls -------------------------------------------------------------------------------------------------------------


class BoxScaling(Sam2VideoProcessor):
    """The library's processor as far as boxes go; what it prepares images with needs torchvision."""

    def __init__(self):
        self.target_size, self.point_pad_value = 64, -10


@pytest.mark.parametrize(
    ("name", "model_class", "session_class"),
    [("sam2_folder", Sam2VideoModel, Sam2VideoInferenceSession), ("edgetam_folder", EdgeTamVideoModel, EdgeTamVideoInferenceSession)],
    ids=["SAM 2", "EdgeTAM"],
)
def test_boxes_masks_and_ids_equal_plain_calls_of_the_library(request, dino_folder, name, model_class, session_class):
    folder = request.getfixturevalue(name)
    frames = np.random.default_rng(5).integers(0, 256, (9, 37, 53, 3), np.uint8)
    segmenter = load_model(f"grounded:{dino_folder}+{folder}", CPU)
    scores = segmenter.detector.detect(frames[0], ["the red dog"], 0.0).scores_N.sort(descending=True).values
    threshold = float(scores[2:4].mean())  # three boxes
    with VideoSession(Video.from_frames(frames, fps=3), segmenter) as session:
        (result,) = session.segment("the red dog", box_threshold=threshold, recheck_seconds=60).results

    detector = GroundingDinoForObjectDetection.from_pretrained(dino_folder).eval()
    processor = segmenter.detector.processor
    inputs = processor(images=frames[0], text="the red dog.", return_tensors="pt")
    with torch.inference_mode():
        outputs = detector(**inputs)
    (found,) = processor.post_process_grounded_object_detection(outputs, threshold=threshold, target_sizes=[(37, 53)])
    order = found["scores"].argsort(descending=True)
    boxes = found["boxes"][order]
    model = model_class.from_pretrained(folder).eval()
    pixels = stretched(torch.from_numpy(frames), 64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    prompted = session_class(pixels, 37, 53, dtype=torch.float32)
    BoxScaling().process_new_points_or_boxes_for_video_frame(prompted, 0, [0, 1, 2], input_boxes=[boxes.tolist()])
    lowres = model(prompted, frame_idx=0).pred_masks
    masks = functional.interpolate(lowres, size=(37, 53), mode="bilinear")[:, 0] > 0
    tracked = session_class(pixels, 37, 53, dtype=torch.float32)
    BoxScaling().process_new_mask_for_video_frame(tracked, 0, [0, 1, 2], list(masks))
    expected = {}
    for output in model.propagate_in_video_iterator(tracked, 0):
        logits = functional.interpolate(output.pred_masks, size=(37, 53), mode="bilinear")[:, 0]
        expected[output.frame_idx] = (logits > 0) & (logits.argmax(0) == torch.arange(3)[:, None, None])

    assert [masklet.obj_id for masklet in result.masklets] == [1, 2, 3]
    assert [masklet.presence for masklet in result.masklets] == pytest.approx(found["scores"][order].tolist())
    assert {masklet.phrase for masklet in result.masklets} == {"the red dog"}
    assert expected.keys() == set(range(9)) and all(masks_NHW.any() for masks_NHW in expected.values())
    for t, masks_NHW in expected.items():
        for masklet, mask_HW in zip(result.masklets, masks_NHW, strict=True):
            assert np.array_equal(masklet.rle_T[t].decode(), mask_HW.numpy()), f"frame {t}, object {masklet.obj_id}"


@pytest.mark.slow
def test_memory_is_flat_over_500_frames(dino_folder, sam2_folder):
    """Bytes of all tensors that are alive at a step, late and early in the video."""
    import gc

    segmenter = load_model(f"grounded:{dino_folder}+{sam2_folder}", CPU)
    alive: list[int] = []

    def count(*_):
        if len(alive) % 50 == 0:
            gc.collect()
            alive.append(sum(item.nbytes for item in gc.get_objects() if isinstance(item, torch.Tensor)))
        else:
            alive.append(0)

    segmenter.tracker.model.register_forward_hook(count)
    still = np.random.default_rng(5).integers(0, 256, (1, 37, 53, 3), np.uint8)
    video = Video.from_frames(np.broadcast_to(still, (500, 37, 53, 3)), fps=3)
    with VideoSession(video, segmenter, budget_bytes=0) as session:
        session.segment("dog", answer="forced", box_threshold=1.0, recheck_seconds=1000)
    assert len(alive) >= 500
    early, late = max(alive[100:200]), max(alive[400:500])
    print(f"tensors alive: {early} bytes around frame 150, {late} around frame 450")
    assert late == early > 0


# -- the rule ----------------------------------------------------------------------------------------------------------------------------


def test_the_detector_looks_at_the_first_frame_and_every_few_seconds():
    result = ask(drawn(("red", range(24), 10)), "red", recheck_seconds=2.0)
    assert result.notes["checked_frames"] == [0, 8, 16]
    assert [frames_with(masklet) for masklet in result.masklets] == [list(range(24))]
    assert (result.text, result.masklets[0].presence) == ("red: 1", pytest.approx(0.9))


def test_what_comes_later_is_found_at_the_next_look_and_tracked_back_to_where_it_came():
    result = ask(drawn(("red", range(24), 10), ("red", range(5, 24), 50)), "red", recheck_seconds=2.0)
    assert [frames_with(masklet) for masklet in result.masklets] == [list(range(24)), list(range(5, 24))]
    assert [masklet.obj_id for masklet in result.masklets] == [1, 2]
    assert result.notes["reference_frames"] == [0, 8]


def test_where_a_track_ends_the_detector_looks_and_what_returns_keeps_its_id():
    """Red leaves at frame 3 and is back, elsewhere, from frame 12 on; it is looked for at 3 and again at 12."""
    result = ask(drawn(("red", range(3), 10), ("red", range(12, 24), 60)), "red", recheck_seconds=3.0)
    assert result.notes["checked_frames"] == [0, 3, 12]
    (masklet,) = result.masklets
    assert masklet.obj_id == 1 and set(frames_with(masklet)) >= {0, *range(12, 24)}
    assert not masklet.rle_T[5].area


def test_a_track_that_drifted_away_goes_on_from_the_box_that_shows_its_object():
    """At frame 8 red is suddenly far to the right; the tracker stays where it was."""

    class Stubborn(ColourTracker):
        def propagate(self, video, reference_masks, features=None):
            for frame in super().propagate(video, reference_masks):
                last = reference_masks[max(t for t in reference_masks if t <= max(frame.frame_idx, min(reference_masks)))]
                yield FrameMasks(frame.frame_idx, last.bool(), torch.ones(len(last)))

    video = drawn(("red", range(8), 10), ("red", range(8, 24), 60))
    with VideoSession(video, GroundedSegmenter(ColourDetector(), Stubborn())) as session:
        (result,) = session.segment("red", recheck_seconds=2.0).results
    (masklet,) = result.masklets
    assert masklet.rle_T[0].box() == (10, 5, 20, 15) and masklet.rle_T[20].box() == (60, 5, 70, 15)
    assert result.notes["reference_frames"] == [0, 8]


def test_several_phrases_are_one_pass_and_keep_their_words():
    segmenter = GroundedSegmenter(ColourDetector(), ColourTracker())
    with VideoSession(drawn(("red", range(24), 10), ("green", range(24), 40)), segmenter) as session:
        (result,) = session.segment("green; red; blue", recheck_seconds=60).results
    assert segmenter.detector.calls == [("green", "red", "blue")]
    assert [(masklet.phrase, masklet.rle_T[0].box()) for masklet in result.masklets] == [
        ("green", (40, 5, 50, 15)),
        ("red", (10, 5, 20, 15)),
    ]


def test_nothing_found_is_said_and_forced_takes_the_best():
    video = drawn(("red", range(24), 10))
    assert ask(video, "blue").text == "not in this video" and ask(video, "blue").masklets == ()
    assert ask(video, "red", box_threshold=0.95).masklets == ()
    (forced,) = ask(video, "red", box_threshold=0.95, answer="forced").masklets
    assert forced.presence == pytest.approx(0.9) and frames_with(forced) == list(range(24))


def test_at_most_so_many_objects():
    video = drawn(("red", range(24), 0), ("red", range(24), 30), ("red", range(24), 60))
    assert len(ask(video, "red").masklets) == 3
    assert len(ask(video, "red", max_objects=2).masklets) == 2


def test_a_question_is_refused_before_any_frame_is_looked_at():
    segmenter = GroundedSegmenter(ColourDetector(), ColourTracker())
    with VideoSession(drawn(), segmenter) as session, pytest.raises(ConfigError, match="is a question"):
        session.segment(["red", "which one moves?"])
    assert segmenter.detector.calls == []


# -- in a session ------------------------------------------------------------------------------------------------------------------------


def test_another_tracker_starts_from_its_masks():
    segmenter = GroundedSegmenter(ColourDetector(), ColourTracker())
    with VideoSession(drawn(("red", range(12), 10)), segmenter, load_tracker("hold", CPU)) as session:
        (result,) = session.segment("red").results
    assert result.notes["tracker"] == "hold" and frames_with(result.masklets[0]) == list(range(24))


def test_refine_uses_its_own_tracker_if_none_is_named():
    segmenter = GroundedSegmenter(ColourDetector(), ColourTracker(reach=0))
    with VideoSession(drawn(("red", range(24), 10), ("red", range(24), 40)), segmenter) as session:
        before = session.segment("red")
        corrected = np.zeros((20, 80), dtype=bool)
        corrected[5:15, 40:50] = True
        after = session.refine(12, corrected, obj_id=1)
    first, second = after.results[0].masklets
    assert first.rle_T[0].box() == (10, 5, 20, 15) and first.rle_T[20].box() == (40, 5, 50, 15)
    assert second.rle_T[20].box() == before.results[0].masklets[1].rle_T[20].box()


def test_stream_gives_the_same_masks_frame_by_frame():
    video = drawn(("red", range(24), 10), ("green", range(24), 40))
    segmenter = GroundedSegmenter(ColourDetector(), ColourTracker())
    with VideoSession(video, segmenter) as session:
        streamed = list(session.stream("red; green"))
        prediction = session.segment("red; green")
    assert [result.frame_idx for result in streamed] == list(range(24))
    for result in streamed:
        assert np.array_equal(result.masks_NHW, prediction.masks(result.frame_idx))


def test_causal_streams_look_at_no_later_frame():
    """Asked at frames 0, 8 and 16; green comes at frame 5. What frames 0 ... 11 give is the same if the video ends there."""

    def streamed(num_frames: int) -> list:
        video = drawn(("red", range(num_frames), 10), ("green", range(5, num_frames), 40), num_frames=num_frames)
        with VideoSession(video, GroundedSegmenter(ColourDetector(), ColourTracker())) as session:
            return list(session.stream("red; green", causal=True, ask_every=2.0))

    whole, cut = streamed(24), streamed(12)
    assert [result.frame_idx for result in whole] == list(range(24))
    for full, early in zip(whole, cut, strict=False):
        assert full.obj_ids == early.obj_ids and np.array_equal(full.masks_NHW, early.masks_NHW)
    boxes = [[rle.box() for rle in result.rles] for result in whole]
    assert boxes[:8] == [[(10, 5, 20, 15)]] * 8 and boxes[8:] == [[(10, 5, 20, 15), (40, 5, 50, 15)]] * 16
    assert {result.obj_ids for result in whole} == {(1,), (1, 2)}


# -- names -------------------------------------------------------------------------------------------------------------------------------


def test_a_name_without_parts_is_refused(dino_folder):
    with pytest.raises(ConfigError, match=r"DETECTOR\+SEGMENTER"):
        load_model("grounded:", CPU)


def test_parts_are_reported(dino_folder, sam2_folder):
    segmenter = load_model(f"grounded:{dino_folder}+{sam2_folder}", CPU)
    assert segmenter.name == f"grounded:{dino_folder}+{sam2_folder}"
    assert {file.parent for file in segmenter.weights_files} == {dino_folder, sam2_folder}
