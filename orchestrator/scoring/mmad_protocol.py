"""MMAD's own way of scoring, as its published tables were made, so that results can be laid beside them.

Two differences from the strict protocol decide: an entry whose right or given answer is not one of A to E
leaves the denominator, and a cell without questions counts 0. MMAD's script also skips the entry that follows
each such entry (it removes from the list it walks through); that is a fault and is not repeated here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Final

from orchestrator.scoring.cells import COLUMNS, UNTYPED, Column
from orchestrator.scoring.intervals import point_figures
from orchestrator.scoring.tally import tally
from orchestrator.vocabulary import Record

LETTERS: Final = frozenset("ABCDE")
CSV_COLUMNS: Final = tuple(column for column in COLUMNS if column is not Column.ALL_QUESTIONS)


def counts(record: Record) -> bool:
    """Whether MMAD counts this record.

    Both answers are letters, and it is the one that MMAD's file would hold: first repeat, not rotated.
    """
    return (
        record.repeat == 0 and record.rotation == 0 and record.letter in LETTERS and record.correct in LETTERS
    )


def accuracy_csv(records: Iterable[Record]) -> str:
    """Return the table of one model, scored MMAD's way, in the published layout.

    Without question types nothing of it exists: all figures are then empty, not 0.
    """
    table = tally(record for record in records if counts(record))
    if not table.images:
        return table_csv({})
    if not table.asked[:, :UNTYPED].any():
        return table_csv({name: {} for name in dict.fromkeys(image.dataset for image in table.images)})
    parts, values = point_figures(table, empty_counts_zero=True)
    names = [*parts.dataset_names, Column.AVERAGE]
    return table_csv(
        {name: dict(zip(COLUMNS, row, strict=True)) for name, row in zip(names, values, strict=False)}
    )


def table_csv(rows: Mapping[str, Mapping[Column, float]]) -> str:
    """Return figures in the layout of MMAD's published tables.

    Rows are data sets (MMAD's four in its order, then others by name), then "Average"; the index has an empty
    header. Percent, with all digits; a figure that does not exist is empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["", *CSV_COLUMNS])
    for name, row in rows.items():
        writer.writerow([name, *(repr(float(row[c])) if c in row else "" for c in CSV_COLUMNS)])
    return out.getvalue()
