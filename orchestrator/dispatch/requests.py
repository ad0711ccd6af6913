"""What the next call for an inspection says: which questions, after which turns, with which images.

With history the questions of an inspection are a conversation. Where replies that are kept lie between
questions without one (a failed one that is asked again, for example), each run of consecutive questions is a
call of its own, with all the turns before it, so that no question sees the answer to a later one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from orchestrator.dispatch import Prompting, wire
from orchestrator.dispatch.images import ImageCache, UnreadableImageError
from orchestrator.hints.formats import HintError
from orchestrator.options import ChainOfThought
from orchestrator.vocabulary import AskedQuestion, ImageReference, ImageRole, Inspection, Reply


class UnsentError(Exception):
    """A request that cannot be made, or must not be sent. `code` is what its attempt is recorded with."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def next_questions(
    inspection: Inspection, replies: Mapping[str, Reply], history: bool
) -> Sequence[AskedQuestion]:
    """Return the questions without a reply; with `history`, only up to the next one that has one."""
    waiting: list[AskedQuestion] = []
    for question in inspection.questions:
        if question.question_id not in replies:
            waiting.append(question)
        elif waiting and history:
            break
    return waiting


async def serialised(
    inspection: Inspection,
    questions: Sequence[AskedQuestion],
    replies: Mapping[str, Reply],
    prompting: Prompting,
    images: ImageCache,
    max_bytes: int,
) -> bytes:
    """Return the bytes of the AnswerRequest that puts `questions`.

    Raises:
        UnsentError: an image cannot be read or a hint not be made, or the request is larger than `max_bytes`.
    """
    shown = [] if prompting.text_only else await _read(inspection, images)
    request = wire.answer_request(
        inspection,
        shown,
        questions,
        _turns(inspection, questions[0], replies) if prompting.history else (),
        _analysis(inspection, replies) if prompting.cot is ChainOfThought.INSPECTION else "",
        prompting,
    ).SerializeToString()
    if len(request) > max_bytes:
        sizes = ", ".join(f"{name(image)} {megabytes(len(content))}" for image, content in shown)
        raise UnsentError(
            "RESOURCE_EXHAUSTED",
            f"too large, not sent: {megabytes(len(request))}, and the service takes {megabytes(max_bytes)} "
            f"({sizes or 'no images'})",
        )
    return request


async def _read(inspection: Inspection, images: ImageCache) -> list[tuple[ImageReference, bytes]]:
    references, sample = inspection.images, inspection.sample
    try:
        contents = await asyncio.gather(*(images.of(sample, reference) for reference in references))
        return list(zip(references, contents, strict=True))
    except UnreadableImageError as error:
        raise UnsentError("UNREADABLE_IMAGE", f"unreadable image {error}") from None
    except HintError as error:
        raise UnsentError("UNREADABLE_HINT", f"no hint: {error}") from None


def _turns(
    inspection: Inspection, before: AskedQuestion, replies: Mapping[str, Reply]
) -> list[tuple[AskedQuestion, str]]:
    turns = []
    for question in inspection.questions:
        if question.question_id == before.question_id:
            break
        reply = replies.get(question.question_id)
        # A failure has no words, and those of a refusal are not always the model's own.
        if reply is not None and reply.text and reply.finish_reason != "refused":
            turns.append((question, reply.text))
    return turns


def _analysis(inspection: Inspection, replies: Mapping[str, Reply]) -> str:
    given = (replies.get(question.question_id) for question in inspection.questions)
    return next((reply.reasoning for reply in given if reply is not None and reply.reasoning), "")


def name(image: ImageReference) -> str:
    """Return what people call an image: its path, and that it is a hint where it is one."""
    return f"the hint of {image.path}" if image.role is ImageRole.EXPERT_HINT else image.path


def megabytes(count: int) -> str:
    """Return a number of bytes for people: "12.3 MB"; small ones in kB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
