"""`orchestrator export`: every answer of a run with its raw text and all that is known of it, row by row."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from orchestrator.atomic import replacing
from orchestrator.errors import UserError
from orchestrator.formats import ExportFormat
from orchestrator.results import Run

_ROWS_PER_GROUP = 5_000  # parquet's unit of work: bounds the memory


def export(run: Run, form: ExportFormat, path: Path) -> int:
    """Write every answer to `path`, which is complete or not there; return how many there are.

    Raises:
        UserError: if parquet is asked for and pyarrow is not installed.
    """
    with contextlib.closing(run.rows()) as rows:  # before the journal is, also when the disk is full
        if form is ExportFormat.PARQUET:
            return _parquet(rows, path)
        with replacing(path) as file:
            return (_json if form is ExportFormat.JSON else _csv)(rows, file)


def _json(rows: Iterator[dict[str, Any]], file: IO[str]) -> int:
    count = 0
    file.write("[")
    for count, row in enumerate(rows, start=1):
        file.write(("\n" if count == 1 else ",\n") + json.dumps(row, ensure_ascii=False))
    file.write("\n]\n")
    return count


def _csv(rows: Iterator[dict[str, Any]], file: IO[str]) -> int:
    writer = csv.DictWriter(file, list(_COLUMNS), lineterminator="\n")
    writer.writeheader()
    count = 0
    for row in map(_flat, rows):
        writer.writerow(row)
        count += 1
    return count


def _parquet(rows: Iterator[dict[str, Any]], path: Path) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError("--format parquet needs pyarrow: pip install 'mmad-orchestrator[frames]'") from None
    count = 0
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _COLUMNS.items()])
    with replacing(path, "wb") as file, pq.ParquetWriter(file, schema) as writer:
        flat = map(_flat, rows)
        while group := list(itertools.islice(flat, _ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
            count += len(group)
    return count


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Write the maps and lists of a row as JSON: a table has no place for them."""
    maps = {
        name: json.dumps(row[name], ensure_ascii=False) for name in ("options", "option_scores", "images")
    }
    return row | maps


_TEXTS = (
    "model question_id inspection_id key dataset product type question options original_letters correct "
    "outcome letter original_letter original_correct rule text reasoning prompt finish_reason failure "
    "option_scores images hints"
)
_COUNTS = "number rotation repeat prompt_tokens completion_tokens cached_prompt_tokens reasoning_tokens"
_SECONDS = "queue_seconds encode_seconds generate_seconds seconds"
_COLUMNS = (
    dict.fromkeys(_TEXTS.split(), "string")
    | dict.fromkeys(_COUNTS.split(), "int64")
    | dict.fromkeys(_SECONDS.split(), "float64")
    | {"abnormal": "bool", "right": "bool"}
)
