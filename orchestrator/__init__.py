"""Asks multimodal models about industrial images, and scores what they say.

What the verbs of the command line do, for notebooks:

    from orchestrator import RunOptions, prepare, run, open_run

    options = RunOptions(data="sample", local=["chance"], limit=20)
    plan = prepare(options)                  # what will be asked
    with run(options, plan) as done:         # asks, keeps, scores
        done.answers_frame()                 # pandas, one row per answer
        done.scores_frame()                  # accuracies with intervals

Names are imported when they are used: importing the package loads no library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.dataset.reading import read as read_dataset
    from orchestrator.errors import UserError
    from orchestrator.merging import merge
    from orchestrator.options import Protocol, RunOptions
    from orchestrator.plan import Plan, build_plan
    from orchestrator.results import Run, open_run
    from orchestrator.session import prepare, run

__all__ = [
    "Plan",
    "Protocol",
    "Run",
    "RunOptions",
    "UserError",
    "build_plan",
    "merge",
    "open_run",
    "prepare",
    "read_dataset",
    "run",
]

_HOMES = {
    "Plan": "plan",
    "Protocol": "options",
    "Run": "results",
    "RunOptions": "options",
    "UserError": "errors",
    "build_plan": "plan",
    "merge": "merging",
    "open_run": "results",
    "prepare": "session",
    "read_dataset": "dataset.reading",
    "run": "session",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    module = importlib.import_module(f"orchestrator.{_HOMES[name]}")
    return getattr(module, "read" if name == "read_dataset" else name)
