"""What a run with hints is called wherever it is shown: its scores are not those of the models alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def label(hints: Mapping[str, Any]) -> str:
    """Return one word for a run's hints, as its identity has them: "oracle", "hints", or "" without any."""
    if not hints:
        return ""
    return "oracle" if hints["source"] == "ground-truth" else "hints"


def sentence(hints: Mapping[str, Any]) -> str:
    """Say to people what the label means; "" for a run without hints."""
    style = hints.get("style")
    return {
        "": "",
        "oracle": f"ORACLE: the models were shown the true defects ({style}): the scores are not their own.",
        "hints": f"With hints: the models were shown an anomaly detector's output ({style}).",
    }[label(hints)]
