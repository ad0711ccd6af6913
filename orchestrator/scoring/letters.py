r"""Which option a reply chooses: stated rules, tried in order, each with a name kept beside the letter.

A letter is read only where a careful person would read it too. The price is a few replies that such a person
could still make out and these rules cannot ("the surface is intact" for "No."): a reply that is given up is
counted and can be looked at, a wrong letter cannot be seen in any score. docs/methodology.md has the rates.

The rules, on the text that `reply_text.plain` leaves:

1. `whole`: the reply is a letter, either case, whatever the punctuation.
2. `marker`: the last "answer", "choose", `\boxed`, JSON field, 答案 or 选 that is not negated is followed by
   a letter (and that by no lower-case word), or by an option's whole text. The bare word "option" is weaker,
   as replies talk about options that they then reject: it counts when there is nothing better and all its
   mentions agree.
3. `first_line`: the reply opens with a letter, alone, with a full stop or with its option's text, and no
   other line opens with another.
4. `option_text`: the reply, or its first clause, is an option's text; never a part of it.
5. `last_sentence`: one distinct capital letter in the last sentence, which is no article, not negated and no
   name ("figure A").

A reply that was cut by the length limit is read by rules 1 to 3. Two candidates within a rule: `conflict`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.dataset.wording import bare
from orchestrator.scoring import letter_patterns as patterns
from orchestrator.scoring.reply_text import UnclosedThoughtError, plain
from orchestrator.vocabulary import Option

_CONFLICT: Final = "conflict"
_ARTICLES: Final = frozenset("AI")
"""Capitals that are words of their own when a word follows."""
_TAIL: Final = 240
"""Characters after a marker that are looked at, beyond the longest option text."""
_MARKERS: Final = 100
"""Markers that are looked at, from the end: a reply that repeats itself for ever is read in bounded time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The chosen letter and the rule that read it; without a letter, the rule says why."""

    letter: str | None
    """A letter of the offered options, or None."""
    rule: str
    """"whole", "marker", "first_line", "option_text", "last_sentence"; or "unclosed_thought", "conflict",
    "none"."""


def read_letter(text: str, options: Sequence[Option], *, cut: bool) -> Reading:
    """Read which of `options` a reply chooses. Pure, and linear in the reply's length.

    Args:
        text: What the model said, whole.
        options: As they were shown.
        cut: The reply ends because of the length limit: its last words are no conclusion.
    """
    try:
        reader = _Reader(plain(text), options)
    except UnclosedThoughtError:
        return Reading(None, "unclosed_thought")
    rules = [
        ("whole", reader.whole),
        ("marker", reader.marker),
        ("first_line", reader.first_line),
        ("option_text", reader.option_text),
        ("last_sentence", reader.last_sentence),
    ]
    for name, rule in rules[: 3 if cut else None]:
        found = rule()
        if found == _CONFLICT:
            return Reading(None, _CONFLICT)
        if found is not None:
            return Reading(found, name)
    return Reading(None, _CONFLICT if reader.listing else "none")


class _Reader:
    """One reply. Each rule returns an offered letter, "conflict", or None when it does not apply."""

    def __init__(self, text: str, options: Sequence[Option]) -> None:
        self.text = text
        self.letters = frozenset(option.letter for option in options)
        named = [(bare(option.text), option.letter) for option in options]
        texts = [words for words, _ in named]
        # Longest first, so that "red and white" is not taken for "red". A text of two options says nothing.
        self.texts = sorted(
            ((words, letter) for words, letter in named if words and texts.count(words) == 1),
            key=lambda pair: -len(pair[0]),
        )
        self.reach = _TAIL + max((len(option.text) for option in options), default=0)
        self.listing = False
        """Lines open with different letters: the options are repeated, or there are several answers."""

    def whole(self) -> str | None:
        if len(self.text) > 200:
            return None
        return self._offered(re.sub(r"^[\W_]+|[\W_]+$", "", self.text))

    def marker(self) -> str | None:
        strong = next(self._marked(patterns.STRONG), None)
        if strong is not None:
            return strong
        weak = set(self._marked(patterns.WEAK))
        return weak.pop() if len(weak) == 1 else None

    def first_line(self) -> str | None:
        lines = self._lines()
        first = self._opening(lines[0]) if lines else None
        if first is None:
            return _CONFLICT if lines and self._opens_with_another_text(lines[0]) else None
        self.listing = any(self._opening(line) not in (None, first) for line in lines[1:])
        return None if self.listing else first

    def option_text(self) -> str | None:
        words = bare(self.text[: self.reach])
        for text, letter in self.texts:
            if words == text:
                return letter
        return self._clause(self.text)

    def last_sentence(self) -> str | None:
        lines = self._lines()
        openings = [self._opening(line) for line in lines]
        alone = [self._offered(line.strip(" .():[]")) for line in lines]
        listed = {o for o, a in zip(openings, alone, strict=True) if o and not a}
        bare_letters = {a for a in alone if a}
        kept = [
            line
            for line, opening, letter in zip(lines, openings, alone, strict=True)
            if not (opening and (len(bare_letters) > 1 if letter else len(listed) > 1))
        ]
        sentences = [s for s in patterns.SENTENCE_END.split("\n".join(kept)) if s and re.search(r"\w", s)]
        capitals = list(self._capitals(sentences[-1][-2000:])) if sentences else []
        answers = {letter for letter, free in capitals if free}
        others = {letter for letter, free in capitals if not free and letter not in _ARTICLES}
        if answers and len(answers | others) > 1:
            return _CONFLICT
        return answers.pop() if answers else None

    # ---------------------------------------------------------------------------------- what the rules share

    def _lines(self) -> list[str]:
        """The lines that say something; options that are listed within a line are lines, too."""
        return [line for line in patterns.LINE_END.split(self.text) if re.search(r"\w", line)]

    def _offered(self, word: str) -> str | None:
        return word.upper() if len(word) == 1 and word.upper() in self.letters else None

    def _marked(self, markers: str) -> Iterator[str]:
        """What the markers say, last first: letters, or "conflict". Negated ones say nothing."""
        rejected: set[str] = set()
        for found in reversed(list(re.finditer(markers, self.text, re.IGNORECASE))[-_MARKERS:]):
            tail = self.text[found.end() : found.end() + self.reach]
            if (after := patterns.AFTER.match(tail)) is None:
                continue
            before = self.text[max(0, found.start() - 24) : found.start()]
            negated = after["negated"] or patterns.NEGATED_BEFORE.search(before)
            letter = self._offered(after["letter"] or "")
            rest = tail[after.end() :]
            if letter is None:
                start = after.start("letter") if after["letter"] else after.end()
                chosen = self._clause(tail[start:])
                if chosen and not negated:
                    yield chosen
                continue
            if negated or patterns.REJECTED.match(rest):
                rejected.add(letter)
            elif (
                letter in rejected
                or self._has_alternative(letter, before, rest)
                or self._contradicts(letter, rest)
            ):
                yield _CONFLICT
            elif "\n" not in after[0] or not self._starts_list(letter, rest):
                yield letter

    def _has_alternative(self, letter: str, before: str, rest: str) -> bool:
        others = (patterns.LETTER_BEFORE.search(before), patterns.OTHER_LETTER.match(rest))
        return any(other is not None and other["letter"] in self.letters - {letter} for other in others)

    def _contradicts(self, letter: str, rest: str) -> bool:
        """The letter of one option, then the whole text of another: "A. No" where A is Yes."""
        text = re.match(r"[)\]]?\s*[.:,)\-\u2013\u2014]\s*", rest)
        chosen = self._clause(rest[text.end() :]) if text else None
        return chosen is not None and chosen != letter

    def _starts_list(self, letter: str, rest: str) -> bool:
        return any(self._opening(line) not in (None, letter) for line in rest.split("\n")[1:])

    def _opening(self, line: str) -> str | None:
        """The letter that a line opens with: alone, with a full stop, or before its option's text."""
        found = patterns.OPENING.match(line[: self.reach])
        letter = self._offered(found["letter"]) if found else None
        if found is None or letter is None:
            return None
        rest = line[found.end() :][: self.reach]
        if not rest.strip(" .):]"):
            return letter
        if self._has_alternative(letter, "", line[found.end("letter") :][: self.reach]):
            return None
        chosen = self._clause(rest)
        marked = found["letter"].isupper() and found["mark"].strip() not in ("", ",", "-", "\u2013", "\u2014")
        return letter if chosen == letter or (marked and chosen is None) else None

    def _opens_with_another_text(self, line: str) -> bool:
        """As in "A. No", where A is Yes."""
        found = patterns.OPENING.match(line[: self.reach])
        letter = self._offered(found["letter"]) if found else None
        if found is None or letter is None or not found["mark"].strip():
            return False
        return self._clause(line[found.end() :]) not in (None, letter)

    def _clause(self, text: str) -> str | None:
        """The option whose text is the first clause of `text`; "conflict" where a second one follows."""
        words = re.sub(r"^(?:[\s\"'(\[]|(?:an?|the)\s)+", "", text[: self.reach], flags=re.IGNORECASE)
        words = re.sub(r"[\-\u2010-\u2015](?=\w)|[ \t]+", " ", words)
        flat = words.lower()
        for option, letter in self.texts:
            if not flat.startswith(option):
                continue
            if self._goes_on_with_another(letter, words[len(option) :]):
                return _CONFLICT
            if patterns.CLAUSE_END.match(flat, len(option)):
                return letter
        return None

    def _goes_on_with_another(self, letter: str, rest: str) -> bool:
        """As in "Red, white and blue" or "Crack and B. Scratch"."""
        joint = re.match(r"\s*(?:,|/|and\b|or\b)\s*(?:and\b|or\b)?\s*\(?", rest)
        if joint is None:
            return False
        follows = rest[joint.end() :]
        other = re.match(r"[A-Z](?![A-Za-z0-9'-])(?!\s+[a-z])", follows)
        if other and other[0] in self.letters:
            return other[0] != letter
        flat = follows.lower()
        return any(
            flat.startswith(text) and not flat[len(text) : len(text) + 1].isalnum()
            for text, owner in self.texts
            if owner != letter
        )

    def _capitals(self, sentence: str) -> Iterator[tuple[str, bool]]:
        """Capital letters of a sentence, and whether each may be an answer: no word goes on from it."""
        for found in patterns.CAPITAL.finditer(sentence):
            before = sentence[max(0, found.start() - 60) : found.start()]
            clause = re.split(r"[,;:.]|\bbut\b|而是", before)[-1]
            if (
                found["letter"] in self.letters
                and not re.search(patterns.NEGATION, clause)
                and not patterns.NAMED.search(before)
                and not patterns.REJECTED.match(sentence, found.end())
            ):
                yield found["letter"], found["free"] is not None
