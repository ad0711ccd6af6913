"""Words to compare: what is left of a text when case, quotation marks and outer punctuation do not matter."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

QUOTES: Final = re.compile(r"(?<![A-Za-z])'|'(?![A-Za-z])|[\"“”«»「」『』]")
"""Quotation marks, apostrophes within words excepted."""


def bare(text: str) -> str:
    """Return words to compare: lower case, single spaces, no outer punctuation, no article in front."""
    words = QUOTES.sub("", unicodedata.normalize("NFKC", text).replace("\u2019", "'"))
    words = re.sub(r"[\s\-\u2010-\u2015]+", " ", words).lower()
    words = words.strip(" \n.,;:!?()[]{}\"'*`_。、")
    return re.sub(r"^(?:an?|the) (?=.)", "", words)
