"""What a request must be before it is given a place: the contract's INVALID_ARGUMENT and FAILED_PRECONDITION.

Everything that is wrong is reported at once, so that a caller mends a request in one go. The images'
contents are `images.py`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.model import Card
from mmad_answer.refusal import invalid, lacks

Violation = tuple[str, str]
"""(field, reason), the field as a BadRequest names it: "images[2].content"."""


def check_request(request: pb.AnswerRequest, card: Card) -> None:
    """Check everything about a request but the contents of its images.

    Raises:
        RefusalError: INVALID_ARGUMENT naming every wrong field, or FAILED_PRECONDITION for a capability that
            the model lacks.
    """
    violations = [
        *_questions(request),
        *_images(request, card),
        *_prompting(request),
        *_generation(request.generation),
    ]
    if violations:
        raise invalid(violations)
    able = card.capabilities
    if request.generation.option_scores and not able.option_scores:
        raise lacks("option scores")
    if request.generation.anomaly_map and not able.anomaly_map:
        raise lacks("an anomaly map")
    if request.prompting.conversation_history and not able.conversation_history:
        raise lacks("conversation history")
    if request.prompting.chain_of_thought and not able.chain_of_thought:
        raise lacks("chain of thought")


def _questions(request: pb.AnswerRequest) -> Iterator[Violation]:
    if not request.questions:
        yield "questions", "there is no question"
    seen: set[str] = set()
    for i, question in enumerate(request.questions):
        if not question.question_id:
            yield f"questions[{i}].question_id", "is empty"
        if question.question_id in seen:
            yield f"questions[{i}].question_id", f"{question.question_id!r} is there twice"
        seen.add(question.question_id)
        yield from _options(f"questions[{i}]", question)
    for i, turn in enumerate(request.history):
        yield from _options(f"history[{i}].question", turn.question)


def _options(where: str, question: pb.Question) -> Iterator[Violation]:
    if not question.options:
        yield f"{where}.options", "there is no option"
    letters: set[str] = set()
    for i, option in enumerate(question.options):
        if len(option.letter) != 1 or not "A" <= option.letter <= "Z":
            yield f"{where}.options[{i}].letter", f"{option.letter!r} is not one capital letter"
        if option.letter in letters:
            yield f"{where}.options[{i}].letter", f"{option.letter!r} is there twice"
        letters.add(option.letter)


def _images(request: pb.AnswerRequest, card: Card) -> Iterator[Violation]:
    images = request.images
    if not images:
        if not card.capabilities.text_only:
            yield "images", "there is no image, and this model needs one"
        return
    if len(images) > card.max_images:
        yield "images", f"{len(images)} images, and this model takes at most {card.max_images}"
    known = pb.ImageRole.values()
    for i, image in enumerate(images):
        if image.role == pb.IMAGE_ROLE_UNSPECIFIED:
            yield f"images[{i}].role", "is unspecified"
        elif image.role not in known:
            yield f"images[{i}].role", f"{image.role} is unknown"
        if image.role == pb.IMAGE_ROLE_EXPERT_HINT and not image.caption:
            yield f"images[{i}].caption", "a hint needs a caption that says how it is drawn"
    queries = sum(image.role == pb.IMAGE_ROLE_QUERY for image in images)
    if queries != 1:
        yield "images", f"{queries} of the images are query images, and it must be exactly one"


def _prompting(request: pb.AnswerRequest) -> Iterator[Violation]:
    prompting = request.prompting
    if prompting.chain_of_thought not in pb.ChainOfThought.values():
        yield "prompting.chain_of_thought", f"{prompting.chain_of_thought} is unknown"
    if request.history and not prompting.conversation_history:
        yield "history", "goes only with prompting.conversation_history"
    if request.analysis and prompting.chain_of_thought != pb.CHAIN_OF_THOUGHT_PER_INSPECTION:
        yield "analysis", "goes only with CHAIN_OF_THOUGHT_PER_INSPECTION"


def _generation(generation: pb.Generation) -> Iterator[Violation]:
    if generation.HasField("max_new_tokens") and generation.max_new_tokens == 0:
        yield "generation.max_new_tokens", "is 0, which leaves no room for an answer"
    if not (math.isfinite(generation.temperature) and generation.temperature >= 0):
        yield "generation.temperature", f"{generation.temperature} is not a number from 0 up"
    if generation.HasField("top_p") and not 0 < generation.top_p <= 1:
        yield "generation.top_p", f"{generation.top_p} is not above 0 and at most 1"
