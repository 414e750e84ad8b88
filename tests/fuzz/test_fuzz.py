"""A few hundred changed inputs of each kind: a result or one error that names the file; no traceback, no hang, bounded memory."""

import pytest
from mutations import KINDS, make_seeds
from reading import Readers

INPUTS = 200


@pytest.mark.huge
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_changed_inputs(kind, tmp_path):
    seed = make_seeds(tmp_path / "seeds")[kind]
    with Readers(tmp_path / "work") as readers:
        outcomes = [readers.read(seed, kind, 14, number) for number in range(INPUTS)]
    assert [outcome for outcome in outcomes if outcome.is_failure] == []
    assert sum(outcome.kind == "refused" for outcome in outcomes) > INPUTS // 10
