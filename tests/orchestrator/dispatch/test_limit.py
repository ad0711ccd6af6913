"""Additive increase, multiplicative decrease."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dispatch.limit import AdaptiveLimit


def test_a_round_of_successes_adds_one_up_to_the_maximum():
    limit = AdaptiveLimit(2, maximum=4)
    values = []
    for _ in range(9):
        limit.succeeded()
        values.append(limit.value)
    assert values == [2, 3, 3, 3, 4, 4, 4, 4, 4]


def test_congestion_halves_once_for_all_calls_that_were_under_way():
    limit = AdaptiveLimit(8, maximum=8)
    era = limit.era
    for _ in range(8):
        limit.congested(era)
    assert limit.value == 4
    limit.congested(limit.era)
    assert limit.value == 2


def test_the_first_value_is_within_the_maximum():
    assert AdaptiveLimit(4, maximum=2).value == 2


@given(st.integers(-3, 20), st.integers(-3, 20), st.lists(st.booleans(), max_size=200))
def test_the_limit_stays_between_one_and_the_maximum(first, maximum, events):
    limit = AdaptiveLimit(first, maximum)
    for good in events:
        if good:
            limit.succeeded()
        else:
            limit.congested(limit.era)
        assert 1 <= limit.value <= max(1, maximum)
