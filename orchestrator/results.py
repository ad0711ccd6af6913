"""A run that is there: its answers and its scores, for the verbs and for notebooks."""

from __future__ import annotations

import functools
import json
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from orchestrator.errors import UserError
from orchestrator.hints.label import label
from orchestrator.journal.reader import JournalReader, StoredModel
from orchestrator.shards import parse_shard, part_sentence
from orchestrator.vocabulary import Outcome, Record, Shard

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.scoring.paired import Pairs
    from orchestrator.scoring.summary import Scores

SUMMARY_FILE = "summary.json"
MOST_FREQUENT_LETTER = "most frequent letter"


def open_run(folder: Path | str) -> Run:
    """Open a run's folder, finished or not, also while another process works on it.

    Raises:
        RunError: if it holds no run that this version reads.
    """
    return Run(Path(folder))


class Run:
    """A run's folder, open for reading. Close it, or use it in a `with` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = JournalReader(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, models={[model.name for model in self.models]})"

    @property
    def models(self) -> list[StoredModel]:
        """The models that were asked, in the order in which they came to the run."""
        return self.journal.models()

    @property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds.

        Raises:
            UserError: if the run has not come to its end yet.
        """
        path = self.folder / SUMMARY_FILE
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path} is not there: the run has not come to its end yet.") from None
        return content

    @property
    def hints(self) -> dict[str, Any]:
        """The hints that the models were shown, as in the run's identity; empty where there were none."""
        found: dict[str, Any] = self.journal.meta("identity").get("hints", {})
        return found

    @property
    def shard(self) -> Shard | None:
        """The part of a run that this is; None: it is whole."""
        part = self.journal.meta("identity").get("shard")
        return parse_shard(part["number"]) if part else None

    @property
    def part(self) -> str:
        """What part of a run this is, in a sentence; "" if it is whole."""
        part = self.journal.meta("identity").get("shard")
        return part_sentence(part, self.journal.image_count()) if part else ""

    def records(self, model: str) -> Iterator[Record]:
        """Yield every question of the plan with what `model` made of it."""
        return self.journal.records(model)

    def rows(self) -> Generator[dict[str, Any], None, None]:
        """Yield every answer of every model with all that is known of it, as flat values."""
        shown = {"hints": label(self.hints)}
        for model in self.models:
            for answer in self.journal.answers(model.name):
                yield answer | shown

    def unanswered(self, *outcomes: Outcome) -> dict[str, int]:
        """Return how many questions failed or were never asked, for each model with any."""
        asked_for = outcomes or (Outcome.FAILED, Outcome.MISSING)
        counts = {model.name: self.journal.counts(model.name) for model in self.models}
        numbers = {name: sum(count[outcome] for outcome in asked_for) for name, count in counts.items()}
        return {name: number for name, number in numbers.items() if number}

    @functools.cached_property
    def scores(self) -> Mapping[str, Scores]:
        """The scores of every model as the answers are now, by this project's own protocol."""
        from orchestrator.scoring.summary import score

        return {model.name: score(self.records(model.name)) for model in self.models}

    @functools.cached_property
    def references(self) -> Mapping[str, Scores]:
        """What needs no model: always the letter that is right most often, in each subtask."""
        from orchestrator.scoring.baselines import always, frequent_letters
        from orchestrator.scoring.summary import score

        letters = frequent_letters(self.journal.records(None))
        return {MOST_FREQUENT_LETTER: score(always(self.journal.records(None), letters))}

    @functools.cached_property
    def comparisons(self) -> Pairs:
        """Every two models on the same questions: differences with intervals, and paired tests."""
        from orchestrator.scoring.paired import compare_all
        from orchestrator.scoring.tally import tally

        return compare_all({model.name: tally(self.records(model.name)) for model in self.models})

    def answers_frame(self) -> pd.DataFrame:
        """Return every answer as a row; the columns are those of `orchestrator export`."""
        frame: pd.DataFrame = _pandas().DataFrame(self.rows())
        return frame

    def scores_frame(self) -> pd.DataFrame:
        """Return one row per model, data set and subtask: accuracy in percent, its 95 % interval, counts."""
        from orchestrator.scoring.summary import rows

        shown = {"hints": label(self.hints)}
        flat = [{"model": name} | shown | row for name, scores in self.scores.items() for row in rows(scores)]
        frame: pd.DataFrame = _pandas().DataFrame(flat)
        return frame


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise UserError("Frames need pandas: pip install 'mmad-orchestrator[frames]'") from None
    return pd
