"""`orchestrator score`: a run's folder or an answers file, scored anew by either protocol."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.atomic import replacing
from orchestrator.errors import DataError, NotSetUpError
from orchestrator.formats import ScoringProtocol
from orchestrator.hints.label import sentence
from orchestrator.results import MOST_FREQUENT_LETTER, open_run
from orchestrator.scoring import answers_file
from orchestrator.scoring.baselines import always, frequent_letters
from orchestrator.scoring.cells import Column
from orchestrator.scoring.mmad_protocol import table_csv
from orchestrator.scoring.paired import Pairs, compare_all
from orchestrator.scoring.summary import Scores, score, to_json
from orchestrator.scoring.tally import tally
from orchestrator.vocabulary import Record


@dataclasses.dataclass(frozen=True)
class Rescored:
    """The scores of one or several models; records can be read again, as often as need be."""

    scores: Mapping[str, Scores]
    records: Mapping[str, Callable[[], Iterator[Record]]]
    shots: Mapping[str, int]
    """Empty for an answers file, which does not say."""
    hints: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the models were shown, as in a run's identity; empty where that was nothing, or is not said."""
    part: str = ""
    """What part of a run this is, for people; "" if it is whole."""

    @property
    def references(self) -> Mapping[str, Scores]:
        """What needs no model, by the same protocol. Models of a run have their questions in common."""
        read = next(iter(self.records.values()))
        protocol = next(iter(self.scores.values())).protocol
        letters = frequent_letters(read())
        return {MOST_FREQUENT_LETTER: score(always(read(), letters), protocol)}

    @property
    def pairs(self) -> Pairs:
        """The paired comparisons; they are of the strict figures, so there are none MMAD's way."""
        if any(scores.protocol == "mmad" for scores in self.scores.values()):
            return {}
        return compare_all({name: tally(read()) for name, read in self.records.items()})

    def json_text(self) -> str:
        """Return the scores as JSON, the same for the same answers, byte for byte."""
        note = " ".join(filter(None, (self.part, sentence(self.hints))))
        shown = {"note": note} if note else {}
        return json.dumps({name: shown | to_json(s) for name, s in self.scores.items()}, indent=1) + "\n"

    def write_csv(self, path: Path) -> list[Path]:
        """Write MMAD's table: to `path`, or with several models to one file each, named after the model."""
        several = len(self.scores) > 1
        paths = []
        for name, scores in self.scores.items():
            rows = {**scores.datasets, Column.AVERAGE: scores.average}
            target = path.with_stem(f"{path.stem}-{name}") if several else path
            with replacing(target) as file:
                file.write(table_csv({n: {c: f.value for c, f in row.items()} for n, row in rows.items()}))
            paths.append(target)
        return paths


def rescore(path: Path, protocol: ScoringProtocol) -> Rescored:
    """Score a run's folder, or an answers file in MMAD's own format.

    Raises:
        UserError: if it is neither.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Give a run's folder, or an answers file.")
    records: dict[str, Callable[[], Iterator[Record]]]
    hints: Mapping[str, Any] = {}
    part = ""
    if path.is_dir():
        run = open_run(path)
        shots = {model.name: model.shots for model in run.models}
        hints, part = run.hints, run.part
        if not shots:
            raise NotSetUpError(f"{path}: no model has been asked yet. Start the run again.")
        records = {name: functools.partial(run.records, name) for name in shots}
    else:
        shots = {}
        records = {path.stem: functools.partial(answers_file.read, path, protocol)}
    scores = {name: score(read(), protocol) for name, read in records.items()}
    if not any(sum(s.counts.values()) for s in scores.values()):
        raise DataError(f"{path}: holds no answer.")
    return Rescored(scores, records, shots, hints, part)
