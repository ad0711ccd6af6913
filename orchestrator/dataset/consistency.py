"""Checks what a sample's annotations say by themselves: whole entries that a run would ask, but in vain.

None of this stops a run, for MMAD's own files have some of it; it spoils what a score is measured on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from orchestrator.dataset.defect_option import defect_option
from orchestrator.dataset.findings import Fault, Finding
from orchestrator.vocabulary import Question, QuestionType, Sample


def check(sample: Sample, lists: Sequence[str], lacking: Set[tuple[str, str]]) -> Iterator[Finding]:
    """Yield what is wrong with one sample.

    Args:
        sample: as far as it could be read.
        lists: the lists of templates that its format has, as `Sample` names them.
        lacking: (key, part) of what could not be read, which is not said to be empty as well.
    """
    key = sample.key
    for name in lists:
        if not getattr(sample, name) and (key, name) not in lacking:
            kind = name.removesuffix("_templates")
            yield Finding(Fault.NO_TEMPLATES, key, f"its list of {kind} templates is empty")
    if sample.mask and not sample.abnormal:
        yield Finding(
            Fault.MASK_OF_NORMAL, key, f"its path says that it is normal; its mask is {sample.mask}"
        )
    if not sample.questions and (key, "questions") not in lacking:
        yield Finding(Fault.NO_QUESTIONS, key, "there is nothing to ask about it")
    for question in sample.questions:
        for kind, detail in _question(question, sample.abnormal):
            yield Finding(kind, key, f"question {question.index}: {detail}")
    yield from _repeated(sample)


def _question(question: Question, abnormal: bool) -> Iterator[tuple[Fault, str]]:
    if len(question.options) == 1:
        yield Fault.ONE_OPTION, f"whoever answers it can only be right: {question.options[0].text!r}"
    by_text = defaultdict(list)
    for option in question.options:
        by_text[_folded(option.text)].append(option.letter)
    for letters in by_text.values():
        if len(letters) > 1:
            yield Fault.SAME_OPTIONS, f"{' and '.join(letters)} have the same text"
    if question.type is QuestionType.ANOMALY_DETECTION:
        affirming = defect_option(question.options)
        if affirming is not None and (question.answer == affirming) != abnormal:
            text = next(option.text for option in question.options if option.letter == question.answer)
            label = "abnormal" if abnormal else "normal"
            yield Fault.AGAINST_LABEL, f"its answer is {text!r}, its image's path says that it is {label}"


def _repeated(sample: Sample) -> Iterator[Finding]:
    """Questions that are there again, their options perhaps in another order: a run asks and counts both."""
    first: dict[tuple[str, QuestionType | None, frozenset[str]], int] = {}
    for question in sample.questions:
        options = frozenset(_folded(option.text) for option in question.options)
        before = first.setdefault((_folded(question.text), question.type, options), question.index)
        if before != question.index:
            detail = f"questions {before} and {question.index} are the same: a run asks and counts both"
            yield Finding(Fault.ASKED_TWICE, sample.key, detail)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
