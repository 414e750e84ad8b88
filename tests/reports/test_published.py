"""Published results: they are read as printed, and what is printed is consistent in itself."""

from collections import Counter

import pytest

from saymask.errors import DataError
from saymask.lookup import DATASETS, resolve
from saymask.reports import published
from saymask.reports.published import CAVEATS, MEASURES, WHOLE, PublishedRow, all_published_rows, published_rows

ROUNDING = 0.0501
"""Half of the last printed digit, for a mean of two numbers that are rounded themselves."""

KNOWN_DEVIATIONS = {("OnlineRefer", "ref-davis17"), ("ViLLa", "ref-youtube-vos")}
"""Rows whose printed J&F is not the mean of the printed J and F, as their sources have them."""


def row_of(dataset: str, split: str, method: str, size: str, source: str):
    (row,) = [row for row in published_rows(dataset, split) if (row.method, row.size) == (method, size) and row.source.startswith(source)]
    return row


def test_a_row_is_read_as_it_is_printed():
    row = row_of("revos", "valid", "VISA (IT)", "Chat-UniVi-13B", "VISA")
    assert row.scores == {
        "referring": {"j": 55.6, "f": 59.1, "j_and_f": 57.4},
        "reasoning": {"j": 42.0, "f": 46.7, "j_and_f": 44.3},
        "overall": {"j": 48.8, "f": 52.9, "j_and_f": 50.9, "r_printed": 14.5},
    }
    assert (row.source, row.url, row.remark) == ("VISA, table of ReVOS", "https://arxiv.org/abs/2407.11325", "")


def test_the_splits_of_one_line_are_rows_of_their_own():
    video = row_of("mevis", "valid", "VISA", "13B", "VISA").scores[WHOLE]
    image = row_of("reasonseg", "test", "VideoLISA", "3.8B", "VideoLISA").scores
    assert video == {"j": 41.8, "f": 47.1, "j_and_f": 44.5}
    assert image == {
        "short": {"giou": 43.8, "ciou": 42.7},
        "long": {"giou": 56.9, "ciou": 57.7},
        "overall": {"giou": 53.8, "ciou": 54.4},
    }
    assert row_of("reasonseg", "val", "VideoLISA", "3.8B", "VideoLISA").scores == {"overall": {"giou": 61.4, "ciou": 67.1}}


def test_a_mixed_table_names_the_source_of_each_line():
    row = row_of("reasonvos", "test", "VRS-HQ", "7B", "DecAF")
    assert (row.scores, row.url) == ({"overall": {"j_and_f": 54.9}}, "https://github.com/HYUNJS/DecAF")


def test_what_is_not_printed_is_left_out():
    assert row_of("ref-davis17", "valid", "LBDT", "", "VideoLISA").scores == {"overall": {"j_and_f": 54.3}}
    assert "CMPC-V" not in {row.method for row in published_rows("ref-davis17", "valid")}


def test_every_table_that_was_asked_for_is_there_whole():
    counts = Counter((row.source, row.dataset, row.split) for row in all_published_rows())
    expected = {
        ("VideoLISA, Table 1", "ref-youtube-vos", "valid"): 19,
        ("VideoLISA, Table 1", "ref-davis17", "valid"): 14,
        ("VideoLISA, Table 2", "mevis", "valid"): 8,
        ("VideoLISA, Table 3", "reasonvos", "test"): 9,
        ("VideoLISA, Table 4", "reasonseg", "test"): 10,
        ("VideoLISA, Table 7", "refcoco", "testB"): 7,
        ("VideoLISA, Table 7", "refcocog", "val"): 9,
        ("VISA, table of ReVOS", "revos", "valid"): 12,
        ("ViLLa, table of VideoReasonSeg", "videoreasonseg", "all"): 14,
    }
    assert {key: counts[key] for key in expected} == expected


