"""Reads mmad.json entry by entry, so that the file is never in memory as a whole beside its result.

The streaming parser knows no line numbers; `places` finds them where something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import ijson

from orchestrator.dataset import entry, places
from orchestrator.dataset.entry import BrokenEntryError, EntryError, Faults, Pool
from orchestrator.dataset.places import KeyLines
from orchestrator.errors import DataError, near_matches
from orchestrator.vocabulary import Question, QuestionType, Sample

_TYPES: Final = {kind.value: kind for kind in QuestionType}
_TEMPLATES: Final = ("random_templates", "similar_templates")
_ENTRY_FIELDS: Final = {"image_path", "conversation", "mask_path", *_TEMPLATES}
_QUESTION_FIELDS: Final = {"Question", "Answer", "Options", "type", "annotation"}
_DEEPEST: Final = 32
"""Levels of objects and lists; MMAD's entries have five."""
_WORDS: Final[dict[type[Any], str]] = {list: "a list", dict: "an object", str: "a text"}


def read(path: Path) -> Iterator[Sample | BrokenEntryError]:
    """Yield the samples of an mmad.json, in the file's order, and before each what is wrong with it.

    A sample of which something is wrong holds the rest; there is none where its key is unusable or
    there twice.

    Raises:
        DataError: broken JSON (with line and column), or an entry nested too deeply.
        OSError: the file cannot be read.
    """
    pool, seen, lines = Pool(), set[str](), KeyLines(path)
    with path.open("rb") as file:
        _begin(file, path)
        try:
            events = _shallow(ijson.basic_parse(file, use_float=True), path, lines)
            for key, value in ijson.kvitems(ijson.parse(events), ""):
                faults, again = Faults(), key in seen
                if again:
                    faults.found.append(("", f"is there twice; before in line {lines.first(key)}"))
                sample = _sample(pool, key, value, faults)
                for part, detail in faults.found:
                    line = lines.last(key) if again else lines.first(key)
                    yield BrokenEntryError(f"{path}, line {line}", key, part, detail)
                if sample is not None and not again:
                    yield sample
                seen.add(key)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise DataError(places.broken_json(path, error)) from None


def _sample(pool: Pool, key: str, value: object, faults: Faults) -> Sample | None:
    names = faults.attempt("", entry.names, key)
    fields = faults.attempt("", _object, value)
    if fields is None:
        return None
    conversation = faults.attempt("questions", _field, fields, "conversation", list) or ()
    questions = [
        faults.attempt("questions", _question, pool, index, item, where=f"question {index}: ")
        for index, item in enumerate(conversation)
    ]
    mask = faults.attempt("mask", _mask, fields)
    random, similar = (_templates(pool, fields, name, faults) for name in _TEMPLATES)
    if names is None:
        return None
    dataset, product, kind = names
    return Sample(
        key=key,
        dataset=pool.string(dataset),
        product=pool.string(product),
        defect_kind=pool.string(kind),
        abnormal=entry.is_abnormal(key),
        questions=tuple(question for question in questions if question is not None),
        mask=mask or "",
        random_templates=random,
        similar_templates=similar,
    )


def _question(pool: Pool, index: int, item: object) -> Question:
    fields, faults = _object(item), Faults()
    text = faults.attempt("", _field, fields, "Question", str)
    answer = faults.attempt("", _field, fields, "Answer", str)
    kind = faults.attempt("", _type, fields)
    options = faults.attempt("", _field, fields, "Options", dict)
    pairs = None if options is None else list(options.items())
    wrong = (detail for _, detail in faults.found)
    return entry.question(pool, index, text, kind, pairs, answer, wrong)


def _type(fields: dict[str, Any]) -> QuestionType:
    name = _field(fields, "type", str)
    try:
        return _TYPES[name]
    except KeyError:
        raise EntryError(f"type {name!r} is unknown{_perhaps(name, _TYPES)}") from None


def _mask(fields: dict[str, Any]) -> str:
    mask = fields.get("mask_path") or ""
    if not isinstance(mask, str):
        raise EntryError("'mask_path' should be a text")
    return entry.safe(mask.rstrip("/")) if mask else ""


def _templates(pool: Pool, fields: dict[str, Any], name: str, faults: Faults) -> tuple[str, ...]:
    listed = faults.attempt(name, _field, fields, name, list) or ()
    if not all(isinstance(path, str) for path in listed):
        faults.found.append((name, f"{name!r} should hold texts only"))
    paths = (path for path in listed if isinstance(path, str))
    safe = (faults.attempt(name, entry.safe, path, where=f"{name!r}: ") for path in paths)
    return tuple(pool.string(path) for path in safe if path is not None)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EntryError("it should be an object ({...})")
    return value


def _field(fields: dict[str, Any], name: str, kind: type[Any]) -> Any:
    if name not in fields:
        raise EntryError(
            f"{name!r} is missing{_perhaps(name, fields.keys() - _ENTRY_FIELDS - _QUESTION_FIELDS)}"
        )
    if not isinstance(fields[name], kind):
        raise EntryError(f"{name!r} should be {_WORDS[kind]}")
    return fields[name]


def _perhaps(name: str, others: Iterable[str]) -> str:
    near = near_matches(name, others)
    return f".{near}" if near else ""


def _begin(file: BinaryIO, path: Path) -> None:
    """Skip a byte order mark, and check that an object follows, for the parser would take a list as empty."""
    start = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
    file.seek(start)
    head = file.read(4096).lstrip()
    if head and not head.startswith(b"{"):
        raise DataError(
            f"{path}: should be one JSON object, query image to entry; starts with {chr(head[0])!r}."
        )
    file.seek(start)


def _shallow(events: Iterable[tuple[str, Any]], path: Path, lines: KeyLines) -> Iterator[tuple[str, Any]]:
    """Pass the parser's events on; refuse nesting in which each level would cost as much as all above it."""
    key, depth = "", 0
    for event in events:
        name, value = event
        if name == "map_key" and depth == 1:
            key = value
        elif name.startswith("start_"):
            depth += 1
            if depth > _DEEPEST:
                raise DataError(f"{path}, line {lines.first(key)}: {key!r}: is nested too deeply.")
        elif name.startswith("end_"):
            depth -= 1
        yield event
