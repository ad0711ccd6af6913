"""What the model's card claims that it can do. What it does not claim is tried in `refusals.py`."""

from __future__ import annotations

import asyncio
import io
import math

import PIL.Image

from orchestrator.check import BrokenError, NotTriedError, Promises
from orchestrator.check.answers import ANSWERING
from orchestrator.check.pictures import SIZE
from orchestrator.check.requests import images, inspection, questions
from orchestrator.check.service import Call, Service
from orchestrator.dispatch.stubs import answer_pb2 as pb

promises = Promises("capabilities")
_NEARLY_ZERO = 1e-4
"""By how much a log-probability that was computed in half precision may exceed 0."""
_ASPECT_TOLERANCE = 0.15


@promises.add("text_only", "text_only: it answers without any image", needs=ANSWERING)
async def text_only(service: Service) -> str:
    service.needs("text_only")
    request = inspection(service.card)
    request.ClearField("images")
    await service.ask(request)
    return ""


@promises.add("history", "conversation_history: answers come in order", needs=ANSWERING)
async def history(service: Service) -> str:
    service.needs("conversation_history")
    request = inspection(service.card, 4)
    request.prompting.conversation_history = True
    call = await service.ask(request)
    asked = [question.question_id for question in request.questions]
    came = [response.question_id for response in call.responses]
    if came != asked:
        raise BrokenError(
            f"answers in the order {', '.join(asked)}",
            ", ".join(came),
            "with conversation_history each question sees the answers before it: put them one after another",
        )
    return ""


@promises.add("turns", "conversation_history: earlier turns can be brought", needs=ANSWERING)
async def turns(service: Service) -> str:
    service.needs("conversation_history")
    request = inspection(service.card, 2)
    request.prompting.conversation_history = True
    request.history.extend(
        pb.Turn(question=question, answer="A") for question in questions(2, prefix="earlier")
    )
    await service.ask(request)
    return ""


@promises.add("scores", "option_scores: one log-probability for each letter", needs=ANSWERING)
async def scores(service: Service) -> str:
    service.needs("option_scores")
    request = inspection(service.card, 4)
    request.generation.option_scores = True
    call = await service.ask(request)
    asked = {question.question_id: question for question in request.questions}
    for response in call.responses:
        if not response.answered.reasoning:  # after thoughts there are none
            _check_scores(asked[response.question_id], response.answered)
    return ""


def _check_scores(question: pb.Question, answered: pb.Answered) -> None:
    offered = sorted(option.letter for option in question.options)
    came = sorted(score.letter for score in answered.option_scores)
    if came != offered:
        raise BrokenError(
            f"one score for each of the letters {', '.join(offered)}",
            f"scores of {', '.join(came) or 'none'}",
            "with Generation.option_scores return one OptionScore per offered letter; leave its "
            "log_probability out where it is unknown",
        )
    known = [s.log_probability for s in answered.option_scores if s.HasField("log_probability")]
    total = sum(math.exp(min(each, 1.0)) for each in known if not math.isnan(each))
    if any(math.isnan(each) or each > _NEARLY_ZERO for each in known) or total > 1 + 1e-2:
        raise BrokenError(
            "natural logarithms of probabilities: at most 0 each, at most 1 in all",
            ", ".join(f"{each:.4g}" for each in known),
            "give log P(letter) at the answer's first position, summed over the tokens that spell it",
        )


@promises.add("thoughts", "chain_of_thought: it may think before each answer", needs=ANSWERING)
async def thoughts(service: Service) -> str:
    service.needs("chain_of_thought")
    request = inspection(service.card)
    request.prompting.chain_of_thought = pb.CHAIN_OF_THOUGHT_PER_QUESTION
    request.generation.max_new_tokens = 48
    await service.ask(request)
    return ""


@promises.add("analysis", "chain_of_thought: one analysis, returned with each answer", needs=ANSWERING)
async def analysis(service: Service) -> str:
    made = _one_reasoning(await service.ask(_analysing(service)))
    if not made:
        raise BrokenError(
            "the inspection's analysis as each answer's reasoning",
            "no reasoning",
            "with CHAIN_OF_THOUGHT_PER_INSPECTION return the analysis in Answered.reasoning",
        )
    return f"{len(made)} characters"


