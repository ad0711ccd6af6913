"""The share of each letter given, beside its share among the right answers."""

from __future__ import annotations

import pytest

from orchestrator.scoring.positions import Positions
from orchestrator.vocabulary import QuestionType, Subtask


def shares(records):
    positions = Positions()
    for r in records:
        positions.add(r)
    return {
        subtask: {share.letter: (share.given, share.right) for share in row}
        for subtask, row in positions.shares().items()
    }


def test_given_and_right_shares_stand_side_by_side(record):
    records = [record(index=i, correct="ABCD"[i], letter="AAAB"[i]) for i in range(4)]
    assert shares(records)[None] == {"A": (75, 25), "B": (25, 25), "C": (0, 25), "D": (0, 25)}


def test_each_subtask_has_its_own_shares(record):
    records = [
        record(letter="A"),
        record(type=QuestionType.ANOMALY_DETECTION, index=1, correct="B", letter="B"),
    ]
    found = shares(records)
    assert found[Subtask.ANOMALY_DETECTION] == {"B": (100, 100)}
    assert found[Subtask.DEFECT_CLASSIFICATION] == {"A": (100, 100)}


def test_structure_and_details_are_one_subtask(record):
    records = [record(type=QuestionType.OBJECT_DETAILS), record(type=QuestionType.OBJECT_STRUCTURE, index=1)]
    assert set(shares(records)) == {None, Subtask.OBJECT_ANALYSIS}


def test_without_any_letter_the_given_share_does_not_exist(record):
    assert shares([record(letter=None)])[None] == {"A": (None, 100)}


def test_shares_add_up_to_100(record):
    records = [record(index=i, correct="ABC"[i % 3], letter="AB"[i % 2]) for i in range(7)]
    columns = list(zip(*shares(records)[None].values(), strict=True))
    assert [sum(column) for column in columns] == pytest.approx([100, 100])
