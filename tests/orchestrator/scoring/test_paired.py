"""Comparisons of two models, against brute force and against what a test must and must not find."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from scipy.stats import binomtest

from orchestrator.errors import UserError
from orchestrator.scoring.cells import Column
from orchestrator.scoring.intervals import point_figures
from orchestrator.scoring.paired import compare, compare_all, holm, leaders
from orchestrator.scoring.tally import tally
from orchestrator.vocabulary import Outcome, QuestionType

DETECTION = QuestionType.ANOMALY_DETECTION


def test_the_difference_is_that_of_the_reported_figures(simulate):
    first, second = tally(simulate(1, skill=0.8)), tally(simulate(2, skill=0.6))
    result = compare(first, second, resamples=50, permutations=50)
    _, one = point_figures(first, empty_counts_zero=False)
    _, two = point_figures(second, empty_counts_zero=False)
    for row, name in enumerate(("DS-MVTec", "Own", "Average")):
        for at, column in enumerate(Column):
            assert result.rows[name][column].value == pytest.approx(one[row, at] - two[row, at])


def test_the_permutation_test_agrees_with_all_swaps_enumerated(record):
    """Eight images, all 256 swaps, on the balanced detection cell."""
    first = [True, True, True, False, True, True, False, True]
    second = [False, True, False, False, True, False, True, False]

    def records(hits):
        return [
            record(f"Own/p/{'good' if i < 3 else 'bad'}/{i}.png", DETECTION, letter="A" if hit else "B")
            for i, hit in enumerate(hits)
        ]

    def cell(hits):
        return (sum(hits[:3]) / 3 + sum(hits[3:]) / 5) / 2

    observed = abs(cell(first) - cell(second))
    extreme = 0
    for swap in itertools.product([False, True], repeat=8):
        one = [b if s else a for a, b, s in zip(first, second, swap, strict=True)]
        two = [a if s else b for a, b, s in zip(first, second, swap, strict=True)]
        extreme += abs(cell(one) - cell(two)) >= observed - 1e-12
    result = compare(tally(records(first)), tally(records(second)), resamples=10, permutations=8000)
    measured = result.rows["Own"][Column.ANOMALY_DETECTION].p
    assert measured == pytest.approx(extreme / 256, abs=0.02)


def test_raw_accuracy_and_the_balanced_cell_may_order_two_models_oppositely(record):
    """90 abnormal and 10 normal images: always "yes" has more right answers, and the smaller cell."""

    def records(normal_right, abnormal_right):
        for i in range(100):
            kind, hit = ("good", i < normal_right) if i < 10 else ("bad", i - 10 < abnormal_right)
            yield record(f"Own/p/{kind}/{i}.png", DETECTION, letter="A" if hit else "B")

    row = compare(tally(records(0, 90)), tally(records(9, 70)), resamples=50, permutations=500).rows["Own"]
    assert row[Column.ALL_QUESTIONS].value > 0 > row[Column.ANOMALY_DETECTION].value
    assert row[Column.ANOMALY_DETECTION].significant


def test_models_that_are_alike_are_seldom_called_different(simulate):
    called = sum(
        compare(
            tally(simulate(2 * i, images=24, datasets=("Own",))),
            tally(simulate(2 * i + 1, images=24, datasets=("Own",))),
            resamples=2,
            permutations=200,
        )
        .rows["Own"][Column.AVERAGE]
        .significant
        for i in range(100)
    )
    assert called <= 12  # 5 expected; more than 12 once in a thousand tries


def test_a_much_better_model_is_called_better(simulate):
    result = compare(tally(simulate(1, skill=0.9)), tally(simulate(2, skill=0.5)), permutations=500)
    average = result.rows["Average"][Column.AVERAGE]
    assert average.significant
    assert 0 < average.low < average.value < average.high


def test_a_model_does_not_differ_from_itself(simulate):
    table = tally(simulate(1))
    row = compare(table, table, resamples=50, permutations=50).rows["Average"]
    assert {(d.value, d.low, d.high, d.p) for d in row.values()} == {(0.0, 0.0, 0.0, 1.0)}


def test_models_with_other_questions_are_refused(simulate):
    records = simulate(1)
    with pytest.raises(UserError, match="not asked the same questions"):
        compare(tally(records), tally(records[:-1]))


def test_a_failed_answer_stays_among_the_questions(simulate):
    records = simulate(1)
    failed = [dataclasses.replace(r, letter=None, outcome=Outcome.FAILED) for r in records]
    assert compare(tally(records), tally(failed), resamples=5, permutations=5).rows["Own"]


def test_holm_gives_the_textbook_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_subtasks_are_corrected_for_their_number_and_other_columns_are_not(simulate):
    row = compare(tally(simulate(1)), tally(simulate(2)), resamples=5, permutations=99).rows["Own"]
    subtasks = [d for column, d in row.items() if d.p_holm is not None]
    assert len(subtasks) == 7
    assert row[Column.AVERAGE].p_holm is None
    assert [d.p_holm for d in subtasks] == pytest.approx(holm([d.p for d in subtasks]))


def test_mcnemar_counts_the_images_on_which_the_models_disagree(record):
    def records(hits):
        return [record(f"Own/p/bad/{i}.png", DETECTION, letter="A" if h else "B") for i, h in enumerate(hits)]

    first, second = [1] * 9 + [0] * 3, [1, 1] + [0] * 7 + [1, 0, 0]
    test = compare(tally(records(first)), tally(records(second)), resamples=5, permutations=5).mcnemar["Own"]
    assert (test.only_first, test.only_second) == (7, 1)
    assert test.p == pytest.approx(binomtest(7, 8).pvalue)


def test_bold_means_better_than_every_rival_at_equal_shots(simulate):
    models = {
        "good": tally(simulate(1, skill=0.95)),
        "poor": tally(simulate(2, skill=0.5)),
        "poor too": tally(simulate(3, skill=0.5)),
        "better, but with more shots": tally(simulate(4, skill=0.99)),
    }
    shots = dict.fromkeys(models, 1) | {"better, but with more shots": 4}
    bold = leaders(compare_all(models), shots)
    assert bold[1, "Average", Column.AVERAGE] == "good"
    assert bold[1, "Average", Column.MISS] == "good"
    assert all(number == 1 for number, _, _ in bold)


def test_nobody_is_bold_when_a_rival_is_as_good(simulate):
    models = {"one": tally(simulate(1, skill=0.8)), "two": tally(simulate(2, skill=0.8))}
    assert (1, "Average", Column.AVERAGE) not in leaders(compare_all(models), dict.fromkeys(models, 1))


def test_every_pair_is_compared_once_in_the_order_of_names(simulate):
    models = {name: tally(simulate(seed, skill=0.8)) for seed, name in enumerate("cab")}
    assert list(compare_all(models)) == [("a", "b"), ("a", "c"), ("b", "c")]
