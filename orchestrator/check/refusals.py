"""The statuses of the contract's table, each for its bad input; one row each, nothing of it computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from orchestrator.check import BrokenError, NotTriedError, Promises
from orchestrator.check.pictures import plate
from orchestrator.check.requests import image, inspection, questions
from orchestrator.check.service import Service
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.stubs import answer_pb2 as pb

promises = Promises("refusals")
_MOST_IMAGES = 500
"""So many are sent at most to exceed max_images."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Bad:
    """One bad input: what to do to a valid request, and the field that the refusal must name."""

    name: str
    title: str
    field: str
    """The violation's field, or what it begins with."""
    spoil: Callable[[pb.AnswerRequest, pb.GetModelResponse], None]


def _no_question(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.ClearField("questions")


def _no_option(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.questions[1].ClearField("options")


def _letter_twice(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.questions[0].options[1].letter = request.questions[0].options[0].letter


def _question_twice(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.questions[1].question_id = request.questions[0].question_id


def _broken_image(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    _query(request, card).content = b"this is no image"


def _truncated_image(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    content = plate(0, scratched=True)
    _query(request, card).content = content[: len(content) // 2]


def _too_many_images(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    most = card.limits.max_images
    if most > _MOST_IMAGES:
        raise NotTriedError(f"max_images is {most}, and more than {_MOST_IMAGES} are not sent")
    template = image(pb.IMAGE_ROLE_NORMAL_TEMPLATE, plate(1))
    request.ClearField("images")
    request.images.extend([*[template] * most, image(pb.IMAGE_ROLE_QUERY, plate(0))])


def _no_role(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    _query(request, card)
    request.images[0].role = pb.IMAGE_ROLE_UNSPECIFIED


def _no_query(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    _query(request, card).role = pb.IMAGE_ROLE_NORMAL_TEMPLATE


def _two_queries(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    query = _query(request, card, room=2)
    request.images.append(query)


def _no_caption(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    query = _query(request, card, room=2)
    request.images.append(image(pb.IMAGE_ROLE_EXPERT_HINT, query.content))


def _stray_history(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.history.append(pb.Turn(question=questions(1, prefix="earlier")[0], answer="A"))


def _stray_analysis(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.analysis = "The plate has a scratch."


def _temperature(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.generation.temperature = -1.0


def _top_p(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.generation.top_p = 1.5


def _no_tokens(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    request.generation.max_new_tokens = 0


def _no_image(request: pb.AnswerRequest, card: pb.GetModelResponse) -> None:
    if card.capabilities.text_only:
        raise NotTriedError("the card claims text_only")
    request.ClearField("images")


def _query(request: pb.AnswerRequest, card: pb.GetModelResponse, room: int = 1) -> pb.Image:
    """Leave only the query among the images, and return it."""
    if card.limits.max_images < room:
        raise NotTriedError(f"max_images is {card.limits.max_images}")
    query = pb.Image()
    query.CopyFrom(request.images[-1])
    request.ClearField("images")
    request.images.append(query)
    return request.images[0]


_TABLE = (
    _Bad("no_question", "no question", "questions", _no_question),
    _Bad("no_option", "a question without options", "questions[1].options", _no_option),
    _Bad("letter_twice", "a letter twice", "questions[0].options", _letter_twice),
    _Bad("question_twice", "a question id twice", "questions[1].question_id", _question_twice),
    _Bad("broken_image", "bytes that are no image", "images[0].content", _broken_image),
    _Bad("truncated_image", "half an image file", "images[0].content", _truncated_image),
    _Bad("too_many_images", "more than max_images", "images", _too_many_images),
    _Bad("no_role", "an image without a role", "images[0].role", _no_role),
    _Bad("no_query", "images without a query", "images", _no_query),
    _Bad("two_queries", "two query images", "images", _two_queries),
    _Bad("no_caption", "a hint without a caption", "images[1].caption", _no_caption),
    _Bad("no_image", "no image, where one is needed", "images", _no_image),
    _Bad("stray_history", "history without conversation_history", "history", _stray_history),
    _Bad("stray_analysis", "an analysis without PER_INSPECTION", "analysis", _stray_analysis),
    _Bad("temperature", "a temperature below 0", "generation.temperature", _temperature),
    _Bad("top_p", "top_p above 1", "generation.top_p", _top_p),
    _Bad("no_tokens", "max_new_tokens of 0", "generation.max_new_tokens", _no_tokens),
)


def _register(bad: _Bad) -> None:
    @promises.add(bad.name, f"INVALID_ARGUMENT: {bad.title}")
    async def refused(service: Service) -> str:
        request = inspection(service.card, 2)
        bad.spoil(request, service.card)
        error = await _refusal(service, request, "INVALID_ARGUMENT")
        fields = [field for field, _ in error.violations]
        if not any(field.startswith(bad.field) for field in fields):
            raise BrokenError(
                f"a google.rpc.BadRequest in the details that names {bad.field!r}",
                f"it names {', '.join(map(repr, fields))}" if fields else f"none: {error}",
                "put a google.rpc.Status with it into the trailer grpc-status-details-bin",
            )
        return bad.field


for _bad in _TABLE:
    _register(_bad)


async def _refusal(service: Service, request: pb.AnswerRequest, code: str) -> CallError:
    call = await service.call(request)
    if call.error is None or call.code != code:
        raise BrokenError(
            code,
            str(call.error) if call.error else f"OK, with {len(call.responses)} answers",
            "check requests before they are given to the model, as the contract's table says",
        )
    return call.error


def _lacking(name: str, change: Callable[[pb.AnswerRequest], None]) -> None:
    @promises.add(f"lacks_{name}", f"FAILED_PRECONDITION: {name}, which it lacks")
    async def refused(service: Service) -> str:
        if getattr(service.card.capabilities, name):
            raise NotTriedError(f"the card claims {name}")
        request = inspection(service.card, 2)
        change(request)
        await _refusal(service, request, "FAILED_PRECONDITION")
        return ""


def _ask_scores(request: pb.AnswerRequest) -> None:
    request.generation.option_scores = True


def _ask_map(request: pb.AnswerRequest) -> None:
    request.generation.anomaly_map = True


def _ask_history(request: pb.AnswerRequest) -> None:
    request.prompting.conversation_history = True


def _ask_thoughts(request: pb.AnswerRequest) -> None:
    request.prompting.chain_of_thought = pb.CHAIN_OF_THOUGHT_PER_QUESTION


_lacking("option_scores", _ask_scores)
_lacking("conversation_history", _ask_history)
_lacking("chain_of_thought", _ask_thoughts)
_lacking("anomaly_map", _ask_map)
