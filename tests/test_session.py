"""The session: every frame once and in order, at the video's size, whatever the chunks, the cache or the number of queries."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from saymask.api import open_video
from saymask.errors import ConfigError, VideoError
from saymask.models.parts.visual import sparse_dense_tokens
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.options import VideoLisaOptions
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.prompts import FORCED_ANSWER, chat, phrase
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.records import Video
from saymask.session import VideoSession
from saymask.session.view import CHUNK_FRAMES, CHUNKS_AHEAD
from saymask.training.tokenizer import train_tokenizer
from saymask.video.limits import ReadLimits

FORCED = VideoLisaOptions()
QUERIES = ["the red fish", "Where is the blue key?", "the thing on the far left"]


@pytest.fixture(scope="module")
def segmenter():
    tokenizer = train_tokenizer([chat(phrase(query), FORCED_ANSWER, "") for query in QUERIES], vocab_size=400)
    torch.manual_seed(0)
    config = VideoLisaConfig.debug(seg_token_id=tokenizer.convert_tokens_to_ids("[SEG]"))
    return VideoLisaSegmenter(VideoLisaModel(config), VideoLisaProcessor(tokenizer, config), name="debug")


def noise_video(num_frames=20, height=36, width=48):
    frames = np.random.default_rng(0).integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)
    return Video.from_frames(frames)


def counting(video):
    """The same video, with a log of which frames were read."""
    reads = []

    def read(frame_idx):
        reads.append(list(frame_idx))
        return video.read(frame_idx)

    fields = {name: getattr(video, name) for name in ("name", "source", "height", "width", "timestamps_T", "duration", "frame_names")}
    return Video(**fields, read=read), reads


def masks(prediction):
    return np.stack([prediction.masks(i) for i in range(prediction.video.num_frames)])


def test_a_mask_for_every_frame_at_native_size(segmenter):
    video = noise_video(2 * CHUNK_FRAMES + 3, 37, 53)
    with VideoSession(video, segmenter) as session:
        prediction = session.segment(QUERIES[0])
    assert masks(prediction).shape == (19, 1, 37, 53)
    assert prediction.results[0].text == FORCED_ANSWER
    assert prediction.results[0].notes["reference_frames"] == [1, 6]


def test_masks_equal_a_direct_pass_frame_by_frame(segmenter):
    video = noise_video()
    with VideoSession(video, segmenter) as session:
        prediction = session.segment(QUERIES[0])
        (answer,) = segmenter.reason(session, [QUERIES[0]], FORCED)
    for i in range(video.num_frames):
        features = segmenter.encode_image(video.frames([i]))
        logits_NHW = segmenter.decode(features, [i], video, [answer]).full_size(0)
        assert np.array_equal(prediction.masks(i), (logits_NHW > 0).numpy())
        masklet = prediction.results[0].masklets[0]
        inside = logits_NHW[0][logits_NHW[0] > 0].sigmoid()
        assert masklet.frame_scores_T[i] == pytest.approx(inside.mean().item() if len(inside) else 0.0, rel=1e-5)


def test_several_queries_in_one_call_equal_one_call_each(segmenter):
    video = noise_video()
    with VideoSession(video, segmenter) as session:
        together = masks(session.segment(QUERIES))
        alone = np.concatenate([masks(session.segment(query)) for query in QUERIES], axis=1)
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("budget", [0, 10_000, 2**20], ids=["nothing", "some", "everything"])
def test_the_cache_changes_speed_only_and_keeps_to_its_budget(segmenter, budget):
    reference = masks(VideoSession(noise_video(), segmenter).segment(QUERIES[0]))
    video, reads = counting(noise_video())
    with VideoSession(video, segmenter, budget_bytes=budget) as session:
        first = masks(session.segment(QUERIES[0]))
        used, kept = session._budget.used, [len(cache._rows) for cache in session._of_frames.values()]
        reads.clear()
        second = masks(session.segment(QUERIES[0]))
    assert np.array_equal(first, reference)
    assert np.array_equal(second, reference)
    assert used <= budget
    read = sorted(i for frame_idx in reads for i in frame_idx)
    assert {0: kept == [0, 0] and len(read) > 20, 10_000: 0 < len(read) <= 20, 2**20: read == []}[budget]


def test_tokens_features_and_readings_share_one_budget(segmenter):
    with VideoSession(noise_video(), segmenter) as session:
        session.segment(QUERIES[0])
        tokens, features = (4 * 4 * 32 * 4, 20 * 16 * 4 * 4 * 4)  # frames, values of a frame, bytes of a value
        (prefix,) = session._recalled._kept.values()
        assert session._budget.used == tokens + features + prefix.nbytes


def test_large_frames_come_one_at_a_time_and_small_ones_in_chunks(segmenter):
    for height, width, expected in ((36, 48, (CHUNK_FRAMES, CHUNKS_AHEAD)), (5000, 5000, (1, 1)), (8192, 8192, (1, 0))):
        session = VideoSession(replace(noise_video(2), height=height, width=width), segmenter)
        assert (session._chunk_frames, session._chunks_ahead) == expected


def test_a_stream_gives_what_segment_collects(segmenter):
    video = noise_video()
    with VideoSession(video, segmenter) as session:
        prediction = session.segment(QUERIES)
        frames = list(session.stream(QUERIES))
        assert [answer.text for answer in session.answers] == [result.text for result in prediction.results]
    assert [frame.frame_idx for frame in frames] == list(range(20))
    for frame in frames:
        assert (frame.queries, frame.obj_ids) == (tuple(QUERIES), (1, 1, 1))
        assert np.array_equal(frame.masks_NHW, prediction.masks(frame.frame_idx))
        assert frame.boxes == [boxes[frame.frame_idx] for boxes in prediction.boxes()]
        assert frame.scores_N.tolist() == [masklet.frame_scores_T[frame.frame_idx] for _, masklet in prediction.objects()]


def test_a_session_in_use_says_so_and_is_free_again_after_the_stream(segmenter):
    with VideoSession(noise_video(), segmenter) as session:
        stream = session.stream(QUERIES[0])
        next(stream)
        for use in (lambda: session.segment(QUERIES[0]), lambda: next(session.stream(QUERIES[0]))):
            with pytest.raises(ConfigError, match="the session of frames is in use by another call"):
                use()
        stream.close()
        assert session.segment(QUERIES[0]).video.num_frames == 20


def test_closing_while_another_thread_decodes_ends_its_call_with_an_error(segmenter):
    started, closed = threading.Event(), threading.Event()
    video = noise_video(10 * CHUNK_FRAMES)

    def read(frame_idx):
        if frame_idx[0] >= 4 * CHUNK_FRAMES:
            started.set()
            assert closed.wait(20)
        return video.read(frame_idx)

    session = VideoSession(replace(video, read=read), segmenter, budget_bytes=0)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(session.segment, QUERIES[0])
        assert started.wait(20)
        closing = threading.Thread(target=session.close)
        closing.start()
        closed.set()
        with pytest.raises(ConfigError, match="the session of frames is closed"):
            asked.result(20)
        closing.join(20)
    assert not closing.is_alive()


def test_limits_of_an_opened_video_are_respected(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "image.png")
    with pytest.raises(VideoError, match="40x30"):
        open_video(tmp_path / "image.png", limits=ReadLimits(max_pixels=1000))


def test_an_unknown_option_is_answered_with_the_one_that_was_meant(segmenter):
    with VideoSession(noise_video(), segmenter) as session, pytest.raises(ConfigError, match="'tempalte'; did you mean 'template'"):
        session.segment(QUERIES[0], tempalte="raw")


@pytest.mark.parametrize("answer", ["forced", "generate"])
def test_groups_of_any_size_give_the_same_answers(segmenter, monkeypatch, answer):
    rows = []
    read_suffix = VideoLisaModel.read_suffix
    monkeypatch.setattr(VideoLisaModel, "read_suffix", lambda self, *inputs: rows.append(len(inputs[1])) or read_suffix(self, *inputs))
    answers = []
    for budget in (0, 2**24):
        with VideoSession(noise_video(), segmenter, budget_bytes=budget) as session:
            answers.append(segmenter.reason(session, [*QUERIES, QUERIES[0]], VideoLisaOptions(answer=answer)))
    lengths = Counter(segmenter.processor.to_inputs([query], answer="generate").shape[1] for query in [*QUERIES, QUERIES[0]])
    assert len(lengths) > 1
    assert rows == [1, 1, 1, 1, *([4] if answer == "forced" else [lengths[length] for length in sorted(lengths)])]
    for alone, together in zip(*answers, strict=True):
        assert alone.text == together.text
        assert len(alone.objects) == len(together.objects)
        for one, other in zip(alone.objects, together.objects, strict=True):
            assert torch.allclose(one.prompt_KC, other.prompt_KC, atol=1e-4)


def test_the_video_is_read_once_for_all_calls(segmenter, monkeypatch):
    reads = []
    for owner, name in ((segmenter.model.visual, "forward"), (segmenter.model, "read_prefix")):
        method = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *inputs, name=name, method=method: reads.append(name) or method(*inputs))
    with VideoSession(noise_video(), segmenter) as session:
        first = segmenter.reason(session, [QUERIES[0]], FORCED)[0].objects[0].prompt_KC
        again = segmenter.reason(session, [QUERIES[0]], FORCED)[0].objects[0].prompt_KC
        segmenter.reason(session, QUERIES, VideoLisaOptions(answer="generate"))
    assert reads == ["forward", "read_prefix"]
    assert torch.equal(first, again)


def test_a_reading_beyond_the_budget_is_not_kept(segmenter):
    made = []

    class Reading:
        nbytes = 100

    with VideoSession(noise_video(), segmenter, budget_bytes=99) as session:
        readings = [session.recall("video", lambda: made.append(0) or Reading()) for _ in range(2)]
    assert len(made) == 2 and readings[0] is not readings[1]
    with VideoSession(noise_video(), segmenter, budget_bytes=200) as session:
        first, again, second, third, first_again, second_anew = (session.recall(key, Reading) for key in "aabcab")
    assert first is again and second is not second_anew  # "b" was asked for longest ago when "c" needed room ...
    assert first_again is not first  # ... and "a" when "b" did
    assert third is not second


def test_frames_are_decoded_at_most_two_chunks_ahead(segmenter):
    video, reads = counting(noise_video(10 * CHUNK_FRAMES))
    with VideoSession(video, segmenter, budget_bytes=0) as session:
        session.segment(QUERIES[0])
        reads.clear()
        ahead = []
        for chunk, _ in session.feature_chunks():
            session._decode_thread.submit(lambda: None).result()  # everything asked for has been read now
            ahead.append(max(frame_idx[-1] for frame_idx in reads) - chunk[-1])
    assert max(ahead) == CHUNKS_AHEAD * CHUNK_FRAMES
    assert [i for frame_idx in reads for i in frame_idx] == list(range(10 * CHUNK_FRAMES))


def test_an_image_is_a_video_of_one_frame_encoded_once(segmenter):
    video, reads = counting(noise_video(1))
    with VideoSession(video, segmenter) as session:
        prediction = session.segment(QUERIES)
    assert masks(prediction).shape == (1, 3, 36, 48)
    assert reads == [[0], [0]]  # once for the tower, once for the mask encoder


@pytest.mark.parametrize("encoder", ["encode_vision", "encode_image"])
def test_an_image_goes_through_each_encoder_once_for_all_questions(segmenter, monkeypatch, encoder):
    encode, encoded = getattr(segmenter, encoder), []
    monkeypatch.setattr(segmenter, encoder, lambda frames: encoded.append(len(frames)) or encode(frames))
    with VideoSession(noise_video(1), segmenter) as session:
        session.segment(QUERIES)
        session.segment(QUERIES[0])
    assert encoded == [1]


def test_progress_reaches_the_end(segmenter):
    seen = []
    with VideoSession(noise_video(), segmenter) as session:
        session.segment(QUERIES[0], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 20) for i in range(1, 21)]


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([], 'no query given; say what to look for, e.g. "the red fish"'),
        (["the key", "  "], 'query 2 is empty; say what to look for, e.g. "the red fish"'),
    ],
)
def test_nothing_to_look_for(segmenter, queries, message):
    with VideoSession(noise_video(), segmenter) as session, pytest.raises(ConfigError) as caught:
        session.segment(queries)
    assert str(caught.value) == message


def test_seg_typed_by_the_user_is_not_the_answer(segmenter):
    with VideoSession(noise_video(), segmenter) as session:
        (reply,) = segmenter.reason(session, ["the [SEG] fish"], FORCED)
        chosen = segmenter.processor.choose_frames(20)
        tokens = session.recall_frames("tokens", chosen.sparse_frame_idx.tolist(), segmenter.encode_vision)
    ids = segmenter.processor.to_inputs(["the [SEG] fish"])
    hidden, spliced = segmenter.model.hidden_states(ids, sparse_dense_tokens(tokens[None], torch.from_numpy(chosen.dense_slots)[None]))
    states, _ = segmenter.model.seg_hidden(ids, hidden, spliced)
    typed, answered = segmenter.model.prompt_projector(states)
    (obj,) = reply.objects
    assert obj.prompt_KC.shape == (1, 16)
    assert torch.allclose(obj.prompt_KC[0], answered, atol=1e-6)
    assert not torch.allclose(typed, answered, atol=1e-6)


def test_a_query_beyond_the_models_context_is_refused(segmenter, monkeypatch):
    monkeypatch.setattr(segmenter.config.text_config, "max_position_embeddings", 30)
    needed = segmenter.processor.to_inputs([QUERIES[0]]).shape[1] - 1 + 12
    with VideoSession(noise_video(), segmenter) as session, pytest.raises(ConfigError) as caught:
        session.segment(QUERIES[0])
    assert str(caught.value) == f"the longest query needs {needed} tokens with the video's, model 'debug' reads at most 30; shorten it"


def test_a_closed_session_says_so(segmenter):
    session = VideoSession(noise_video(), segmenter)
    session.segment(QUERIES[0])
    session.close()
    for use in (
        lambda: session.segment(QUERIES[0]),
        lambda: session.refine(0, np.zeros((36, 48), bool)),
        lambda: next(session.stream("x")),
    ):
        with pytest.raises(ConfigError, match=r"^the session of frames is closed; open the video again$"):
            use()
