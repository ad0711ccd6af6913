"""The contract's messages and the vocabulary, each from the other. The only file that knows both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from orchestrator.dispatch import Prompting
from orchestrator.dispatch.faults import one_line, printable
from orchestrator.dispatch.images import media_type
from orchestrator.dispatch.stubs import answer_pb2 as pb
from orchestrator.options import ChainOfThought
from orchestrator.vocabulary import (
    AskedQuestion,
    ImageRecord,
    ImageReference,
    ImageRole,
    Inspection,
    ModelCard,
    ModelIdentity,
    OptionScore,
    Reply,
    Timing,
    Usage,
)

DEFAULT_MAX_REQUEST_BYTES = 64 * 2**20
"""What the contract promises of a server that states no limit."""

_ROLES = {
    ImageRole.QUERY: pb.IMAGE_ROLE_QUERY,
    ImageRole.NORMAL_TEMPLATE: pb.IMAGE_ROLE_NORMAL_TEMPLATE,
    ImageRole.DEFECT_EXAMPLE: pb.IMAGE_ROLE_DEFECT_EXAMPLE,
    ImageRole.EXPERT_HINT: pb.IMAGE_ROLE_EXPERT_HINT,
}
_THOUGHTS = {
    None: pb.CHAIN_OF_THOUGHT_UNSPECIFIED,
    ChainOfThought.QUESTION: pb.CHAIN_OF_THOUGHT_PER_QUESTION,
    ChainOfThought.INSPECTION: pb.CHAIN_OF_THOUGHT_PER_INSPECTION,
}
_STATES = {pb.STATE_LOADING: "loading", pb.STATE_READY: "ready", pb.STATE_DRAINING: "draining"}
_FINISHES = {
    pb.FINISH_REASON_STOP: "stop",
    pb.FINISH_REASON_LENGTH: "length",
    pb.FINISH_REASON_REFUSED: "refused",
}
_FAILURES = {
    pb.FAILURE_REASON_CONTEXT_TOO_LONG: "the context is too long",
    pb.FAILURE_REASON_PROVIDER: "the provider gave up",
    pb.FAILURE_REASON_OUT_OF_MEMORY: "out of memory",
    pb.FAILURE_REASON_INTERNAL: "the model failed",
}


def answer_request(
    inspection: Inspection,
    images: Sequence[tuple[ImageReference, bytes]],
    questions: Sequence[AskedQuestion],
    turns: Sequence[tuple[AskedQuestion, str]],
    analysis: str,
    prompting: Prompting,
) -> pb.AnswerRequest:
    """Return the message that puts `questions`, after `turns` that were answered before."""
    return pb.AnswerRequest(
        inspection_id=inspection.inspection_id,
        images=[
            pb.Image(
                role=_ROLES[reference.role],
                content=content,
                media_type=media_type(content),
                caption=reference.caption,
            )
            for reference, content in images
        ],
        questions=[_question(question) for question in questions],
        domain_knowledge=inspection.domain_knowledge,
        prompting=pb.Prompting(
            instruction=prompting.instruction,
            conversation_history=prompting.history,
            chain_of_thought=_THOUGHTS[prompting.cot],
        ),
        generation=pb.Generation(
            max_new_tokens=prompting.max_new_tokens,
            max_reasoning_tokens=prompting.max_reasoning_tokens,
            temperature=prompting.temperature,
            seed=inspection.seed,
            option_scores=prompting.option_scores,
            return_prompt=prompting.keep_prompts,
            anomaly_map=prompting.anomaly_map,
        ),
        history=[pb.Turn(question=_question(question), answer=text) for question, text in turns],
        analysis=analysis,
    )


def _question(question: AskedQuestion) -> pb.Question:
    return pb.Question(
        question_id=question.question_id,
        text=question.text,
        options=[pb.Option(letter=option.letter, text=option.text) for option in question.options],
    )


def model_card(message: pb.GetModelResponse) -> ModelCard:
    """Return what a service says about itself, in words that a terminal can be trusted with.

    The identity is whole: parts that were cut could hide that two models differ.
    """
    return ModelCard(
        identity=ModelIdentity(
            name=printable(message.name),
            family=printable(message.family),
            checkpoint=printable(message.checkpoint),
            revision=printable(message.revision),
            quantization=printable(message.quantization),
            prompt_sha256=printable(message.prompt_sha256),
            settings=_printable_items(message.settings),
        ),
        device=one_line(message.device),
        max_images=message.limits.max_images,
        max_in_flight=message.limits.max_in_flight or 1,
        max_request_bytes=message.limits.max_request_bytes or DEFAULT_MAX_REQUEST_BYTES,
        max_image_pixels=message.limits.max_image_pixels,
        option_scores=message.capabilities.option_scores,
        conversation_history=message.capabilities.conversation_history,
        chain_of_thought=message.capabilities.chain_of_thought,
        deterministic=message.capabilities.deterministic,
        text_only=message.capabilities.text_only,
        anomaly_map=message.capabilities.anomaly_map,
        environment=_printable_items(message.environment),
        state=_STATES.get(message.state, f"state {message.state}"),
        state_detail=one_line(message.state_detail),
        notes=tuple(one_line(note) for note in message.notes),
    )


def _printable_items(items: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((printable(key), printable(value)) for key, value in items.items()))


def reply(message: pb.AnswerResponse, seconds: float) -> Reply:
    """Return what came back for one question, `seconds` after it was sent."""
    timing = Timing(
        queue_seconds=_finite(message.timing.queue_seconds) or 0.0,
        encode_seconds=_finite(message.timing.encode_seconds) or 0.0,
        generate_seconds=_finite(message.timing.generate_seconds) or 0.0,
    )
    if not message.HasField("answered"):
        return Reply(message.question_id, failure=_failure(message), timing=timing, seconds=seconds)
    answered = message.answered
    return Reply(
        question_id=message.question_id,
        text=answered.text,
        reasoning=answered.reasoning,
        prompt=answered.prompt,
        finish_reason=_FINISHES.get(answered.finish_reason, ""),
        option_scores=tuple(
            OptionScore(
                score.letter, _finite(score.log_probability) if score.HasField("log_probability") else None
            )
            for score in answered.option_scores
        ),
        usage=Usage(
            prompt_tokens=answered.usage.prompt_tokens,
            completion_tokens=answered.usage.completion_tokens,
            cached_prompt_tokens=answered.usage.cached_prompt_tokens,
            reasoning_tokens=answered.usage.reasoning_tokens,
        ),
        timing=timing,
        seconds=seconds,
        images=tuple(ImageRecord(image.width, image.height, image.tokens) for image in answered.images),
        anomaly_map=answered.anomaly_map,
    )


def _finite(number: float) -> float | None:
    """Return the number, or None for what no journal can hold: a masked letter's score is minus infinity."""
    return number if math.isfinite(number) else None


def service_failed(message: pb.AnswerResponse) -> bool:
    """Whether a question has no answer by the service's own fault, and not the question's or a provider's."""
    return not message.HasField("answered") and message.failure.reason not in (
        pb.FAILURE_REASON_CONTEXT_TOO_LONG,
        pb.FAILURE_REASON_PROVIDER,
    )


def _failure(message: pb.AnswerResponse) -> str:
    if not message.HasField("failure"):
        return "the service broke the contract: its response holds neither an answer nor a failure"
    reason = _FAILURES.get(message.failure.reason, "the service failed")
    detail = one_line(message.failure.message)
    return f"{reason}: {detail}" if detail else reason
