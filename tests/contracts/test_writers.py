"""What every output format promises, whatever it writes."""

from pathlib import Path

import numpy as np
import pytest

from saymask.errors import VideoError
from saymask.lookup import WRITERS, resolve
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video

HEIGHT, WIDTH = 33, 47


def masklet(obj_id: int, num_frames: int) -> Masklet:
    """A block that moves right and is gone on the last frame of a video."""
    rles = []
    for i in range(num_frames):
        mask_HW = np.zeros((HEIGHT, WIDTH), bool)
        if num_frames == 1 or i < num_frames - 1:
            mask_HW[5:15, 3 * i + obj_id : 3 * i + obj_id + 12] = True
        rles.append(Rle.encode(mask_HW))
    return Masklet(obj_id, tuple(rles), np.full(num_frames, 0.5))


def prediction(num_frames: int, *queries: tuple[str, int]) -> Prediction:
    """Queries with so many objects each."""
    frames_THWC = np.random.default_rng(3).integers(0, 255, (num_frames, HEIGHT, WIDTH, 3), np.uint8)
    results = tuple(QueryResult(text, "[SEG]", tuple(masklet(i + 1, num_frames) for i in range(count))) for text, count in queries)
    return Prediction(Video.from_frames(frames_THWC, "clip", fps=10.0), results)


CASES = {
    "video with two queries": (4, ("the red fish", 1), ("all the keys", 2)),
    "image": (1, ("the red fish", 1)),
    "nothing found": (3, ("the unicorn", 0)),
    "no letters a file name can hold": (2, ("魚 / ../?", 1), ("?!", 1)),
    "the same query twice": (2, ("fish", 1), ("fish", 1)),
    "a long query": (2, ("which of the things that move is the one that " * 20, 1)),
}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_format_writes_one_thing_into_its_folder_and_never_over_it(name, case, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    writer = resolve(name, "format")
    written = writer(prediction(*case), folder)
    assert [path for path in tmp_path.iterdir()] == [folder]
    assert [path for path in folder.iterdir()] == [written], "one file or folder, and no draft beside it"
    before = content(folder)
    with pytest.raises(VideoError, match="already exists and is not overwritten"):
        writer(prediction(*case), folder)
    assert content(folder) == before


@pytest.mark.parametrize("name", WRITERS)
def test_a_format_gives_the_same_bytes_for_the_same_prediction(name, tmp_path):
    contents = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        resolve(name, "format")(prediction(3, ("the red fish", 1)), tmp_path / run)
        contents.append(content(tmp_path / run))
    assert contents[0] == contents[1]
    assert sum(map(len, contents[0].values())) > 0


class Interrupted(Rle):
    """A mask during whose use somebody presses Ctrl-C."""

    @property
    def counts(self) -> np.ndarray:
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_that_is_stopped_at_the_last_frame_leaves_nothing(name, tmp_path):
    last = object.__new__(Interrupted)
    vars(last).update(height=HEIGHT, width=WIDTH)
    whole = prediction(4, ("the red fish", 1))
    thing = whole.results[0].masklets[0]
    stopped = Masklet(1, (*thing.rle_T[:-1], last), thing.frame_scores_T)
    with pytest.raises(KeyboardInterrupt):
        resolve(name, "format")(Prediction(whole.video, (QueryResult("the red fish", "", (stopped,)),)), tmp_path)
    assert list(tmp_path.iterdir()) == []
