"""The choices that verbs offer besides a run's settings; apart from their modules, so that help is quick."""

from __future__ import annotations

import enum
from typing import Literal


class ExportFormat(enum.StrEnum):
    """How `export` writes its rows: a JSON array, CSV with a header, or a parquet table."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


ScoringProtocol = Literal["strict", "mmad"]
"""How answers are scored: every question of the plan counts, or MMAD's published way."""
