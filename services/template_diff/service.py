"""Template difference: what a look at the pixels alone can tell, without any learning."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence

from mmad_answer import uniform
from mmad_answer.model import (
    Answer,
    Capabilities,
    Card,
    Generation,
    Image,
    ImageRecord,
    ImageRole,
    Inspection,
    Model,
    NoOptions,
    OptionScore,
    Question,
    Reply,
)
from mmad_answer.version import __version__
from template_diff import detector
from template_diff.calibration import FEWEST_TEMPLATES, Finding
from template_diff.heat_map import anomaly_map
from template_diff.picture import WORKING_SIZE, reduced_size
from template_diff.questions import asks_for_defect, asks_for_place
from template_diff.regions import shares


@dataclasses.dataclass(frozen=True, slots=True)
class _Inspected:
    finding: Finding
    images: tuple[ImageRecord, ...]
    seconds: float


class TemplateDiff(Model[NoOptions]):
    """Says whether and where the query differs from its normal templates, and guesses all else."""

    workers = 2

    def describe(self) -> Card:
        """Say who this is; there is nothing to load."""
        return Card(
            name="template_diff",
            family="baseline",
            checkpoint="registered-difference",
            revision=__version__,
            capabilities=Capabilities(
                option_scores=True,
                conversation_history=True,
                chain_of_thought=True,
                deterministic=True,
                text_only=True,
                anomaly_map=True,
            ),
            prompt_sha256=hashlib.sha256(b"").hexdigest(),
            settings={
                "working_size_pixels": str(WORKING_SIZE),
                "most_templates": str(detector.MOST_TEMPLATES),
            },
            notes=(
                "answers detection (Yes/No about a defect) and localization (at least two options name a "
                "part of the picture); every other question is answered by chance, as chance would",
                "by chance, too, where there is no query or no normal template",
                f"with fewer than {FEWEST_TEMPLATES} templates its threshold is not calibrated on them, but "
                "measured against the query's other differences",
                f"of more than {detector.MOST_TEMPLATES} templates it compares those that fit the query best",
                "history, domain knowledge, instructions, defect examples, hints and requests to think "
                "change no answer",
            ),
        )

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Answer each question; the pictures are compared when the first question needs it."""
        for inspection in batch:
            look = functools.cache(functools.partial(_inspect, inspection))
            told = False
            wants_map = inspection.generation.anomaly_map
            for question in inspection.questions:
                if inspection.stopped.is_set():
                    break
                answer = _answer(question, inspection.generation, look)
                answer = dataclasses.replace(answer, reasoning=uniform.analysis(inspection))
                if wants_map and (inspected := look()) is not None:
                    content = anomaly_map(inspected.finding.heat)
                    answer = dataclasses.replace(
                        answer, anomaly_map=content, encode_seconds=inspected.seconds
                    )
                    wants_map = False
                if told:  # the comparison's time counts once
                    answer = dataclasses.replace(answer, encode_seconds=0.0)
                told = told or answer.encode_seconds > 0
                yield Reply(inspection, question.question_id, answer)


def _inspect(inspection: Inspection) -> _Inspected | None:
    """Compare the inspection's pictures; None where there is no query or no template."""
    queries = [image for image in inspection.images if image.role is ImageRole.QUERY]
    templates = [image for image in inspection.images if image.role is ImageRole.NORMAL_TEMPLATE]
    if not queries or not templates:
        return None
    start = time.monotonic()
    finding = detector.inspect(queries[0].pixels, [template.pixels for template in templates])
    seconds = time.monotonic() - start
    return _Inspected(finding, tuple(_record(image) for image in inspection.images), seconds)


def _record(image: Image) -> ImageRecord:
    seen = image.role in (ImageRole.QUERY, ImageRole.NORMAL_TEMPLATE)
    return ImageRecord(*(reduced_size(*image.pixels.size, WORKING_SIZE) if seen else (0, 0)))


def _answer(question: Question, generation: Generation, look: Callable[[], _Inspected | None]) -> Answer:
    texts = [option.text for option in question.options]
    defect = asks_for_defect(question.text, texts)
    regions = asks_for_place(texts)
    if (defect is None and regions is None) or (inspected := look()) is None:
        return uniform.draw(question, generation)
    if defect is not None:
        chance = inspected.finding.probability
        probabilities = [chance if i == defect else 1 - chance for i in range(len(texts))]
    else:
        assert regions is not None  # noqa: S101 - one of the two is there
        probabilities = [float(share) for share in shares(inspected.finding.heat, regions)]
    best = max(range(len(texts)), key=probabilities.__getitem__)
    letters = [option.letter for option in question.options]
    scores: tuple[OptionScore, ...] = ()
    if generation.option_scores:
        scores = tuple(
            OptionScore(letter, math.log(each)) for letter, each in zip(letters, probabilities, strict=True)
        )
    return Answer(
        letters[best],
        option_scores=scores,
        images=inspected.images if generation.return_prompt else (),
        encode_seconds=inspected.seconds,
    )
