"""Between the wire's messages and the dataclasses of `model.py`: names change, meanings do not."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Final

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import model as m
from mmad_answer.wording import in_one_line, utf8

ROLES: Final[Mapping[pb.ImageRole.ValueType, m.ImageRole]] = {
    pb.IMAGE_ROLE_QUERY: m.ImageRole.QUERY,
    pb.IMAGE_ROLE_NORMAL_TEMPLATE: m.ImageRole.NORMAL_TEMPLATE,
    pb.IMAGE_ROLE_DEFECT_EXAMPLE: m.ImageRole.DEFECT_EXAMPLE,
    pb.IMAGE_ROLE_EXPERT_HINT: m.ImageRole.EXPERT_HINT,
}
_CHAINS: Final[Mapping[pb.ChainOfThought.ValueType, m.ChainOfThought]] = {
    pb.CHAIN_OF_THOUGHT_UNSPECIFIED: m.ChainOfThought.NONE,
    pb.CHAIN_OF_THOUGHT_PER_QUESTION: m.ChainOfThought.PER_QUESTION,
    pb.CHAIN_OF_THOUGHT_PER_INSPECTION: m.ChainOfThought.PER_INSPECTION,
}
_FINISHES: Final[Mapping[m.FinishReason, pb.FinishReason.ValueType]] = {
    m.FinishReason.STOP: pb.FINISH_REASON_STOP,
    m.FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    m.FinishReason.REFUSED: pb.FINISH_REASON_REFUSED,
}
_FAILURES: Final[Mapping[m.FailureReason, pb.FailureReason.ValueType]] = {
    m.FailureReason.CONTEXT_TOO_LONG: pb.FAILURE_REASON_CONTEXT_TOO_LONG,
    m.FailureReason.PROVIDER: pb.FAILURE_REASON_PROVIDER,
    m.FailureReason.OUT_OF_MEMORY: pb.FAILURE_REASON_OUT_OF_MEMORY,
    m.FailureReason.INTERNAL: pb.FAILURE_REASON_INTERNAL,
}


def inspection(
    request: pb.AnswerRequest, images: Iterable[m.Image], stopped: threading.Event
) -> m.Inspection:
    """The inspection that a checked request asks for, with its decoded images."""
    return m.Inspection(
        inspection_id=request.inspection_id,
        images=tuple(images),
        questions=tuple(_question(q) for q in request.questions),
        domain_knowledge=request.domain_knowledge,
        instruction=request.prompting.instruction,
        conversation_history=request.prompting.conversation_history,
        chain_of_thought=_CHAINS[request.prompting.chain_of_thought],
        generation=_generation(request.generation),
        history=tuple(m.Turn(_question(turn.question), turn.answer) for turn in request.history),
        analysis=request.analysis,
        stopped=stopped,
    )


def _question(question: pb.Question) -> m.Question:
    options = tuple(m.Option(option.letter, option.text) for option in question.options)
    return m.Question(question.question_id, question.text, options)


def _generation(generation: pb.Generation) -> m.Generation:
    return m.Generation(
        max_new_tokens=generation.max_new_tokens if generation.HasField("max_new_tokens") else None,
        temperature=generation.temperature if generation.HasField("temperature") else None,
        top_p=generation.top_p if generation.HasField("top_p") else None,
        seed=generation.seed if generation.HasField("seed") else None,
        option_scores=generation.option_scores,
        max_reasoning_tokens=(
            generation.max_reasoning_tokens if generation.HasField("max_reasoning_tokens") else None
        ),
        return_prompt=generation.return_prompt,
        anomaly_map=generation.anomaly_map,
    )


def response(reply: m.Reply, queue_seconds: float, decode_seconds: float) -> pb.AnswerResponse:
    """What the model said to one question, as a message. Decoding counts as encoding the images.

    The seconds are the inspection's in its first response, and 0 in the others. What no message can hold
    (a text that is none, a count below 0) makes this one question a failure.
    """
    timing = pb.Timing(queue_seconds=queue_seconds, encode_seconds=decode_seconds)
    try:
        return _response(reply, timing)
    except Exception as error:  # whatever a model puts into the fields
        text = f"the model's reply cannot be sent: {in_one_line(error)}"
        failure = m.Failure(m.FailureReason.INTERNAL, text)
        return _response(m.Reply(reply.inspection, reply.question_id, failure), timing)


def _response(reply: m.Reply, timing: pb.Timing) -> pb.AnswerResponse:
    outcome = reply.outcome
    if isinstance(outcome, m.Failure):
        failure = pb.Failure(reason=_FAILURES[outcome.reason], message=utf8(outcome.message))
        return pb.AnswerResponse(question_id=reply.question_id, failure=failure, timing=timing)
    answered = _answered(outcome)
    spent = pb.Timing(
        queue_seconds=timing.queue_seconds,
        encode_seconds=timing.encode_seconds + outcome.encode_seconds,
        generate_seconds=outcome.generate_seconds,
    )
    return pb.AnswerResponse(question_id=reply.question_id, answered=answered, timing=spent)


def _answered(answer: m.Answer) -> pb.Answered:
    return pb.Answered(
        text=utf8(answer.text),
        finish_reason=_FINISHES[answer.finish_reason],
        option_scores=[
            pb.OptionScore(letter=score.letter, log_probability=score.log_probability)
            for score in answer.option_scores
        ],
        usage=pb.Usage(
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            cached_prompt_tokens=answer.usage.cached_prompt_tokens,
            reasoning_tokens=answer.usage.reasoning_tokens,
        ),
        reasoning=utf8(answer.reasoning),
        prompt=utf8(answer.prompt),
        images=[pb.ImageRecord(width=i.width, height=i.height, tokens=i.tokens) for i in answer.images],
        anomaly_map=answer.anomaly_map,
    )


def card(
    card: m.Card,
    *,
    state: pb.State.ValueType,
    state_detail: str,
    max_in_flight: int,
    max_request_bytes: int,
    environment: Mapping[str, str],
) -> pb.GetModelResponse:
    """A model's card with what the server adds to it; the card's own environment wins over the server's."""
    able = card.capabilities
    return pb.GetModelResponse(
        name=card.name,
        family=card.family,
        checkpoint=card.checkpoint,
        revision=card.revision,
        quantization=card.quantization,
        device=card.device,
        limits=pb.Limits(
            max_images=card.max_images,
            max_in_flight=max_in_flight,
            max_request_bytes=max_request_bytes,
            max_image_pixels=card.max_image_pixels,
        ),
        capabilities=pb.Capabilities(
            option_scores=able.option_scores,
            conversation_history=able.conversation_history,
            chain_of_thought=able.chain_of_thought,
            deterministic=able.deterministic,
            text_only=able.text_only,
            anomaly_map=able.anomaly_map,
        ),
        environment={**environment, **card.environment},
        prompt_sha256=card.prompt_sha256,
        state=state,
        state_detail=state_detail,
        settings=dict(card.settings),
        notes=card.notes,
    )
