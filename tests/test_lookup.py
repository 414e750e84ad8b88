"""Names users type: closest matches, and nothing imported for a wrong one."""

import pytest

from saymask import lookup
from saymask.errors import UnknownName


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    table = {"compact": "json:dumps", "broken": "no.such.module:thing", "other": "json:loads"}
    monkeypatch.setitem(lookup.TABLES, "format", table)
    return table


def test_resolve_imports_the_attribute(table):
    assert lookup.resolve("compact", "format")([1]) == "[1]"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compcat", "unknown format 'compcat'; did you mean 'compact'?"),
        ("zzz", "unknown format 'zzz'; known: broken, compact, other"),
        ("", "unknown format ''; known: broken, compact, other"),
        ("COMPACT", "unknown format 'COMPACT'; did you mean 'compact'?"),
        ("Other", "unknown format 'Other'; did you mean 'other'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest(table, name, message):
    with pytest.raises(UnknownName) as caught:
        lookup.resolve(name, "format")
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_a_broken_entry_stops_only_who_asks_for_it(table):
    assert lookup.resolve("other", "format")("[2]") == [2]
    with pytest.raises(ModuleNotFoundError):
        lookup.resolve("broken", "format")


def test_suggest_takes_lists_too():
    assert lookup.suggest("bfloat", ["float32", "bfloat16"]) == "did you mean 'bfloat16'?"
    assert lookup.suggest("videolisa", ["VideoLISA", "ViLLa"]) == "did you mean 'VideoLISA'?"
