"""Multiple choice without a model: shuffling, and reading a letter."""

import pytest

from saymask.evaluation.multiple_choice import read_letter, shuffled
from saymask.samples import MultipleChoice

CHOICE = MultipleChoice("What is chased?", ("a dog", "two cats", "a boat", "nothing"), 1)


def test_a_shuffled_question_is_the_same_question_in_an_order_of_its_own():
    orders = {shuffled(CHOICE, index).options for index in range(8)}
    assert len(orders) > 1
    for index in range(8):
        mixed = shuffled(CHOICE, index)
        assert mixed.options[mixed.correct] == "two cats"
        assert sorted(mixed.options) == sorted(CHOICE.options)
        assert mixed == shuffled(CHOICE, index)


@pytest.mark.parametrize(
    ("text", "place"), [("(B) two cats.", 1), ("B", 1), ("The answer is (D).", 3), ("(E) or (C)", 2), ("two cats", None), ("", None)]
)
def test_the_first_letter_that_is_an_option_is_read(text, place):
    assert read_letter(text, 4) == place
