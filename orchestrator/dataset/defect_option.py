"""Which option of a detection question says that there is a defect: found by its text, never by its letter.

The rule: an option that opens with a yes or a no (English or Chinese) says that. Any other affirms a defect
when it names one ("defect", "anomaly", "damaged", 缺陷) and denies nothing ("no", "not", "without", "free",
"normal", 没, 无). It is assumed that the question asks whether something is wrong, as MMAD's detection
questions do: "Yes" to "Is it free of defects?" would be read the wrong way round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from orchestrator.dataset.wording import bare
from orchestrator.vocabulary import Option

_YES: Final = re.compile(r"(?:yes|yeah|true)\b|是|有(?!没有)")
_NO: Final = re.compile(r"(?:no|not|false|none)\b|否|不|没|无")
_DENIES: Final = re.compile(
    r"\b(?:no|not|none|never|without|free|normal|good|intact|flawless|undamaged|isn't|doesn't)\b|没|无|不|正常"
)
_DEFECT: Final = re.compile(
    r"\b(?:defect\w*|anomal\w*|abnormal\w*|damage\w*|flaw\w*|fault\w*|broken|crack\w*|scratch\w*|contaminat\w*)\b"
    r"|缺陷|异常|损坏"
)


def defect_option(options: Sequence[Option]) -> str | None:
    """Return the letter of the one option that affirms a defect; None when there is not exactly one."""
    affirming = [option.letter for option in options if affirms_defect(option.text)]
    return affirming[0] if len(affirming) == 1 else None


def affirms_defect(text: str) -> bool:
    """Whether an option's text says that there is a defect."""
    words = bare(text)
    if _NO.match(words):
        return False
    if _YES.match(words):
        return True
    return bool(_DEFECT.search(words)) and not _DENIES.search(words)
