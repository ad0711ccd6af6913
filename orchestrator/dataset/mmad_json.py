"""Reads mmad.json entry by entry, so that the file is never in memory as a whole beside its result.

The streaming parser knows no line numbers; `places` finds them where something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import ijson

from orchestrator.dataset import entry, places
from orchestrator.dataset.entry import EntryError, Pool
from orchestrator.dataset.places import KeyLines
from orchestrator.errors import DataError, near_matches
from orchestrator.vocabulary import Question, QuestionType, Sample

_TYPES: Final = {kind.value: kind for kind in QuestionType}
_DEEPEST: Final = 32
"""Levels of objects and lists; MMAD's entries have five."""
_WORDS: Final[dict[type[Any], str]] = {list: "a list", dict: "an object", str: "a text"}


def read(path: Path, on_broken: Callable[[DataError], None] | None = None) -> Iterator[Sample]:
    """Yield the samples of an mmad.json, in the file's order.

    Args:
        path: the file.
        on_broken: is told of each broken entry, which is then left out; without it the first one is raised.

    Raises:
        DataError: broken JSON (with line and column), a broken entry (with its line and key), a key twice.
        OSError: the file cannot be read.
    """
    pool, seen, lines = Pool(), set[str](), KeyLines(path)
    with path.open("rb") as file:
        _begin(file, path)
        try:
            events = _shallow(ijson.basic_parse(file, use_float=True), path, lines)
            for key, value in ijson.kvitems(ijson.parse(events), ""):
                try:
                    if key in seen:
                        raise EntryError(f"is there twice; before in line {lines.first(key)}")
                    yield _sample(pool, key, value)
                except EntryError as error:
                    line = lines.last(key) if key in seen else lines.first(key)
                    broken = DataError(f"{path}, line {line}: {key!r}: {error}.")
                    if on_broken is None:
                        raise broken from None
                    on_broken(broken)
                seen.add(key)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise DataError(places.broken_json(path, error)) from None


def _sample(pool: Pool, key: str, value: object) -> Sample:
    dataset, product, kind = entry.names(key)
    fields = _object(value, "it")
    conversation = _field(fields, "conversation", list)
    return Sample(
        key=key,
        dataset=pool.string(dataset),
        product=pool.string(product),
        defect_kind=pool.string(kind),
        abnormal=entry.is_abnormal(key),
        questions=tuple(_question(pool, index, item) for index, item in enumerate(conversation)),
        mask=_mask(fields),
        random_templates=_templates(pool, fields, "random_templates"),
        similar_templates=_templates(pool, fields, "similar_templates"),
    )


def _question(pool: Pool, index: int, item: object) -> Question:
    try:
        fields = _object(item, "it")
        text, answer = _field(fields, "Question", str), _field(fields, "Answer", str)
        kind = _type(_field(fields, "type", str))
        options = list(_field(fields, "Options", dict).items())
        for letter, option in options:
            if not isinstance(option, str):
                raise EntryError(f"option {letter!r} should be a text")
        return entry.question(pool, index, text, kind, options, answer)
    except EntryError as error:
        raise EntryError(f"question {index}: {error}") from None


def _type(name: str) -> QuestionType:
    try:
        return _TYPES[name]
    except KeyError:
        raise EntryError(f"type {name!r} is unknown.{near_matches(name, _TYPES)}".rstrip(".")) from None


def _mask(fields: dict[str, Any]) -> str:
    mask = fields.get("mask_path") or ""
    if not isinstance(mask, str):
        raise EntryError("'mask_path' should be a text")
    return entry.safe(mask.rstrip("/")) if mask else ""


def _templates(pool: Pool, fields: dict[str, Any], name: str) -> tuple[str, ...]:
    paths = _field(fields, name, list)
    if not all(isinstance(path, str) for path in paths):
        raise EntryError(f"{name!r} should hold texts only")
    return tuple(pool.string(entry.safe(path)) for path in paths)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EntryError(f"{what} should be an object ({{...}})")
    return value


def _field(fields: dict[str, Any], name: str, kind: type[Any]) -> Any:
    if name not in fields:
        raise EntryError(f"{name!r} is missing{near_matches(name, fields).rstrip('?')}")
    if not isinstance(fields[name], kind):
        raise EntryError(f"{name!r} should be {_WORDS[kind]}")
    return fields[name]


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
