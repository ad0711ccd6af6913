"""References that need no model."""

from __future__ import annotations

import dataclasses

import pytest

from orchestrator.scoring.baselines import always, frequent_letters
from orchestrator.scoring.cells import Column
from orchestrator.scoring.summary import score
from orchestrator.vocabulary import Option, Outcome, QuestionType, Subtask

DETECTION = QuestionType.ANOMALY_DETECTION


def test_the_most_frequent_right_letter_is_found_for_each_subtask(record):
    records = [record(index=i, correct="ACC"[i]) for i in range(3)]
    records += [record(index=9, type=DETECTION, correct="B"), record(index=10, type=None, correct="D")]
    assert frequent_letters(records) == {
        Subtask.DEFECT_CLASSIFICATION: "C",
        Subtask.ANOMALY_DETECTION: "B",
        None: "D",
    }


def test_the_first_letter_wins_among_equals(record):
    assert (
        frequent_letters([record(correct="D"), record(index=1, correct="B")])[Subtask.DEFECT_CLASSIFICATION]
        == "B"
    )


def test_the_most_frequent_letter_scores_its_share_of_the_right_answers(record):
    records = [record(f"Own/p/bad/{i}.png", correct="ACCC"[i % 4], letter=None) for i in range(40)]
    scores = score(always(records, frequent_letters(records)), resamples=20)
    assert scores.average[Column.DEFECT_CLASSIFICATION].value == 75
    assert scores.counts[Outcome.ANSWERED] == 40


def test_chance_is_one_of_the_options_of_each_cell(record):
    three = tuple(Option(letter, letter) for letter in "ABC")
    records = [
        record("Own/p/bad/0.png", DETECTION, index=0),
        record("Own/p/good/1.png", DETECTION, index=0),
        record("Own/p/bad/0.png", index=1),
        record("Own/p/bad/0.png", index=2, options=three),
    ]
    chance = score(records, resamples=5).chance["Own"]
    assert chance[Column.ANOMALY_DETECTION] == 50
    assert chance[Column.DEFECT_CLASSIFICATION] == pytest.approx(100 * (1 / 4 + 1 / 3) / 2)
    assert chance[Column.AVERAGE] == pytest.approx((50 + 100 * (1 / 4 + 1 / 3) / 2) / 2)
    assert Column.PRECISION not in chance


def test_chance_under_circular_options_is_one_over_k_to_the_k(record):
    records = [record(rotation=r) for r in range(4)]
    assert score(records, resamples=5).chance["DS-MVTec"][Column.DEFECT_CLASSIFICATION] == pytest.approx(
        100 / 4**4
    )


def test_chance_of_unknown_options_does_not_exist(record):
    unknown = dataclasses.replace(record(), options=(), original_letters=())
    assert Column.DEFECT_CLASSIFICATION not in score([unknown], resamples=5).chance["DS-MVTec"]
