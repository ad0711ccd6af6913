"""Reads the hub copy's metadata.csv: one row a question, no question types, one similar template an image."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from orchestrator.dataset import entry, places
from orchestrator.dataset.entry import EntryError, Pool
from orchestrator.errors import DataError
from orchestrator.vocabulary import Question, Sample

_COLUMNS: Final = ("query_image", "question", "options", "answer", "template_image", "mask")
_OPTION: Final = re.compile(r"\s*([A-Z])\s*:\s?(.*)")


def read(path: Path, on_broken: Callable[[DataError], None] | None = None) -> Iterator[Sample]:
    """Yield the samples of a metadata.csv, in the order in which their images first appear.

    Args:
        path: the file.
        on_broken: is told of each broken row, which is then left out; without it the first one is raised.

    Raises:
        DataError: a column is missing, or a row is broken; names the line.
        OSError: the file cannot be read.
    """
    pool = Pool()
    questions: dict[str, list[Question]] = {}
    companions: dict[str, tuple[str, str]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            _check_columns(path, rows.fieldnames or ())
            for row in rows:
                try:
                    _add(pool, row, questions, companions)
                except EntryError as error:
                    key = row["query_image"] or ""
                    broken = DataError(f"{path}, line {rows.reader.line_num}: {key!r}: {error}.")
                    if on_broken is None:
                        raise broken from None
                    on_broken(broken)
        except csv.Error as error:
            raise DataError(f"{path}, line {rows.reader.line_num}: broken CSV: {error}.") from None
        except UnicodeDecodeError:
            raise DataError(places.not_utf8(path)) from None
    for key, asked in questions.items():
        dataset, product, kind = entry.names(key)
        template, mask = companions[key]
        yield Sample(
            key=key,
            dataset=pool.string(dataset),
            product=pool.string(product),
            defect_kind=pool.string(kind),
            abnormal=entry.is_abnormal(key),
            questions=tuple(asked),
            mask=mask,
            random_templates=(),
            similar_templates=(template,) if template else (),
        )


def _check_columns(path: Path, given: Sequence[str]) -> None:
    absent = [name for name in _COLUMNS if name not in given]
    if absent:
        raise DataError(
            f"{path}, line 1: no column {', '.join(absent)}; the first line should name the columns "
            f"{', '.join(_COLUMNS)}."
        )


def _add(
    pool: Pool,
    row: dict[str, str | None],
    questions: dict[str, list[Question]],
    companions: dict[str, tuple[str, str]],
) -> None:
    if any(name is None for name in row) or any(row[name] is None for name in _COLUMNS):
        raise EntryError(f"should have {len(_COLUMNS)} fields or as many as the first line")
    key, text, options, answer, template, mask = (row[name] or "" for name in _COLUMNS)
    entry.names(key)
    beside = (
        pool.string(entry.safe(template)) if template else "",
        entry.safe(mask.rstrip("/")) if mask else "",
    )
    asked = questions.get(key, [])
    asked.append(entry.question(pool, len(asked), text, None, _options(options), answer.strip()))
    questions[key] = asked
    companions.setdefault(key, beside)


def _options(text: str) -> list[tuple[str, str]]:
    """Parse lines of "A: text"; a line without a letter continues the one before."""
    options: list[tuple[str, str]] = []
    for line in text.splitlines():
        found = _OPTION.fullmatch(line)
        if found:
            options.append((found[1], found[2]))
        elif options:
            options[-1] = (options[-1][0], f"{options[-1][1]}\n{line}")
        elif line.strip():
            raise EntryError(f'options should be lines like "A: text", not {line!r}')
    return options
