"""XMem and XMem++ on videos: which frames and objects they answer for, what they share and hold, and how they are loaded.

What every tracker owes its caller is in `tests/contracts/test_trackers.py`; that the masks are those of the published programs,
in `test_golden.py`.
"""

import json

import numpy as np
import pytest
import torch

from saymask.errors import CheckpointError, UnknownName
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.trackers.base import FrameMasks
from saymask.trackers.loading import load_tracker
from saymask.trackers.xmem import tracker as xmem_module
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.core import XMemCore
from saymask.trackers.xmem.memory import Memory
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.tracker import XMemTracker, long_term_rules
from saymask.trackers.xmem.weights import save_xmem
from saymask.video.sampling import sparse_dense

CPU = Runtime("cpu", "float32")
H, W = 32, 48


def debug_network(**changes) -> XMemNetwork:
    torch.manual_seed(3)
    return XMemNetwork(XMemConfig.debug(**changes)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def plain() -> XMemTracker:
    return XMemTracker(debug_network(), "xmem", learns_first=False)


@pytest.fixture(scope="module")
def permanent() -> XMemTracker:
    return XMemTracker(debug_network(), "xmem++", learns_first=True)


def noise_video(num_frames: int) -> Video:
    return Video.from_frames(np.random.default_rng(num_frames).integers(0, 256, (num_frames, H, W, 3), np.uint8))


def boxes(*lefts: int | None, value: float = 1.0) -> torch.Tensor:
    """An object per number, 12 pixels wide from that column on, each in its own rows; None = absent."""
    masks_NHW = torch.zeros(len(lefts), H, W)
    for n, left in enumerate(lefts):
        if left is not None:
            masks_NHW[n, 10 * n : 10 * n + 9, left : left + 12] = value
    return masks_NHW


def track(tracker: XMemTracker, num_frames: int, references: dict[int, torch.Tensor]) -> dict[int, FrameMasks]:
    return {result.frame_idx: result for result in tracker.propagate(noise_video(num_frames), references)}


def same(one: FrameMasks, other: FrameMasks) -> bool:
    return torch.equal(one.masks_NHW, other.masks_NHW) and torch.equal(one.scores_N, other.scores_N)


def test_plain_xmem_goes_forwards_then_backwards_and_permanent_once_through(plain, permanent):
    references = {5: boxes(3), 2: boxes(3)}
    assert list(track(plain, 8, references)) == [2, 3, 4, 5, 6, 7, 1, 0]
    assert list(track(permanent, 8, references)) == list(range(8))


def test_references_come_back_as_they_were_given(plain, permanent):
    references = {1: boxes(3, 20), 4: boxes(8, 25)}
    for tracker in (plain, permanent):
        results = track(tracker, 6, references)
        for frame_idx, masks_NHW in references.items():
            assert torch.equal(results[frame_idx].masks_NHW, masks_NHW > 0)
            assert results[frame_idx].scores_N.tolist() == pytest.approx([1, 1], abs=1e-4)


def test_the_score_is_the_mean_probability_of_the_soft_mask_after_aggregation(permanent):
    """One object with p = 0.8: odds 4 against 1/4, so 16/17. Where p = 0.3 the background wins."""
    soft_1HW = boxes(3, value=0.8) + boxes(30, value=0.3)
    result = track(permanent, 2, {0: soft_1HW})[0]
    assert torch.equal(result.masks_NHW, soft_1HW > 0.5)
    assert result.scores_N.item() == pytest.approx(16 / 17, abs=1e-5)


def test_permanent_references_act_on_frames_before_them_plain_ones_do_not(plain, permanent):
    for tracker, acts in ((permanent, True), (plain, False)):
        one, two = track(tracker, 8, {1: boxes(3)}), track(tracker, 8, {1: boxes(3), 6: boxes(30)})
        assert any(not same(one[i], two[i]) for i in (0, 2, 3, 4, 5)) == acts
        assert any(not same(one[i], two[i]) for i in (6, 7))


def test_a_late_object_is_nowhere_before_plain_xmem_meets_it(plain):
    results = track(plain, 8, {2: boxes(3, None), 5: boxes(None, 20)})
    for i in (0, 1, 2, 3, 4):
        assert not results[i].masks_NHW[1].any() and results[i].scores_N[1] == 0
    assert torch.equal(results[5].masks_NHW[1], boxes(None, 20)[1] > 0)
    first_alone = track(plain, 8, {2: boxes(3)})
    assert all(torch.equal(results[i].masks_NHW[0], first_alone[i].masks_NHW[0]) for i in (0, 1, 2, 3, 4))


def test_an_absent_object_is_believed_absent_by_permanent_and_predicted_by_plain(monkeypatch, plain, permanent):
    trusted, step = [], XMemCore.step

    def watched(core, frame, given, last):
        trusted.append(None if given is None else given.trusted_N.tolist())
        return step(core, frame, given, last)

    monkeypatch.setattr(XMemCore, "step", watched)
    references = {0: boxes(3, 20), 2: boxes(3, None)}
    track(plain, 4, references)
    assert trusted == [[True, True], None, [True, False], None]
    trusted.clear()
    results = track(permanent, 4, references)
    assert trusted == [[True, True], None, [True, True], None]
    assert not results[2].masks_NHW[1].any()


def test_a_reference_without_any_object_teaches_permanent_the_background_and_plain_nothing(monkeypatch, plain, permanent):
    """The objects that it does not show must be known: where the earliest reference is empty, the earliest one with an object leads."""
    learnt, learn = [], XMemCore.learn

    def watched(core, frame, masks_NHW):
        learnt.append(masks_NHW.flatten(1).any(1).tolist())
        learn(core, frame, masks_NHW)

    monkeypatch.setattr(XMemCore, "learn", watched)
    references = {2: boxes(3, None), 5: boxes(30, 20)}
    without = track(permanent, 9, references)
    assert learnt == [[True], [True, True]]
    for empty_idx, expected in (
        (0, [[True], [False], [True, True]]),
        (4, [[True], [False], [True, True]]),
        (7, [[True], [True, True], [False] * 2]),
    ):
        with_empty = {empty_idx: boxes(None, None), **references}
        learnt.clear()
        results = track(permanent, 9, with_empty)
        assert learnt == expected
        assert not results[empty_idx].masks_NHW.any()
        assert any(not same(results[i], without[i]) for i in (1, 3, 6, 8))
        for one, other in zip(track(plain, 9, references).values(), track(plain, 9, with_empty).values(), strict=True):
            assert same(one, other)


def test_objects_keep_the_callers_rows_whatever_order_they_are_met_in(plain, permanent):
    references = {1: boxes(None, 3, 20), 4: boxes(9, None, None), 6: boxes(9, 5, 25)}
    swapped = {i: masks_NHW[[2, 1, 0]] for i, masks_NHW in references.items()}
    for tracker in (plain, permanent):
        results, others = track(tracker, 8, references), track(tracker, 8, swapped)
        assert torch.equal(results[1].masks_NHW, references[1] > 0)
        assert torch.equal(results[6].masks_NHW, references[6] > 0)
        late = [torch.equal(results[i].masks_NHW[0], others[i].masks_NHW[2]) for i in range(8)]
        assert all(late), "objects 2 and 3 are met together, in another order; the late one is the same"


@pytest.mark.parametrize(("budget_bytes", "encodings"), [(2**30, 9), (0, 9 + 3 * 2 + 2)], ids=["everything", "the latest frame"])
def test_interleaved_propagations_encode_a_frame_once(permanent, monkeypatch, budget_bytes, encodings):
    """Without a budget each learns its two references for itself, which makes it encode frame 0 again."""
    calls = []
    encode_key = permanent.network.encode_key
    monkeypatch.setattr(permanent.network, "encode_key", lambda image: calls.append(None) or encode_key(image))
    video, queries = noise_video(9), [{2: boxes(left), 7: boxes(left + 5)} for left in (0, 10, 20)]
    features = permanent.features(video, budget_bytes)
    together = [list(results) for results in zip(*(permanent.propagate(video, query, features) for query in queries), strict=True)]
    assert len(calls) == encodings
    for query, results in zip(queries, zip(*together, strict=True), strict=True):
        assert all(same(one, other) for one, other in zip(results, permanent.propagate(video, query), strict=True))


def test_one_more_reference_later_encodes_nothing_again(permanent, monkeypatch):
    video = noise_video(9)
    features = permanent.features(video, 2**30)
    list(permanent.propagate(video, {2: boxes(3)}, features))
    monkeypatch.setattr(permanent.network, "encode_key", lambda image: pytest.fail("a frame was encoded again"))
    assert len(list(permanent.propagate(video, {2: boxes(3), 7: boxes(9)}, features))) == 9


@pytest.mark.parametrize("name", ["xmem", "xmem++"])
def test_stores_stay_bounded_over_a_long_video(name, monkeypatch):
    """Debug numbers: 6 elements a frame, working memory of 4 frames at most and 2 at least, 8 prototypes, 32 long-term elements."""
    tracker = XMemTracker(debug_network(mem_every=1), name, learns_first=name == "xmem++")
    sizes, read = [], Memory.read

    def watched(memory, *query):
        assert memory.rules.keep_first_frame == (name == "xmem")
        sizes.append([0 if store is None else len(store) for store in (memory.working, memory.long_term, memory.permanent)])
        return read(memory, *query)

    monkeypatch.setattr(Memory, "read", watched)
    results = track(tracker, 300, {0: boxes(3), 150: boxes(9)})
    assert len(results) == 300
    assert len(sizes) == 298
    frame = (H // 16) * (W // 16)
    assert np.max(sizes, axis=0).tolist() == [3 * frame, 32, 2 * frame if name == "xmem++" else 0]
    assert np.all(np.array(sizes[150:])[:, 1] > 32 - 8)


def test_frames_are_scaled_to_the_configured_short_side_and_masks_come_back(monkeypatch):
    tracker = XMemTracker(debug_network(short_side=64), "xmem++", learns_first=True)
    seen, encode_key = [], tracker.network.encode_key
    monkeypatch.setattr(tracker.network, "encode_key", lambda image: seen.append(image.shape) or encode_key(image))
    results = track(tracker, 2, {0: boxes(3)})
    assert set(seen) == {(1, 3, 64, 96)}
    assert torch.equal(results[0].masks_NHW, boxes(3) > 0)


def test_half_precision_tracks_the_whole_video():
    tracker = XMemTracker(debug_network().to(torch.bfloat16), "xmem++", learns_first=True)
    assert len(track(tracker, 12, {3: boxes(3, 20)})) == 12


@pytest.mark.parametrize(("num_frames", "counts"), [(20, True), (19, False)])
def test_long_term_usage_is_counted_if_the_video_can_fill_the_store(num_frames, counts):
    """If every frame were remembered: 20 frames / (10 - 5) * 8 prototypes = 32 elements."""
    config = XMemConfig(num_prototypes=8, max_long_term_elements=32)
    rules = long_term_rules(config, num_frames, keep_first_frame=True)
    assert rules is not None and rules.count_usage == counts
    assert long_term_rules(XMemConfig(enable_long_term=False), num_frames, keep_first_frame=True) is None


def test_references_of_videolisas_post_optimisation_are_the_dense_frames(golden):
    table = json.loads((golden / "units" / "reference_frame_selection.json").read_text())
    for num_sparse in (32, 50):
        cases = table[f"selected_{num_sparse}_4"]
        assert len(cases) > 50
        for num_frames, selected in cases.items():
            chosen = sparse_dense(int(num_frames), num_sparse, num_dense=4)
            assert chosen.dense_frame_idx.tolist() == selected, num_frames
            assert chosen.dense_slots.tolist() == table[f"dense_of_{num_sparse}_4"]
    for num_frames, sparse in table["sparse"].items():
        chosen = sparse_dense(int(num_frames), num_sparse=32, num_dense=8)
        assert chosen.sparse_frame_idx.tolist() == sparse
        assert chosen.dense_slots.tolist() == table["dense_of_32_8"]


def test_a_saved_network_is_loaded_under_both_names(tmp_path):
    save_xmem(debug_network(), tmp_path / "weights", torch.float32)
    for name in ("xmem", "xmem++"):
        tracker = load_tracker(name, CPU, tmp_path / "weights")
        assert tracker.name == name
        assert tracker.weights_files == (tmp_path / "weights" / "model.safetensors",)
        results = tracker.propagate(noise_video(6), {1: boxes(3), 4: boxes(9)})
        expected = XMemTracker(debug_network(), name, learns_first=name == "xmem++").propagate(noise_video(6), {1: boxes(3), 4: boxes(9)})
        assert all(same(one, other) for one, other in zip(results, expected, strict=True))


def test_published_weights_have_the_published_cadence(tmp_path, monkeypatch):
    (tmp_path / "XMem.pth").touch()
    monkeypatch.setattr(xmem_module, "load_xmem", lambda path, runtime: XMemNetwork(XMemConfig.debug(mem_every=10)))
    for name, mem_every in (("xmem", 5), ("xmem++", 10)):
        tracker = load_tracker(name, CPU, tmp_path / "XMem.pth")
        assert tracker.config.mem_every == mem_every
        assert tracker.weights_files == (tmp_path / "XMem.pth",)


def test_an_installation_without_bundled_weights_says_what_to_give(tmp_path, monkeypatch):
    monkeypatch.setattr(xmem_module, "TOY_WEIGHTS", tmp_path / "xmem-toy")
    with pytest.raises(CheckpointError) as caught:
        load_tracker("xmem++", CPU)
    assert str(caught.value) == (
        f"{tmp_path / 'xmem-toy'}: this installation has no bundled tracker weights; "
        "--tracker-weights XMem.pth takes the published weights (https://github.com/hkchengrex/XMem/releases)"
    )


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownName, match=r"^unknown tracker 'xmen'; did you mean 'xmem'\?$"):
        load_tracker("xmen", CPU)


def test_a_tracker_of_drawn_scenes_warns_on_other_videos():
    tracker = XMemTracker(debug_network(domain_tag="saymask-toyworld"), "xmem", learns_first=False)
    frames = np.zeros((1, 16, 16, 3), np.uint8)
    assert tracker.notice(Video.from_frames(frames, comment="saymask-toyworld")) is None
    assert tracker.notice(Video.from_frames(frames)) == (
        "tracker 'xmem' was trained on drawn scenes; "
        "--tracker-weights XMem.pth takes the published weights (https://github.com/hkchengrex/XMem/releases)"
    )
