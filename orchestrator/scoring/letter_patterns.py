"""The words and marks by which the letter reader's rules find a letter; `letters` says what they mean.

Boundaries are ASCII, as Chinese has no spaces: "选B" is a marker and a letter. No expression repeats a part
that can match in two ways, so that a hostile reply costs no more than its length.
"""

from __future__ import annotations

import re
from typing import Final

# Words that may follow a letter which is an answer: "B because ...", "A is correct".
_CONNECTIVE: Final = (
    r"(?:because|since|as|and|or|but|is|was|due|based|given|rather|instead|not|seems?|fits?|matches|applies|"
    r"here|looks|would|for|which|can|could|cannot|it\s+is)\b"
)
_NO_WORD_FOLLOWS: Final = rf"(?![A-Za-z0-9'_-])(?!\s+(?!{_CONNECTIVE})[a-z])"
# Whether what follows, or precedes, is denied.
NEGATION: Final = (
    r"(?i:\b(?:not|never|neither|nor|cannot|without|than)\b|n't\b|\binstead\s+of\b|\brule\s+out\b|不|非|没)"
)
# After a letter: "A is not ...", "A can be ruled out".
REJECTED: Final = re.compile(
    r"\s*(?:is|was|are|can|could|would|does|should|must)?\s*(?:also\s+|clearly\s+|be\s+)*"
    r"(?:not\b(?!\s+only)|n't\b|isn't\b|cannot\b|can't\b|doesn't\b|wouldn't\b|wrong\b|incorrect\b|excluded\b"
    r"|ruled\s+out\b|unlikely\b|false\b|不)"
)
# What may stand between a marker and its letter.
_FILLER: Final = (
    r"(?:[\s:=>→(\[\-\u2013\u2014]"
    r"|(?:is|was|be|are|would|should|could|might|may|must|will|to|with|the|my|one|either|only|most|likely|probably"
    r"|therefore|thus|clearly|definitely|correct|final|best|number|option|choice|letter|answer)\b"
    r"|(?:应该|应当|应|该|就|是|为|选|择|项)"
    r"|(?P<negated>(?:not|never|neither|cannot|can't|isn't|won't|wouldn't|shouldn't)\b|并?不(?:是|能|应|会)?|非))"
)
# What announces the answer.
STRONG: Final = (
    r"(?<![A-Za-z])(?:answer|ans\.|ans|boxed|letter|choose|chose|select|selected|selected_option|pick|go\s+with|result"
    r"|(?:correct|best|right|final|selected|chosen|suitable|appropriate)[\s_]+(?:option|choice|description)"
    r"|(?:choose|select|pick|with)\s+option|final|correct(?=\s*:))(?![A-Za-z])"
    r"|答案?|而是|选择|选项?"
)
# What may announce the answer, or an option that is then rejected.
WEAK: Final = r"(?<![A-Za-z])(?:option|choice)(?![A-Za-z])"
_LETTER: Final = rf"(?P<letter>[A-Za-z]){_NO_WORD_FOLLOWS}"
# After a marker: filler (atomic, so that nothing is tried twice), then a letter or something else.
AFTER: Final = re.compile(rf"(?>{_FILLER}{{0,40}})(?:{_LETTER})?")
# A second letter beside the first, after it and before it: "A or B".
OTHER_LETTER: Final = re.compile(
    rf"[)\].]?\s*(?:,|/|&|、|和|或|\band\b|\bor\b|\bnor\b)\s*(?:(?:option|boxed|or|and)\b[\s:]*)*\(?"
    rf"(?P<letter>[A-Z]){_NO_WORD_FOLLOWS}"
)
NEGATED_BEFORE: Final = re.compile(rf"{NEGATION}\s*(?:\w+\s+){{0,1}}$")
LETTER_BEFORE: Final = re.compile(r"(?<![A-Za-z])(?P<letter>[A-Z])[)\].]?\s*(?:/|&|和|或|\band\b|\bor\b)\s*$")
# How a line opens with a letter; the mark tells "A." from the article.
OPENING: Final = re.compile(
    r"\s*(?:\d{1,2}[.)])?[\s(\[<]*(?P<letter>[A-Za-z])(?P<mark>[\s)\]>]*[.:,)\]>、。\-\u2013\u2014]|\s*$|(?=\s))"
)
# What must follow an option's text for it to be the whole clause.
CLAUSE_END: Final = re.compile(r"\s*(?:$|[.,;:!?()\n。;、/]|\s[-\u2013\u2014]\s|(?:because|since|as|due)\b)")
# A full stop after a single letter ("B. Scratch") ends no sentence.
SENTENCE_END: Final = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)\s+(?![a-z])|(?<=[。!?])|\n+")
LINE_END: Final = re.compile(r"\n|(?<=[a-z][.;,])[^\S\n]+(?=\(?[A-Z][.:)]\s)")
# A capital that is a word; "free" when no other word goes on from it.
CAPITAL: Final = re.compile(
    rf"(?<![A-Za-z0-9'_/-])(?P<letter>[A-Z])(?P<free>{_NO_WORD_FOLLOWS})?(?![A-Za-z0-9'_/-])"
)
# A letter after these is a name.
NAMED: Final = re.compile(
    r"\b(?:image|figure|fig\.?|picture|photo|panel|sample|template|vitamin|region|area|part|side|view|point|label)\s$",
    re.IGNORECASE,
)
