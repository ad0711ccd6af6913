"""A detector for tests: it takes its time, and its maps may be none."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Iterator, Sequence

import PIL.Image

from mmad_answer.model import Answer, Capabilities, Card, Inspection, Model, Reply


@dataclasses.dataclass(frozen=True)
class Options:
    """How slow, and whether what it sends is a map."""

    seconds: float = 0.0
    sound: bool = False


class Detector(Model[Options]):
    """Finds the same in every picture."""

    Options = Options

    def describe(self) -> Card:
        """Gives maps."""
        return Card(name="detector", family="test", capabilities=Capabilities(anomaly_map=True))

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """One question after the other, each after its time."""
        file = io.BytesIO()
        PIL.Image.new("I;16", (8, 8), 500).save(file, "PNG")
        content = file.getvalue() if self.options.sound else b"no map"
        for inspection in batch:
            for question in inspection.questions:
                time.sleep(self.options.seconds)
                yield Reply(inspection, question.question_id, Answer("A", anomaly_map=content))
