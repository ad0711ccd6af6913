"""Reads the hub copy's metadata.csv: one row a question, no question types, one similar template an image."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from orchestrator.dataset import entry, places
from orchestrator.dataset.entry import BrokenEntryError, EntryError, Faults, Pool
from orchestrator.errors import DataError
from orchestrator.vocabulary import Question, Sample

_COLUMNS: Final = ("query_image", "question", "options", "answer", "template_image", "mask")
_OPTION: Final = re.compile(r"\s*([A-Z])\s*:\s?(.*)")


class _Image:
    """What the rows of one image say together; its first row names the template and the mask."""

    def __init__(self, template: str, mask: str) -> None:
        self.template = template
        self.mask = mask
        self.questions: list[Question | None] = []
        """None for one that is broken."""


def read(path: Path) -> Iterator[Sample | BrokenEntryError]:
    """Yield what is wrong with a metadata.csv's rows, then its samples, in the order of their first rows.

    A sample of which something is wrong holds the rest; there is none where its key is unusable.

    Raises:
        DataError: a column is missing, or the file is no CSV in UTF-8; names the line.
        OSError: the file cannot be read.
    """
    pool = Pool()
    images: dict[str, _Image] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            _check_columns(path, rows.fieldnames or ())
            for row in rows:
                faults = Faults()
                faults.attempt("", _add, pool, row, images, faults)
                for part, detail in faults.found:
                    place = f"{path}, line {rows.reader.line_num}"
                    yield BrokenEntryError(place, row["query_image"] or "", part, detail)
        except csv.Error as error:
            raise DataError(f"{path}, line {rows.reader.line_num}: broken CSV: {error}.") from None
        except UnicodeDecodeError:
            raise DataError(places.not_utf8(path)) from None
    for key, image in images.items():
        dataset, product, kind = entry.names(key)
        yield Sample(
            key=key,
            dataset=pool.string(dataset),
            product=pool.string(product),
            defect_kind=pool.string(kind),
            abnormal=entry.is_abnormal(key),
            questions=tuple(question for question in image.questions if question is not None),
            mask=image.mask,
            random_templates=(),
            similar_templates=(image.template,) if image.template else (),
        )


def _check_columns(path: Path, given: Sequence[str]) -> None:
    absent = [name for name in _COLUMNS if name not in given]
    if absent:
        raise DataError(
            f"{path}, line 1: no column {', '.join(absent)}; the first line should name the columns "
            f"{', '.join(_COLUMNS)}."
        )


def _add(pool: Pool, row: dict[str, str | None], images: dict[str, _Image], faults: Faults) -> None:
    if any(name is None for name in row) or any(row[name] is None for name in _COLUMNS):
        raise EntryError(f"should have {len(_COLUMNS)} fields or as many as the first line")
    key, text, options, answer, template, mask = (row[name] or "" for name in _COLUMNS)
    named = faults.attempt("", entry.names, key)
    template = (faults.attempt("similar_templates", entry.safe, template) if template else "") or ""
    mask = (faults.attempt("mask", entry.safe, mask.rstrip("/")) if mask else "") or ""
    image = images.get(key) or _Image(pool.string(template), mask)
    index, answer = len(image.questions), answer.strip()
    image.questions.append(faults.attempt("questions", _question, pool, index, text, options, answer))
    if named is not None:
        images[key] = image


def _question(pool: Pool, index: int, text: str, options: str, answer: str) -> Question:
    faults = Faults()
    pairs = faults.attempt("", _options, options)
    return entry.question(pool, index, text, None, pairs, answer, (detail for _, detail in faults.found))


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
