"""A scaffold, which guesses by the picture's brightness. Each TODO names what a model replaces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from PIL import ImageStat

from mmad_answer.model import (
    Answer,
    Capabilities,
    Card,
    ImageRole,
    Inspection,
    Model,
    NoOptions,
    Question,
    Reply,
)


class Service(Model[NoOptions]):
    """Guesses, until its model is filled in."""

    def describe(self) -> Card:
        """Say who this is, and what may be asked of it."""
        return Card(
            name="my_model",
            family="scaffold",
            checkpoint="none",  # TODO: the weights' name; `revision`: the commit or digest that pins them
            revision="0",
            # TODO: what the model can do. The kit refuses everything else before it comes here.
            capabilities=Capabilities(deterministic=True),
            # TODO: mmad_answer.prompt.PROMPT_SHA256, once the model is told what that module says.
            prompt_sha256=hashlib.sha256(b"").hexdigest(),
            notes=("a scaffold: it guesses by the picture's brightness, whatever is asked",),
        )

    def load(self) -> None:
        """Make ready to answer."""
        # TODO: load the weights. Import heavy packages in here, so that --help stays quick, and say what is
        # missing with `raise LoadError("...")`.

    def answer(self, batch: Sequence[Inspection]) -> Iterator[Reply]:
        """Answer every question, each as soon as its answer is known."""
        for inspection in batch:
            for question in inspection.questions:
                if inspection.stopped.is_set():  # nobody waits for the rest
                    break
                yield Reply(inspection, question.question_id, self._answer(inspection, question))

    def _answer(self, inspection: Inspection, question: Question) -> Answer:
        # TODO: ask the model, and return all that it says; the letter is read elsewhere. What models are
        # told is `mmad_answer.prompt.conversation(inspection, question)`: texts and images in their order.
        query = next(image for image in inspection.images if image.role is ImageRole.QUERY)
        brightness = ImageStat.Stat(query.pixels.convert("L")).mean[0] / 256
        return Answer(question.options[int(brightness * len(question.options))].letter)

    def close(self) -> None:
        """Free what `load` took."""
