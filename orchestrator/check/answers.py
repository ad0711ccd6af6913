"""What comes back for valid requests, whatever the model can do."""

from __future__ import annotations

import asyncio
import math

from orchestrator.check import BrokenError, NotTriedError, Promises
from orchestrator.check.pictures import plate
from orchestrator.check.requests import HINT, image, inspection, questions
from orchestrator.check.service import Service
from orchestrator.dispatch.stubs import answer_pb2 as pb

promises = Promises("answers")
_PLAIN = "answers.plain"
ANSWERING = (_PLAIN, "answers.once")
"""What almost everything else needs: a service that does not answer fails these, and not all others too."""
_OPAQUE_IDS = ("DS/gear/1.png#0+1@2", "z", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "0", "a b")


@promises.add("plain", "One question about one inspection is answered")
async def plain(service: Service) -> str:
    call = await service.ask(inspection(service.card))
    text = call.responses[0].answered.text
    if not text.strip():
        raise BrokenError(
            "a text", "an answer with an empty text", "return what the model said, whole, in Answered.text"
        )
    return f"{call.seconds:.2f} s: {_short(text)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 24 else line[:23] + "\N{HORIZONTAL ELLIPSIS}")


@promises.add("once", "Every question is answered exactly once", needs=(_PLAIN,))
async def once(service: Service) -> str:
    request = inspection(service.card, 5)
    # Ids are opaque: whoever sorts, parses or shortens them gives them back changed.
    for question, question_id in zip(request.questions, _OPAQUE_IDS, strict=True):
        question.question_id = question_id
    await service.ask(request)
    return "5 questions, ids of all kinds"


@promises.add("images", "Images of every role, PNG and JPEG, are taken", needs=ANSWERING)
async def images(service: Service) -> str:
    room = service.card.limits.max_images
    if not room:
        raise NotTriedError("max_images is 0")
    others = [
        image(pb.IMAGE_ROLE_NORMAL_TEMPLATE, plate(1, form="JPEG")),
        image(pb.IMAGE_ROLE_DEFECT_EXAMPLE, plate(2, scratched=True)),
        image(pb.IMAGE_ROLE_EXPERT_HINT, plate(3, scratched=True), HINT),
    ]
    query = image(pb.IMAGE_ROLE_QUERY, plate(3, scratched=True, form="JPEG"))
    shown = others[: room - 1]
    shown.insert(min(2, len(shown)), query)  # in prompt order: templates, examples, query, hint
    request = inspection(service.card)
    request.ClearField("images")
    request.images.extend(shown)
    await service.ask(request)
    return f"{len(shown)} of 4 roles, as max_images allows" if len(shown) < 4 else "4 images"


@promises.add("fields", "Every optional field is taken", needs=ANSWERING)
async def fields(service: Service) -> str:
    request = inspection(service.card)
    request.domain_knowledge = "A scratch is a bright, thin line."
    request.prompting.instruction = "Answer with the letter of the right option only."
    for shown in request.images:
        shown.caption = "a steel plate"
    request.generation.MergeFrom(
        pb.Generation(top_p=1.0, seed=2**64 - 1, max_reasoning_tokens=16, return_prompt=True)
    )
    await service.ask(request)
    return ""


@promises.add("defaults", "No optional field is needed", needs=ANSWERING)
async def defaults(service: Service) -> str:
    request = inspection(service.card)
    request.ClearField("inspection_id")
    request.ClearField("generation")
    for shown in request.images:
        shown.ClearField("media_type")  # the first bytes tell
    await service.ask(request)
    return ""


@promises.add("same_id", "Two inspections at once may have the same id", needs=ANSWERING)
async def same_id(service: Service) -> str:
    one, other = inspection(service.card, 2), inspection(service.card, 2, prefix="other")
    other.inspection_id = one.inspection_id
    await asyncio.gather(service.ask(one), service.ask(other))
    return ""


@promises.add("timing", "The seconds that it tells are numbers from 0 up", needs=ANSWERING)
async def timing(service: Service) -> str:
    call = await service.ask(pb.AnswerRequest(questions=questions(2), images=inspection(service.card).images))
    for response in call.responses:
        told = response.timing
        for field in ("queue_seconds", "encode_seconds", "generate_seconds"):
            seconds = getattr(told, field)
            if not math.isfinite(seconds) or seconds < 0:
                raise BrokenError(
                    "a number of seconds", f"{field}: {seconds}", "measure with a clock that never goes back"
                )
    waited = sum(response.timing.queue_seconds for response in call.responses)
    if waited > call.seconds + 0.1:
        raise BrokenError(
            f"queue_seconds of at most {call.seconds:.2f} s together, which is what the call took",
            f"{waited:.2f} s",
            "tell the wait once, with the call's first response",
        )
    return ""