@promises.add("analysis_kept", "chain_of_thought: an analysis can be brought along", needs=ANSWERING)
async def analysis_kept(service: Service) -> str:
    request = _analysing(service)
    request.analysis = "The plate has a bright diagonal scratch in its middle."
    came = _one_reasoning(await service.ask(request))
    if came != request.analysis:
        raise BrokenError(
            f"the analysis that was brought as each answer's reasoning: {request.analysis!r}",
            repr(came),
            "where AnswerRequest.analysis is set make none, use it, and return it as the reasoning",
        )
    return ""


def _analysing(service: Service) -> pb.AnswerRequest:
    service.needs("chain_of_thought")
    request = inspection(service.card, 2)
    request.prompting.chain_of_thought = pb.CHAIN_OF_THOUGHT_PER_INSPECTION
    request.generation.max_new_tokens = 48
    return request


def _one_reasoning(call: Call) -> str:
    came = sorted({response.answered.reasoning for response in call.responses})
    if len(came) > 1:
        raise BrokenError(
            "the same analysis with each answer",
            f"{len(came)} of them for {len(call.responses)} answers",
            "make one analysis of the images for all questions of an inspection",
        )
    return came[0]


@promises.add("map", "anomaly_map: a 16-bit grey PNG of the whole query", needs=ANSWERING)
async def anomaly_map(service: Service) -> str:
    service.needs("anomaly_map")
    request = inspection(service.card, 2)
    request.ClearField("images")
    request.images.extend(images(service.card, templates=4))
    request.generation.anomaly_map = True
    call = await service.ask(request)
    maps = [bool(response.answered.anomaly_map) for response in call.responses]
    if not any(maps):
        raise NotTriedError("it made no map of this inspection, which the contract allows")
    if maps != [True, False]:
        raise BrokenError(
            "the map with the first answer that is sent, and no other",
            f"maps with answers {', '.join(str(i + 1) for i, there in enumerate(maps) if there)}",
            "send it once, with the first response",
        )
    return _check_map(call.responses[0].answered.anomaly_map)


def _check_map(content: bytes) -> str:
    advice = "encode one channel of 16 bits as PNG, as large as the model works, the shape of the query"
    depth_and_colour = content[24:26]  # of the header, which comes first: 16 bits, colour type 0, grey
    try:
        with PIL.Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            picture.load()
            width, height = picture.size
    except (OSError, SyntaxError, ValueError) as error:
        raise BrokenError("a PNG file", f"{len(content)} bytes that are none: {error}", advice) from None
    if depth_and_colour != b"\x10\x00":
        depth, colour = depth_and_colour
        raise BrokenError("one grey channel of 16 bits", f"{depth} bits, colour type {colour}", advice)
    shape = (width / height) / (SIZE[0] / SIZE[1])
    if abs(math.log(shape)) > _ASPECT_TOLERANCE:
        raise BrokenError(f"the shape of the query, {SIZE[0]} x {SIZE[1]}", f"{width} x {height}", advice)
    return f"{width} x {height}"


@promises.add("deterministic", "deterministic: the same request, the same text", needs=ANSWERING)
async def deterministic(service: Service) -> str:
    one, other = await _texts(service), await _texts(service)
    _compare(one, other, "asked twice")
    return ""


@promises.add(
    "deterministic_amid",
    "deterministic: also while others are under way",
    needs=(*ANSWERING, "capabilities.deterministic"),
)
async def deterministic_amid(service: Service) -> str:
    alone = await _texts(service)
    others = min(3, service.max_in_flight - 1)
    if others < 1:
        raise NotTriedError("max_in_flight is 1")
    requests = [inspection(service.card, 3, prefix=f"other{i}-") for i in range(others)]
    company = asyncio.gather(*(service.ask(request) for request in requests))
    amid, _ = await asyncio.gather(_texts(service), company)
    _compare(alone, amid, f"asked alone, and with {others} others under way")
    return f"{others} others"


async def _texts(service: Service) -> dict[str, str]:
    service.needs("deterministic")
    call = await service.ask(inspection(service.card, 3))
    return {response.question_id: response.answered.text for response in call.responses}


def _compare(one: dict[str, str], other: dict[str, str], how: str) -> None:
    for question_id, text in one.items():
        if text != other[question_id]:
            raise BrokenError(
                f"the same text for the same request, {how}",
                f"{text!r}, then {other[question_id]!r}",
                "make it so (greedy, seeded, independent of the batch), or claim no deterministic",
            )
