"""What a run leaves in its folder besides the journal; all of it can be made again from the journal."""

from __future__ import annotations

import json

from orchestrator.atomic import replacing
from orchestrator.hints.label import label
from orchestrator.journal.reader import StoredModel
from orchestrator.reports.summary import summary
from orchestrator.results import SUMMARY_FILE, Run
from orchestrator.scoring import answers_file
from orchestrator.scoring.mmad_protocol import accuracy_csv


def write_files(run: Run) -> None:
    """Write each model's answers and accuracies in MMAD's form, and summary.json.

    Raises:
        RunError: if the folder cannot be written. The journal holds everything; the same command goes on.
    """
    texts = run.journal.texts()
    for model in run.models:
        stem = answers_stem(run, model)
        answers_file.write(run.records(model.name), texts, run.folder / f"{stem}.json")
        with replacing(run.folder / f"{stem}_accuracy.csv") as file:
            file.write(accuracy_csv(run.records(model.name)))
    with replacing(run.folder / SUMMARY_FILE) as file:
        json.dump(summary(run), file, indent=1, ensure_ascii=False)
        file.write("\n")


def answers_stem(run: Run, model: StoredModel) -> str:
    """Name a model's files as MMAD does, by the templates that it really had, and say what it is not.

    That is: with hints if it had any, and of a shard if they are not all answers.
    """
    part = f"shard_{run.shard.index}_of_{run.shard.count}" if run.shard else ""
    words = ("answers", f"{model.shots}_shot", label(run.hints), part, model.name)
    return "_".join(filter(None, words))
