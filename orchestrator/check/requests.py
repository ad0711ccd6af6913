"""The requests that are put: small, valid, and within what the model's card says it takes."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.check.pictures import plate
from orchestrator.dispatch.images import media_type
from orchestrator.dispatch.stubs import answer_pb2 as pb

_QUESTIONS = (
    ("Is there any defect in the object?", ("Yes.", "No.")),
    ("What kind of defect is it?", ("A scratch.", "A dent.", "A stain.", "There is none.")),
    ("Where is the defect?", ("Top left.", "Bottom right.", "In the center.")),
    ("How many holes does the plate have?", ("Two.", "Three.", "Four.", "Five.", "Six.")),
)
HINT = "the query with a detector's map laid over it: red is more abnormal"


def questions(count: int, prefix: str = "q") -> list[pb.Question]:
    """Return so many questions with ids of their own."""
    return [_question(f"{prefix}{i}", *_QUESTIONS[i % len(_QUESTIONS)]) for i in range(count)]


def _question(question_id: str, text: str, answers: Sequence[str]) -> pb.Question:
    options = [pb.Option(letter=chr(ord("A") + i), text=answer) for i, answer in enumerate(answers)]
    return pb.Question(question_id=question_id, text=text, options=options)


def image(role: pb.ImageRole.ValueType, content: bytes, caption: str = "") -> pb.Image:
    """Return an image of a request."""
    return pb.Image(role=role, content=content, media_type=media_type(content), caption=caption)


def images(card: pb.GetModelResponse, templates: int = 1) -> list[pb.Image]:
    """Return a query image, after as many templates as the model has room for; nothing if it takes none."""
    room = card.limits.max_images
    if not room:
        return []
    shown = [image(pb.IMAGE_ROLE_NORMAL_TEMPLATE, plate(i + 1)) for i in range(min(templates, room - 1))]
    return [*shown, image(pb.IMAGE_ROLE_QUERY, plate(0, scratched=True))]


def inspection(card: pb.GetModelResponse, count: int = 1, prefix: str = "q") -> pb.AnswerRequest:
    """Return a request with so many questions, greedy and short."""
    return pb.AnswerRequest(
        inspection_id=f"check {prefix}",
        images=images(card),
        questions=questions(count, prefix),
        generation=pb.Generation(max_new_tokens=16, temperature=0.0, seed=7),
    )
