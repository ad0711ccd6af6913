"""What is asked about a picture of the sample data set, with right answers that hold for what was drawn.

Right letters are dealt, not rolled: over the data set each letter is right equally often (give or take one),
and for detection among the normal images as among the abnormal ones, so that no constant answer beats chance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.dataset.sample.part import Fact, Part
from orchestrator.dataset.sample.pictures import Picture
from orchestrator.vocabulary import QuestionType

REGIONS = (
    ("Top left", "Top middle", "Top right"),
    ("Middle left", "Center", "Middle right"),
    ("Bottom left", "Bottom middle", "Bottom right"),
)
"""The ninths of a picture, rows from the top."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Draft:
    """A question before its options have letters."""

    type: QuestionType
    text: str
    right: str
    wrong: Sequence[str]


class Examiner:
    """Writes the questions of one data set, in mmad.json's form."""

    def __init__(self, parts: Sequence[Part], rng: np.random.Generator) -> None:
        self._nouns = [part.noun for part in parts]
        self._rng = rng
        self._letters: dict[tuple[object, ...], Iterator[int]] = {}

    def conversation(
        self, picture: Picture, shares: NDArray[np.float64], number: int
    ) -> list[dict[str, Any]]:
        """Write all questions about a picture; `number` decides which of the part's facts are asked."""
        drafts = [self._detection(picture)]
        if picture.defect is not None:
            drafts += self._about_defect(picture, shares)
        drafts += self._about_object(picture, number)
        return [self._settle(draft, picture.defect is not None) for draft in drafts]

    def _detection(self, picture: Picture) -> _Draft:
        right, wrong = ("No", "Yes") if picture.defect is None else ("Yes", "No")
        return _Draft(
            QuestionType.ANOMALY_DETECTION,
            "Is there any defect in the object?",
            right,
            [wrong],
        )

    def _about_defect(self, picture: Picture, shares: NDArray[np.float64]) -> list[_Draft]:
        defect = picture.defect
        assert defect is not None  # noqa: S101  (the caller's condition, for the type checker)
        others = [d for d in picture.part.defects if d.kind != defect.kind]
        row, column = divmod(int(shares.argmax()), 3)
        elsewhere = [REGIONS[r][c] for r in range(3) for c in range(3) if shares[r, c] == 0]
        return [
            _Draft(
                QuestionType.DEFECT_CLASSIFICATION,
                "What kind of defect is it?",
                defect.label,
                [d.label for d in others],
            ),
            _Draft(
                QuestionType.DEFECT_LOCALIZATION,
                "In which part of the picture is the defect?",
                REGIONS[row][column],
                elsewhere,
            ),
            _Draft(
                QuestionType.DEFECT_DESCRIPTION,
                "Which description fits what can be seen of the defect?",
                defect.description,
                [d.description for d in others],
            ),
            self._analysis(picture),
        ]

    def _analysis(self, picture: Picture) -> _Draft:
        defect = picture.defect
        assert defect is not None  # noqa: S101  (as above)
        others = [d for d in picture.part.defects if d.kind != defect.kind]
        text, field = (
            ("What follows from the defect?", "effect"),
            ("What is the likely cause of the defect?", "cause"),
        )[int(self._rng.integers(2))]
        return _Draft(
            QuestionType.DEFECT_ANALYSIS, text, getattr(defect, field), [getattr(d, field) for d in others]
        )

    def _about_object(self, picture: Picture, number: int) -> list[_Draft]:
        part, kind = picture.part, picture.defect.kind if picture.defect else ""
        others = [noun for noun in self._nouns if noun != part.noun]
        facts = [fact for fact in part.facts if kind not in fact.unless]
        asked = [facts[(number + step) % len(facts)] for step in (0, 1)]
        return [
            _Draft(
                QuestionType.OBJECT_CLASSIFICATION,
                "What is the object in the picture?",
                part.noun.capitalize(),
                [noun.capitalize() for noun in others],
            ),
            *(_fact(fact) for fact in asked),
        ]

    def _settle(self, draft: _Draft, abnormal: bool) -> dict[str, Any]:
        wrong = [draft.wrong[i] for i in self._rng.permutation(len(draft.wrong))[:3]]
        detection = draft.type is QuestionType.ANOMALY_DETECTION
        deck = ("detection", abnormal) if detection else ("other", draft.type)
        place = next(self._letters.setdefault(deck, self._deal(len(wrong) + 1)))
        texts = [*wrong[:place], draft.right, *wrong[place:]]
        return {
            "Question": draft.text,
            "Answer": "ABCD"[place],
            "Options": {"ABCD"[i]: text for i, text in enumerate(texts)},
            "type": draft.type.value,
            "annotation": True,
        }

    def _deal(self, letters: int) -> Iterator[int]:
        while True:
            yield from (int(i) for i in self._rng.permutation(letters))


def _fact(fact: Fact) -> _Draft:
    return _Draft(fact.type, fact.question, fact.right, fact.wrong)
