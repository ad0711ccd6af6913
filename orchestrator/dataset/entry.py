"""What both formats share: from loose values to a checked `Sample`, equal strings and options kept once.

A full MMAD names its templates 130,000 times and many options in thousands of questions; kept once each, the
whole costs a few dozen megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from orchestrator.errors import DataError
from orchestrator.vocabulary import Option, Question, QuestionType

_Made = TypeVar("_Made")

_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class EntryError(ValueError):
    """What is wrong with a part of an entry, one thing or several, without its place."""

    def __init__(self, *details: str) -> None:
        super().__init__(", ".join(details))
        self.details = details


class BrokenEntryError(DataError):
    """One thing that is wrong with one entry, with its place; the readers yield it where a sample was due."""

    def __init__(self, place: str, key: str, part: str, detail: str) -> None:
        super().__init__(f"{place}: {key!r}: {detail}{'' if detail.endswith('?') else '.'}")
        self.key = key
        self.part = part
        """The attribute of `Sample` that lacks something for it; "" for the whole."""


class Faults:
    """Collects what is wrong with the parts of an entry, so that one fault does not hide another."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        """(part of the sample, detail), in the order of reading."""

    def attempt(
        self, part: str, make: Callable[..., _Made], *arguments: Any, where: str = ""
    ) -> _Made | None:
        """Return what `make` makes, or keep what it says is wrong and return None."""
        try:
            return make(*arguments)
        except EntryError as error:
            self.found += [(part, where + detail) for detail in error.details]
            return None


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
    text: str | None,
    kind: QuestionType | None,
    options: Sequence[tuple[str, object]] | None,
    answer: str | None,
    wrong: Iterable[str] = (),
) -> Question:
    """Check one question and build it.

    Args:
        pool: where its strings and options are kept.
        index: its place among its image's questions.
        text: the question, or None where it could not be read.
        kind: its type, or None where it has none or it could not be read.
        options: (letter, text), or None where they could not be read.
        answer: a letter, or None where it could not be read.
        wrong: why something could not be read.

    Raises:
        EntryError: all that is wrong: what is in `wrong`, an empty text, no options, an option that is no
            text or whose name is no letter, a letter twice, a wrong answer.
    """
    found = list(wrong)
    if text is not None and not text.strip():
        found.append("its text is empty")
    letters = [letter for letter, _ in options or ()]
    if options is not None and not options:
        found.append("it has no options")
    for letter in dict.fromkeys(letters):
        if letter not in _LETTERS:
            found.append(f"option {letter!r}: an option's name is one capital letter")
        if letters.count(letter) > 1:
            found.append(f"option {letter!r} is there twice")
    texts = [(letter, option) for letter, option in options or () if isinstance(option, str)]
    found += [f"option {letter!r} should be a text" for letter, o in options or () if not isinstance(o, str)]
    if letters and answer is not None and answer not in letters:
        found.append(f"its answer {answer!r} is not among its options {', '.join(letters)}")
    if found or text is None or answer is None:
        raise EntryError(*found)
    return Question(index, pool.string(text), kind, pool.options(texts), pool.string(answer))


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
