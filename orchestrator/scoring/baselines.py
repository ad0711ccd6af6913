"""What no model at all would score: references that belong beside every score, computed without a service."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.vocabulary import SUBTASK_OF, Outcome, Record, Subtask


def frequent_letters(records: Iterable[Record]) -> dict[Subtask | None, str]:
    """Return the letter that is right most often, for each subtask over all data sets; the first of equals.

    It looks at the right answers, as a person would who had the annotations: no model can know it. Untyped
    questions are a class of their own (None). Letters are those shown, so shuffling brings this near chance.
    """
    counted: defaultdict[Subtask | None, Counter[str]] = defaultdict(Counter)
    for record in records:
        counted[subtask_of(record)][record.correct] += 1
    return {subtask: min(n, key=lambda letter: (-n[letter], letter)) for subtask, n in counted.items()}


def always(records: Iterable[Record], letters: Mapping[Subtask | None, str]) -> Iterator[Record]:
    """Answer each question with its subtask's letter, wrong where that is not offered. For `score`."""
    for record in records:
        yield dataclasses.replace(
            record, outcome=Outcome.ANSWERED, letter=letters[subtask_of(record)], option_scores=()
        )


def chance(record: Record) -> float:
    """Return the probability that a uniform guess is right: 1 / options.

    As the `value` of a `tally.Tally` it gives the expectation of every cell and mean: a question in k
    rotations is right in all of them with probability (1 / options) ** k. Precision and F1 are no means, so
    their expectations are not what this gives. NaN where the options are not known (an answers file without).
    """
    return 1 / len(record.options) if record.options else math.nan


def subtask_of(record: Record) -> Subtask | None:
    """Return the column that a record belongs to; None where the data set does not say."""
    return None if record.type is None else SUBTASK_OF[record.type]
