"""Tells from a question's words alone what it asks for. Nothing here knows a benchmark's question types."""

from __future__ import annotations

import re
from collections.abc import Sequence

from template_diff.picture import BoolArray
from template_diff.regions import read_region

_YES = re.compile(r"\W*yes\b", re.IGNORECASE)
_NO = re.compile(r"\W*no\b", re.IGNORECASE)
_TROUBLE = r"(?:defect|anomal|abnormal|flaw(?!less)|damage|fault(?!less)|imperfect|irregularit)\w*"
_DEFECT = re.compile(rf"\b{_TROUBLE}", re.IGNORECASE)
_NO_DEFECT = re.compile(
    rf"\b(?:free (?:of|from)|without|no)(?: \w+){{0,2}} {_TROUBLE}|\b{_TROUBLE}-free\b", re.IGNORECASE
)
_SOUND = re.compile(r"\b(?:normal|sound|intact|flawless|faultless|undamaged|in order)\b", re.IGNORECASE)


def asks_for_defect(question: str, options: Sequence[str]) -> int | None:
    """Which option says that there is a defect, by its place; None where that is not the question.

    The options must be a "Yes" and a "No" (by their first words). "Yes" says that there is a defect when the
    question has a word for one ("defect", "anomaly", "damage", ...), and that there is none when it asks for
    its absence ("free of defects") or, without a word for a defect, for soundness ("intact", "normal").
    """
    yes = [i for i, text in enumerate(options) if _YES.match(text)]
    no = [i for i, text in enumerate(options) if _NO.match(text)]
    if len(options) != 2 or len(yes) != 1 or len(no) != 1:
        return None
    if _NO_DEFECT.search(question):
        return no[0]
    if _DEFECT.search(question):
        return yes[0]
    return no[0] if _SOUND.search(question) else None


def asks_for_place(options: Sequence[str]) -> list[BoolArray | None] | None:
    """The region that each option names; None unless at least two name one."""
    regions = [read_region(text) for text in options]
    return regions if sum(region is not None for region in regions) >= 2 else None
