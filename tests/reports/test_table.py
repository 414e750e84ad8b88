"""The table on the terminal."""

from __future__ import annotations

from saymask.reports.table import format_table

BROKEN = {"name": "a/0", "reason": "a: it broke"}


def results(rows: dict, protocol: str = "saymask", left_out: tuple[str, ...] = ()) -> dict:
    complete = {"expected": 4, "failed": []}
    return {"protocol": protocol, "left_out": list(left_out), "rows": {name: complete | row for name, row in rows.items()}}


def test_families_are_columns_and_baselines_are_lines():
    families = {"colour": {"j_and_f": 2 / 3}, "absent": {"j_and_f": 1.0}}
    empty = {"colour": {"j_and_f": 0.0}, "absent": {"j_and_f": 1.0}}
    rows = {
        "model": {"families": families, "overall": {"j_and_f": 0.75, "n_acc": 1.0, "t_acc": 0.9}, "failed": [BROKEN]},
        "empty": {"families": empty, "overall": {"j_and_f": 0.25, "n_acc": 1.0, "t_acc": 0.0}},
    }
    assert format_table(results(rows)).splitlines() == [
        "J&F    colour  absent  overall  silent",
        "model    66.7   100.0     75.0   100.0",
        "empty     0.0   100.0     25.0   100.0",
        "model: 1 of 4 predictions are missing or failed; they count as 0",
        "  the first: a: it broke",
    ]


def test_without_absent_questions_there_is_no_column_for_silence():
    rows = {"model": {"families": {"colour": {"j_and_f": 1.0}}, "overall": {"j_and_f": 1.0}}}
    assert format_table(results(rows)).splitlines()[0] == "J&F    colour  overall"


def test_elsewhere_measures_are_columns_and_groups_are_lines():
    rows = {
        "model": {
            "overall": {"expressions": 4, "j_and_f": 0.5, "j": 0.4, "f": 0.6, "r": 0.9, "j_and_f_interval": [0.4, 0.6]},
            "types": {"referring": {"j_and_f": 0.6, "j": 0.5, "f": 0.7, "r": 0.8}},
            "benchmark": {"referring": {"j_and_f": 0.6, "j": 0.5, "f": 0.7}, "overall": {"j_and_f": 0.55, "j": 0.45, "f": 0.65}},
        }
    }
    assert format_table(results(rows)).splitlines() == [
        "model       J&F     J     F     R",
        "all        50.0  40.0  60.0  90.0",
        "referring  60.0  50.0  70.0  80.0",
        "overall *  55.0  45.0  65.0     -",
        "* as the benchmark's authors define it",
    ]


def test_a_script_that_leaves_out_what_is_missing_is_called_by_its_deed():
    rows = {"model": {"overall": {"expressions": 0}, "failed": [BROKEN] * 4}}
    assert format_table(results(rows, "videolisa-release")).splitlines() == [
        "model",
        "all  ",
        "model: 4 of 4 predictions are missing or failed; they are left out of the means",
        "  the first: a: it broke",
    ]


def test_what_could_not_be_asked_is_counted():
    rows = {"model": {"overall": {"expressions": 4, "j_and_f": 1.0}}}
    assert format_table(results(rows, left_out=("b.json: no polygon", "c.json: no polygon"))).splitlines()[2:] == [
        "2 entries of the dataset cannot be scored and are left out",
        "  the first: b.json: no polygon",
    ]
