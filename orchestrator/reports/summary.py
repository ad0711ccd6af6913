"""`summary.json`: what a program needs to know of a run.

Three parts: `run` (what was asked, and who), `scores` (a function of the answers alone, the same for the same
answers, byte for byte) and `execution` (what it took: sessions, attempts, tokens, seconds, versions).
"""

from __future__ import annotations

from typing import Any

from orchestrator.hints.label import sentence
from orchestrator.results import Run
from orchestrator.scoring.summary import comparisons_to_json, to_json

VERSION = 1


def summary(run: Run) -> dict[str, Any]:
    """Return the content of summary.json."""
    journal, models = run.journal, run.models
    note = " ".join(filter(None, (run.part, sentence(run.hints))))
    return {
        "version": VERSION,
        "run": {
            **journal.meta("identity"),
            **({"note": note} if note else {}),
            "models": {
                model.name: {"shots": model.shots, "identity": model.identity, "card": model.card}
                for model in models
            },
        },
        "scores": {
            "protocol": "strict",
            "models": {name: to_json(scores) for name, scores in sorted(run.scores.items())},
            "references": {name: to_json(scores) for name, scores in run.references.items()},
            "comparisons": comparisons_to_json(run.comparisons),
        },
        "execution": {
            "data": journal.meta("root"),
            "sessions": journal.sessions(),
            "models": {model.name: journal.execution(model.name) for model in models},
        },
    }
