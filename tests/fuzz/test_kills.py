"""Whatever moment a command is killed at, nothing half-written is left, and the next run gives what an undisturbed one does."""

import random

import pytest
from killing import import_everything, kill, make_jobs, straight

KILLS = 4
"""Of each command; `bench/kills.py` tries more."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", ["segment", "train", "eval"])
def test_kills(command, tmp_path):
    import_everything()
    job = make_jobs(tmp_path)[command]
    expected, seconds = straight(job)
    rng = random.Random(0)
    assert [problem for _ in range(KILLS) if (problem := kill(job, expected, seconds, rng))] == []
