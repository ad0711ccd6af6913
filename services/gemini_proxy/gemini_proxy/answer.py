"""A reply of the API, read as the answer to a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gemini_proxy.messages import (
    Candidate,
    GenerateContentResponse,
    LogprobsResult,
    SafetyRating,
    UsageMetadata,
)
from mmad_answer.model import Answer, FinishReason, OptionScore, Usage
from mmad_answer.remote.counts import token_count
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.remote.scores import option_scores

_FINISHES: Final = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    **dict.fromkeys(
        ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "IMAGE_SAFETY"),
        FinishReason.REFUSED,
    ),
}


def answer(response: GenerateContentResponse, scored_letters: Sequence[str] = ()) -> Answer:
    """The answer, its thoughts apart; what the provider blocked is an answer too, in the provider's words.

    Raises:
        ProviderError: NO_ANSWER, if the reply holds nothing and says not why; REQUEST, if the model broke off
            for a reason that is no refusal, or called a function and said nothing.
    """
    usage = _usage(response.usage_metadata)
    feedback = response.prompt_feedback
    if feedback.block_reason:
        words = f"prompt blocked: {feedback.block_reason}{_blocking(feedback.safety_ratings)}"
        return Answer(words, FinishReason.REFUSED, usage=usage)
    if not response.candidates:
        raise ProviderError(Kind.NO_ANSWER, "the reply holds no candidate and does not say why")
    candidate = response.candidates[0]
    if not candidate.finish_reason:
        raise ProviderError(Kind.NO_ANSWER, "the reply is not finished")
    finish = _FINISHES.get(candidate.finish_reason)
    if finish is None:
        raise ProviderError(Kind.REQUEST, f"the model broke off: {_ending(candidate)}")
    text = _joined(candidate, thought=False)
    if finish is FinishReason.REFUSED:
        words = f"answer blocked: {_ending(candidate)}"
        return Answer(f"{text}\n{words}".strip(), finish, usage=usage)
    calls = [part.function_call.name for part in candidate.content.parts if part.function_call]
    if calls and not text:
        raise ProviderError(
            Kind.REQUEST, f"the model called a function and gave no answer: {', '.join(calls)}"
        )
    reasoning = _joined(candidate, thought=True)
    # After thoughts the first position is not the contract's: it depends on what was thought.
    thought = bool(reasoning or usage.reasoning_tokens)
    scores = () if thought else _option_scores(candidate.logprobs_result, scored_letters)
    return Answer(text, finish, scores, usage, reasoning)


def _option_scores(logprobs: LogprobsResult, letters: Sequence[str]) -> tuple[OptionScore, ...]:
    """Of the letters at the first position; none where the reply has no such position."""
    if not logprobs.top_candidates:
        return ()
    first = logprobs.top_candidates[0].candidates
    return option_scores([(each.token, each.log_probability) for each in first], letters)


def _usage(usage: UsageMetadata) -> Usage:
    # Thoughts are a part of the completion, as other providers count them; here they come beside it.
    return Usage(
        prompt_tokens=usage.prompt_token_count,
        completion_tokens=token_count(usage.candidates_token_count + usage.thoughts_token_count),
        cached_prompt_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
    )


def _joined(candidate: Candidate, *, thought: bool) -> str:
    return "".join(part.text for part in candidate.content.parts if part.thought is thought)


def _ending(candidate: Candidate) -> str:
    message = f": {candidate.finish_message}" if candidate.finish_message else ""
    return f"{candidate.finish_reason}{message}{_blocking(candidate.safety_ratings)}"


def _blocking(ratings: Sequence[SafetyRating]) -> str:
    blocking = ", ".join(f"{each.category} {each.probability}" for each in ratings if each.blocked)
    return f" ({blocking})" if blocking else ""
