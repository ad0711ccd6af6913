"""The prompt: an inspection as a conversation, the same for every model that reads one.

What an inspection's questions share comes first (the instruction, the product's knowledge, the images in
their order), so that they share a prefix that is computed once; inspections of one product share it up to the
query image. Each service turns these messages into its model's own form.

An instruction that comes with the request replaces both of ours: the one at the beginning and the reminder
after each question.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Sequence
from typing import Final

from mmad_answer.model import ChainOfThought, Image, ImageRole, Inspection, Question, Turn

INSTRUCTION: Final = (
    "You inspect industrial products. You are shown an image of a product, perhaps after other images of the "
    "same product, and asked multiple-choice questions about it. Compare it with the flawless samples, if "
    "there are any: differences in position, light or background are no defects. Choose the one option that "
    "fits best and reply with its letter."
)
_KNOWLEDGE: Final = "What is known about this product:\n{knowledge}"
_CAPTIONS: Final = {
    ImageRole.NORMAL_TEMPLATE: "Image {number}, a flawless sample of the product:",
    ImageRole.DEFECT_EXAMPLE: "Image {number}, a sample of the product with a defect:",
    ImageRole.QUERY: "Image {number}, the image under inspection:",
    ImageRole.EXPERT_HINT: "Image {number}:",
}
_OWN_CAPTION: Final = "{caption}"
_QUESTION: Final = "Question: {text}\n{options}"
_OPTION: Final = "{letter}. {text}"
_REMINDER: Final = "Reply with the letter of one option only."
_THINK: Final = (
    "Think first: say step by step what you see and what follows from it. Then give the letter of one option "
    'in a last line of its own, as "Answer: X".'
)
_ANALYSE: Final = (
    "Before any question is asked, describe the image under inspection: what it shows, how it differs from "
    "the other images, if there are any, and whether, where and what kind of defect you see."
)

_LINE: Final = "\n"
_PARAGRAPH: Final = "\n\n"
_WORDS: Final = (
    *(INSTRUCTION, _KNOWLEDGE, *_CAPTIONS.values(), _OWN_CAPTION),
    *(_QUESTION, _OPTION, _REMINDER, _THINK, _ANALYSE, _LINE, _PARAGRAPH),
)
PROMPT_SHA256: Final = hashlib.sha256("\0".join(_WORDS).encode()).hexdigest()
"""Changes when any word of the prompt does. For `Card.prompt_sha256`."""


class Speaker(enum.StrEnum):
    """Whose turn a message is, named as chat templates and providers do."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation: texts and images in their order."""

    speaker: Speaker
    parts: tuple[str | Image, ...]


def conversation(
    inspection: Inspection, question: Question, turns: Sequence[Turn] = (), analysis: str = ""
) -> tuple[Message, ...]:
    """Put one question.

    Args:
        inspection: whose images, knowledge, instruction and chain of thought are used.
        question: one of its questions.
        turns: what was answered before it and stays in the conversation.
        analysis: what the model has said about the images (`analysis_request`), if it was asked.
    """
    messages = [_system(inspection)]
    opening = _shown(inspection)
    if analysis:
        messages += [
            Message(Speaker.USER, (*opening, _ANALYSE)),
            Message(Speaker.ASSISTANT, (analysis,)),
        ]
        opening = ()
    for turn in turns:
        messages += [
            Message(Speaker.USER, (*opening, _put(inspection, turn.question))),
            Message(Speaker.ASSISTANT, (turn.answer,)),
        ]
        opening = ()
    messages.append(Message(Speaker.USER, (*opening, _put(inspection, question))))
    return tuple(messages)


def analysis_request(inspection: Inspection) -> tuple[Message, ...]:
    """Ask for an analysis of the images, before any question (`ChainOfThought.PER_INSPECTION`)."""
    return (_system(inspection), Message(Speaker.USER, (*_shown(inspection), _ANALYSE)))


def without_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Move the system's words to the beginning of the first user turn, for models that know no system."""
    system, first, *rest = messages
    return (Message(first.speaker, (*system.parts, _PARAGRAPH, *first.parts)), *rest)


def _system(inspection: Inspection) -> Message:
    texts = [inspection.instruction or INSTRUCTION]
    if inspection.domain_knowledge:
        texts.append(_KNOWLEDGE.format(knowledge=inspection.domain_knowledge))
    return Message(Speaker.SYSTEM, (_PARAGRAPH.join(texts),))


def _shown(inspection: Inspection) -> tuple[str | Image, ...]:
    """Each image after its caption, in lines of their own: templates put parts side by side as they are."""
    parts: list[str | Image] = []
    for number, image in enumerate(inspection.images, 1):
        caption = _CAPTIONS[image.role].format(number=number)
        if image.caption:
            caption += " " + _OWN_CAPTION.format(caption=image.caption)
        parts += [caption if number == 1 else f"{_LINE}{caption}", image]
    return (*parts, _LINE) if parts else ()


def _put(inspection: Inspection, question: Question) -> str:
    options = _LINE.join(_OPTION.format(letter=each.letter, text=each.text) for each in question.options)
    text = _QUESTION.format(text=question.text, options=options)
    if inspection.chain_of_thought is ChainOfThought.PER_QUESTION:
        return _LINE.join((text, _THINK))
    return text if inspection.instruction else _LINE.join((text, _REMINDER))
