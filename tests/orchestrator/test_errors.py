"""What people are told when they name what is not there."""

import pytest

from orchestrator.errors import alternatives


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("Qwem", ["qwen", "chance"], " Did you mean 'qwen'?"),
        ("zzz", ["qwen", "chance"], " There are: qwen, chance."),
        ("zzz", [], ""),
    ],
)
def test_a_name_that_is_not_there_gets_the_near_ones_or_else_all_that_there_are(word, known, told):
    assert alternatives(word, iter(known)) == told
