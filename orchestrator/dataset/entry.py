"""What both formats share: from loose values to a checked `Sample`, equal strings and options kept once.

A full MMAD names its templates 130,000 times and many options in thousands of questions; kept once each, the
whole costs a few dozen megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orchestrator.vocabulary import Option, Question, QuestionType

_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class EntryError(ValueError):
    """What is wrong with an entry, without its place, which the format's reader adds."""


class Pool:
    """Gives back the first of equal strings, options and tuples, so that each is kept once."""

    def __init__(self) -> None:
        self._strings: dict[str, str] = {}
        self._options: dict[tuple[str, str], Option] = {}
        self._choices: dict[tuple[Option, ...], tuple[Option, ...]] = {}

    def string(self, value: str) -> str:
        """The one string that equals `value`."""
        return self._strings.setdefault(value, value)

    def options(self, pairs: Iterable[tuple[str, str]]) -> tuple[Option, ...]:
        """The one tuple of options with these letters and texts."""
        made = tuple(self._option(pair) for pair in pairs)
        return self._choices.setdefault(made, made)

    def _option(self, pair: tuple[str, str]) -> Option:
        found = self._options.get(pair)
        if found is None:
            found = self._options[pair] = Option(self.string(pair[0]), self.string(pair[1]))
        return found


def question(
    pool: Pool,
    index: int,
    text: str,
    kind: QuestionType | None,
    options: list[tuple[str, str]],
    answer: str,
) -> Question:
    """Check one question and build it.

    Raises:
        EntryError: an empty text, no options, something that is no letter, a letter twice, a wrong answer.
    """
    if not text.strip():
        raise EntryError("its text is empty")
    if not options:
        raise EntryError("it has no options")
    letters = [letter for letter, _ in options]
    for letter in letters:
        if letter not in _LETTERS:
            raise EntryError(f"option {letter!r}: an option's name is one capital letter")
        if letters.count(letter) > 1:
            raise EntryError(f"option {letter!r} is there twice")
    if answer not in letters:
        raise EntryError(f"its answer {answer!r} is not among its options {', '.join(letters)}")
    return Question(index, pool.string(text), kind, pool.options(options), pool.string(answer))


def names(key: str) -> tuple[str, str, str]:
    """Return (data set, product, defect kind) of a query image's path.

    Raises:
        EntryError: the path is not DATASET/PRODUCT/.../FILE.
    """
    parts = safe(key).split("/")
    if len(parts) < 3:
        raise EntryError("a query image's path is DATASET/PRODUCT/.../FILE")
    return parts[0], parts[1], parts[-2] if len(parts) > 3 else ""


def is_abnormal(key: str) -> bool:
    """MMAD's rule: an image is normal when its path contains "good" (lower case: GoodsAD's name does not)."""
    return "good" not in key


def safe(path: str) -> str:
    """Return a path from the annotations if it stays inside the data set's folder.

    Images are sent to models, perhaps to remote ones: a data set must not be able to name other files.

    Raises:
        EntryError: the path is empty, absolute, or climbs out.
    """
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts or "\\" in path or "\0" in path or parts[0].endswith(":"):
        raise EntryError(
            f"path {path!r}: should be relative to the data set's folder, with / between its parts"
        )
    return path