def test_the_best_of_each_benchmark_is_there():
    """As surveys of the field list them; MeViS valid_u is that of version 1."""
    best = {
        ("reasonvos", "test", "j_and_f"): 75.5,
        ("revos", "valid", "j_and_f"): 69.9,
        ("mevis", "valid", "j_and_f"): 73.1,
        ("mevis", "valid_u", "j_and_f"): 60.2,
        ("ref-youtube-vos", "valid", "j_and_f"): 81.3,
        ("ref-davis17", "valid", "j_and_f"): 81.2,
        ("reasonseg", "val", "giou"): 79.3,
        ("refcoco", "val", "ciou"): 84.8,
        ("refcocog", "test", "ciou"): 83.2,
    }
    found = {key: max(row.scores[WHOLE].get(key[2], 0.0) for row in published_rows(*key[:2]) if WHOLE in row.scores) for key in best}
    assert found == best


def test_j_and_f_is_the_mean_of_j_and_f():
    compared = 0
    for row in all_published_rows():
        for scores in row.scores.values():
            if {"j", "f", "j_and_f"} <= scores.keys() and (row.method, row.dataset) not in KNOWN_DEVIATIONS:
                assert (scores["j"] + scores["f"]) / 2 == pytest.approx(scores["j_and_f"], abs=ROUNDING), row
                compared += 1
    assert compared > 100


def test_the_whole_of_revos_is_the_mean_of_its_two_parts():
    compared = 0
    for row in published_rows("revos", "valid"):
        parts = [row.scores[part]["j_and_f"] for part in ("referring", "reasoning", WHOLE) if part in row.scores]
        if len(parts) == 3:
            assert (parts[0] + parts[1]) / 2 == pytest.approx(parts[2], abs=2 * ROUNDING), row
            compared += 1
    assert compared > 15


def test_every_row_has_scores_in_per_cent_and_an_address():
    for row in all_published_rows():
        values = [value for scores in row.scores.values() for value in scores.values()]
        assert values, row
        assert all(1 < value < 100 for value in values), row
        assert row.url.startswith("https://"), row
    assert len({(row.dataset, row.split, row.method, row.size, row.source, row.remark) for row in all_published_rows()}) == len(
        all_published_rows()
    )


def test_datasets_and_splits_are_ours():
    splits = {(row.dataset, row.split) for row in all_published_rows() if row.dataset != "videoreasonseg"}
    assert {dataset for dataset, _ in splits} <= DATASETS.keys()
    assert CAVEATS.keys() <= DATASETS.keys() | {"videoreasonseg"}
    for dataset, split in splits:
        with pytest.raises(DataError) as caught:
            resolve(dataset, "dataset")(None, split)
        assert "has no split" not in str(caught.value)


def test_sources_and_measures_are_all_used():
    listed = {line.split("\t")[1] for line in published._text("published_sources.tsv")[1:]}
    assert listed == {row.url for row in all_published_rows()}
    assert MEASURES.keys() == {measure for row in all_published_rows() for scores in row.scores.values() for measure in scores}


def test_nothing_is_known_of_the_toy_world():
    assert published_rows("toyworld", "test") == []


HEADER = "dataset split part method size j_and_f j f giou ciou r_printed mc place remark source".replace(" ", "\t")
LINE = "mevis\tvalid\toverall\tLMPM\tSwin-T\t37.2\t\t40.2\t\t\t\t\tTable 2\t\tVideoLISA"


def test_a_line_of_the_file_is_a_row():
    (row,) = published._rows([HEADER, LINE], {"VideoLISA": "https://x"})
    scores = {"overall": {"j_and_f": 37.2, "f": 40.2}}
    assert row == PublishedRow("mevis", "valid", "LMPM", "Swin-T", scores, "VideoLISA, Table 2", "https://x", "")


@pytest.mark.parametrize(
    ("lines", "fact"),
    [
        ([HEADER, LINE.removesuffix("\tVideoLISA")], "14 cells under 15 columns"),
        ([HEADER, LINE, LINE], "occurs twice"),
        ([HEADER, LINE.replace("37.2", "37,2")], "'37,2'"),
        ([HEADER.replace("giou", "acc"), LINE], "'acc'"),
        ([HEADER, LINE.replace("VideoLISA", "VideoLisa")], "source 'VideoLisa' has no address"),
    ],
    ids=["cell missing", "twice", "number", "measure", "source"],
)
def test_a_table_that_is_typed_wrongly_is_not_read(lines, fact):
    with pytest.raises(ValueError) as caught:
        published._rows(lines, {"VideoLISA": "https://x"})
    assert fact in str(caught.value)
