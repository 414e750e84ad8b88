"""Changed inputs of each kind: a result or one error that names the input; no traceback, no hang, bounded memory."""

import pytest
from reading import Reader
from seeds import KINDS, make_seed

INPUTS = 60
"""Of each kind; `bench/campaign.py` reads more."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    with Reader(tmp_path_factory.mktemp("fuzz") / "work") as reader:
        yield reader


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_changed_inputs(kind, reader, tmp_path):
    seed = make_seed(kind, tmp_path / "seeds")
    assert reader.read(seed, kind, 0, None).name == "used"
    outcomes = [reader.read(seed, kind, 0, number) for number in range(INPUTS)]
    assert [outcome for outcome in outcomes if outcome.is_failure] == []
    assert sum(outcome.name == "refused" for outcome in outcomes) > INPUTS // 10
