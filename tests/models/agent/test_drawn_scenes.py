"""The loops are right when their parts are: with parts that see drawn scenes as they were drawn, attribute questions are answered.

The scenes are those of the split `val`, on which nothing of `grounded` or `agent` was chosen.
"""

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scripted_server import Say, scripted_server
from toy_parts import OutlineTracker, SceneDetector, SceneTracker

from saymask.metrics.region_contour import video_scores
from saymask.models.agent.segmenter import AgentSegmenter
from saymask.models.agent.server import ServerModel
from saymask.models.grounded.segmenter import GroundedSegmenter
from saymask.models.parts.own_tracks import BoxTracker
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.toyworld.dataset import ToySample, load_toyworld
from saymask.trackers.loading import load_tracker

RECHECK = {"recheck_seconds": 0.5}
"""A clip lasts two seconds."""


def scenes() -> Iterator[ToySample]:
    """25 attribute questions: every eighth of a split is one."""
    for index in range(0, 200, 8):
        sample = load_toyworld(None, "val")[index]
        assert sample.expression.tags["family"] == "attribute"
        yield sample


def j_and_f(sample, result) -> float:
    """Mean J&F over the video, in percent."""
    T = sample.video.num_frames
    masks_THW = np.stack([result.mask(t) if result.masklets else np.zeros_like(sample.masks_THW[t]) for t in range(T)])
    j_T, f_T = video_scores(masks_THW, sample.masks_THW)
    return float(100 * (j_T.mean() + f_T.mean()) / 2)


def bundled(sample: ToySample) -> OutlineTracker:
    return OutlineTracker(sample, load_tracker("xmem++", Runtime("cpu", "float32")))


def phrase_of(text: str, sample) -> str:
    """The kind alone: which of its colours is meant is left to be verified."""
    kinds = {kind for _, kind in sample.region_words}
    return next(word for word in text.lower().replace(".", "").replace("?", "").split() if word in kinds)


@pytest.mark.parametrize(
    ("make_tracker", "overlooks"),
    [(SceneTracker, 0.0), (SceneTracker, 0.3), pytest.param(bundled, 0.0, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
    ids=["loop alone", "detector misses 30 %", "bundled tracker"],
)
def test_a_detector_that_sees_the_scene_lets_grounded_answer(make_tracker: Callable[[ToySample], BoxTracker], overlooks: float):
    scores = []
    for sample in scenes():
        segmenter = GroundedSegmenter(SceneDetector(sample, overlooks), make_tracker(sample))
        with VideoSession(sample.video, segmenter) as session:
            colour, kind = sample.region_words[sample.expression.obj_ids[0] - 1]
            scores.append(j_and_f(sample, session.segment(f"{colour} {kind}", **RECHECK).results[0]))
    print(f"grounded J&F {np.mean(scores):.1f} of {len(scores)} scenes, lowest {min(scores):.1f}")
    assert len(scores) == 25 and np.mean(scores) >= 80


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("make_tracker", [SceneTracker, bundled], ids=["loop alone", "bundled tracker"])
def test_a_model_that_sees_the_scene_lets_the_agent_answer(loopback, make_tracker: Callable[[ToySample], BoxTracker]):
    """It proposes the kind, so that all colours are candidates, and accepts the track that lies on what is meant."""
    scores = []
    for sample in scenes():
        found = {}

        class Seen(GroundedSegmenter):
            def reason(self, view, queries, options):
                answers = super().reason(view, queries, options)
                found.update(dict(enumerate((obj for answer in answers for obj in answer.objects), start=1)))  # noqa: B023
                return answers

        def is_meant(obj) -> bool:
            truth = sample.masks_THW  # noqa: B023
            masks = np.stack([rle.decode() for rle, _ in obj.track_T])
            return bool((masks & truth).sum() > 0.3 * (masks | truth).sum())

        def see(request) -> Say:
            prompt = request["messages"][0]["content"][0]["text"]
            if "numbered" not in prompt:
                return Say(json.dumps({"targets": [{"phrase": phrase_of(sample.expression.text, sample)}]}))  # noqa: B023
            verdicts = [{"number": n, "verdict": "accept" if is_meant(obj) else "reject", "probability": 0.9} for n, obj in found.items()]  # noqa: B023
            return Say(json.dumps({"verdicts": verdicts}))

        with scripted_server(see) as server:
            segmenter = AgentSegmenter(ServerModel(server.address, "seeing"), Seen(SceneDetector(sample), make_tracker(sample)), "agent")
            with VideoSession(sample.video, segmenter) as session:
                (result,) = session.segment(sample.expression.text, cache=None, segmenter_options=RECHECK).results
        scores.append(j_and_f(sample, result))
        assert result.notes["calls"] == 2
    print(f"agent J&F {np.mean(scores):.1f} of {len(scores)} scenes, lowest {min(scores):.1f}")
    assert len(scores) == 25 and np.mean(scores) >= 80
