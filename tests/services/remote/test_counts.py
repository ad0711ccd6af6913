import pytest

from mmad_answer.remote.counts import token_count


@pytest.mark.parametrize(
    ("value", "count"), [(0, 0), (7, 7), (2**32 - 1, 2**32 - 1), ("10", 10), (10.0, 10), ("007", 7)]
)
def test_a_whole_number_counts_also_in_a_string(value, count):
    assert token_count(value) == count


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, -1, 2**32, 2**40, 10.5, float("inf"), float("nan")),
        *("", "-1", "1.5", "ten", "²", "9" * 5000),
        *([], [7], {}, {"tokens": 7}),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_no_count_of_the_contract_is_0(value):
    assert token_count(value) == 0
