"""Loaded models of one device, and the editors of the sessions that were used last. Used by its worker's thread alone."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from saymask.exports.prediction_json import result_from_json, result_to_json
from saymask.models.choice import ModelForEach, drawn_for
from saymask.models.prompters.base import Prompter
from saymask.models.prompters.loading import load_prompter
from saymask.records import FrameResult, Prediction, Rle, Video
from saymask.runtime import Runtime
from saymask.session import Editor, VideoSession
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker
from saymask.video.coco_rle import read_rle
from saymask.video.masks import rle_to_coco

MAX_OPEN = 4
"""So many sessions are open at once; another one is opened again from what is stored."""
DRAWN_TRACKER, DRAWN_PROMPTER = "xmem++", "toy-prompter"
"""What carries and corrects objects of drawn videos unless others are named: their weights are in the package."""


class Engine:
    """Makes editors.

    Args:
        model: as for `load_model`, or "auto".
        tracker, prompter: names of `saymask list`; None = those in the package for drawn videos, none for others.
        runtime: where all of them compute.
    """

    def __init__(self, model: str, tracker: str | None, prompter: str | None, runtime: Runtime):
        self.model, self.tracker, self.prompter = model, tracker, prompter
        self._models = ModelForEach(model, runtime)
        self._runtime = runtime
        self._loaded: dict[tuple[str, str], Any] = {}
        self._open: OrderedDict[str, Editor] = OrderedDict()

    def editor(self, session_id: str, open_video: Callable[[], Video], state: str) -> Editor:
        """The editor of a session; opened from its stored state if it is not open.

        Raises:
            SaymaskError: the video or a model cannot be used.
        """
        if session_id not in self._open:
            video = open_video()
            session = VideoSession(video, self._models.for_video(video), self._tracker(video), runtime=self._runtime)
            self._open[session_id] = self._edited(session, state)
        self._open.move_to_end(session_id)
        while len(self._open) > MAX_OPEN:
            _, oldest = self._open.popitem(last=False)
            oldest.session.close()
        return self._open[session_id]

    def predict(self, video: Video, queries: Sequence[str], options: Mapping[str, Any]) -> Prediction:
        """Ask about a video, usually of one frame, that belongs to no session.

        Raises:
            SaymaskError: the video or a model cannot be used, or a query cannot be asked.
        """
        with VideoSession(video, self._models.for_video(video), self._tracker(video), runtime=self._runtime) as session:
            return session.segment(queries, **options)

    def go_back(self, session_id: str, state: str) -> None:
        """A session is what it was in this state, if it is open."""
        if editor := self._open.get(session_id):
            self._open[session_id] = self._edited(editor.session, state)

    def _edited(self, session: VideoSession, state: str) -> Editor:
        stored, video = json.loads(state), session.video
        size = (video.height, video.width)
        prediction = Prediction(video, tuple(result_from_json(result, size) for result in stored["results"]))
        given = {(entry["query"], entry["obj_id"], entry["frame_idx"]): read_rle(entry["rle"]) for entry in stored["references"]}
        return Editor(session, self._prompter(video), prediction, given)

    def close(self, session_id: str) -> None:
        """Forget an editor; what is stored of it stays."""
        if editor := self._open.pop(session_id, None):
            editor.session.close()

    def _tracker(self, video: Video) -> Tracker | None:
        name = self.tracker or (DRAWN_TRACKER if drawn_for(video) else None)
        return self._once("tracker", name, load_tracker) if name else None

    def _prompter(self, video: Video) -> Prompter | None:
        name = self.prompter or (DRAWN_PROMPTER if drawn_for(video) else None)
        return self._once("prompter", name, load_prompter) if name else None

    def _once(self, kind: str, name: str, load: Any) -> Any:
        if (kind, name) not in self._loaded:
            self._loaded[kind, name] = load(name, self._runtime)
        return self._loaded[kind, name]


def state_of(editor: Editor) -> str:
    """Everything of a session that is stored, as JSON: results with all masks, and the masks that were given."""
    references = [
        {"query": query, "obj_id": obj_id, "frame_idx": frame_idx, "rle": rle_to_coco(rle)}
        for (query, obj_id), obj in editor.objects.items()
        for frame_idx, rle in obj.references.items()
    ]
    return json.dumps({"results": [result_to_json(result) for result in editor.prediction().results], "references": references})


def frame_to_json(result: FrameResult) -> dict[str, Any]:
    """One frame's masks: COCO's compressed run lengths, boxes x0 y0 x1 y1."""
    of_each = zip(result.queries, result.obj_ids, result.rles, result.scores_N, strict=True)
    return {"frame_idx": result.frame_idx, "objects": [object_to_json(*found) for found in of_each]}


def object_to_json(query: str, obj_id: int, rle: Rle, score: float) -> dict[str, Any]:
    """One object on one frame."""
    return {"query": query, "obj_id": obj_id, "score": round(float(score), 4), "box": rle.box(), "rle": rle_to_coco(rle)}
