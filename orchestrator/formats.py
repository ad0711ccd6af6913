"""The choices that verbs offer besides a run's settings; apart from their modules, so that help is quick."""

from __future__ import annotations

import enum


class ExportFormat(enum.StrEnum):
    """How `export` writes its rows: a JSON array, CSV with a header, or a parquet table."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class ScoringProtocol(enum.StrEnum):
    """How answers are scored: every question of the plan counts, or MMAD's published way."""

    STRICT = "strict"
    MMAD = "mmad"
