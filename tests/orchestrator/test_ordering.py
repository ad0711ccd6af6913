"""The order in which people count."""

from orchestrator.ordering import natural


def test_numbers_in_names_are_in_the_order_of_their_values():
    assert sorted(["b-10-a", "b-10", "a", "b-2"], key=natural) == ["a", "b-2", "b-10", "b-10-a"]
