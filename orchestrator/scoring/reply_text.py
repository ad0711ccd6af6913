"""A model's reply as plain text: thoughts cut off, markup gone, words and letters as they were.

The letter reader's rules speak of words and lines. Markdown, HTML, LaTeX and JSON are made into such here, so
that no rule has to know them. Every expression is linear in the reply's length, as models may say anything.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from orchestrator.dataset.wording import QUOTES

_THOUGHT: Final = r"(?:think|thinking|thought|thoughts|reasoning|reflection)"
_THOUGHT_OPENS: Final = re.compile(rf"[<◁]{_THOUGHT}[>▷]", re.IGNORECASE)
_THOUGHT_CLOSES: Final = re.compile(rf"[<◁]/{_THOUGHT}[>▷]", re.IGNORECASE)

_ANSWER_TAG: Final = re.compile(r"<(answer|option|choice|final_answer)>", re.IGNORECASE)
_BOXED: Final = re.compile(r"\\boxed\s*\{")
_ROLE: Final = re.compile(r"^\s*(?:assistant|model|bot)\s*[:\n]\s*", re.IGNORECASE)
_FENCE: Final = re.compile(r"```[A-Za-z]{2,10}\b|```")
_DROPPED: Final = re.compile(
    r"<\|[^<>|]{1,40}\|>"  # tokens of a chat template
    r"|</?[A-Za-z][^<>\n]{0,80}>"  # HTML
    r"|\\(?:text|textbf|textit|mathrm|mathbf|mathit|texttt)\b"  # LaTeX; its braces go below
    r"|\\[()\[\]]|[$*`{}]|__+|~~+"
)
_LINE_START: Final = re.compile(r"^[ \t]{0,8}(?:#{1,6}|>|[-+•])[ \t]+", re.MULTILINE)


class UnclosedThoughtError(ValueError):
    """The reply ends inside a thought: whatever letter is in it is not the answer."""


def plain(reply: str) -> str:
    r"""Return the reply after its last thought, in NFKC, without markup.

    `\boxed{B}` and `<answer>B</answer>` become "boxed: B" and "answer: B", so that they stay markers.

    Raises:
        UnclosedThoughtError: a thought opens and never closes.
    """
    text = unicodedata.normalize("NFKC", reply).replace("\u2019", "'").replace("\r", "\n")
    closings = list(_THOUGHT_CLOSES.finditer(text))
    if closings:
        text = text[closings[-1].end() :]
    if _THOUGHT_OPENS.search(text):
        raise UnclosedThoughtError
    text = _ROLE.sub("", text)
    text = _ANSWER_TAG.sub(r"\n\1: ", text)
    text = _BOXED.sub(" boxed: ", text)
    text = _FENCE.sub("\n", text)
    text = _LINE_START.sub("", _DROPPED.sub("", text))
    return QUOTES.sub("", text).strip()
