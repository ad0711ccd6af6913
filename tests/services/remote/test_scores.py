"""Option scores, over all forms in which providers list a position's tokens."""

import math

import pytest

from mmad_answer.model import OptionScore
from mmad_answer.remote.scores import option_scores


def score(*listed):
    [one] = option_scores(listed, "A")
    assert one.letter == "A"
    return one.log_probability


def test_a_letter_is_scored_over_all_tokens_that_spell_it_with_or_without_a_leading_space():
    listed = [("A", math.log(0.5)), (" A", math.log(0.2)), ("\u2581A", math.log(0.1)), ("\u0120A", -20.0)]
    listed += [("AB", -3.0), ("a", -3.0), ("A.", -3.0), (" B", math.log(0.05))]
    a, b, c = option_scores(listed, ("A", "B", "C"))
    assert a.log_probability == pytest.approx(math.log(0.8))
    assert b.log_probability == pytest.approx(math.log(0.05))
    assert c == OptionScore("C", None), "not listed is not known"


def test_different_tokens_of_the_same_text_all_count():
    assert score(("A", math.log(0.5)), ("A", math.log(0.25))) == pytest.approx(math.log(0.75))


@pytest.mark.parametrize("token", ["\nA", "A\n", "A ", "\tA", "  A"])
def test_any_other_space_around_a_letter_makes_it_another_token(token):
    assert score((token, -0.1)) is None


@pytest.mark.parametrize("value", [-math.inf, math.nan, None])
def test_what_is_no_log_probability_is_unknown_and_spoils_no_other(value):
    assert score(("A", value)) is None
    assert score(("A", value), (" A", -0.5)) == -0.5


@pytest.mark.parametrize("values", [(1e-6,), (1e9,), (-0.1, -0.1)])
def test_sums_that_are_rounded_up_stay_probabilities(values):
    assert score(*(("A", value) for value in values)) == 0.0


def test_very_small_probabilities_do_not_vanish():
    assert score(("A", -9999.0), (" A", -9999.0)) == pytest.approx(-9999.0 + math.log(2))
