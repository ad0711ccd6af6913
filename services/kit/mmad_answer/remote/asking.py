"""An inspection's questions, put in an order that providers like, each by itself.

The first question goes alone, the others together after it: a provider that caches prefixes has then computed
the images once for all. The price is one more reply's time per inspection, which other inspections fill.
With history they go one after the other, as each needs the answers before it; an analysis comes before all.
A fault of a question that goes alone may be its own: the next one shows whether the provider is out of order.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeAlias

from mmad_answer.model import (
    Answer,
    ChainOfThought,
    Failure,
    FailureReason,
    FinishReason,
    Inspection,
    PassingFaultError,
    Question,
    Reply,
    Turn,
    Usage,
    WholeCallError,
)
from mmad_answer.prompt import Message, analysis_request, conversation
from mmad_answer.remote.counts import token_count
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.wording import in_one_line

_log = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[Sequence[Message], Question | None], Awaitable[Answer]]
"""Gets one reply: to a question, or (None) an analysis. Raises ProviderError where there is none."""


async def replies(inspection: Inspection, ask: Ask) -> AsyncGenerator[Reply, None]:
    """Ask all questions; yield each reply as soon as it is there.

    Raises:
        WholeCallError: after the replies to what was under way.
    """
    questions = inspection.questions
    analysis: Answer | Failure | None = None
    if inspection.chain_of_thought is ChainOfThought.PER_INSPECTION:
        analysis = Answer(inspection.analysis) if inspection.analysis else await _analysis(inspection, ask)
    if analysis is not None and not _is_usable(analysis):
        # No question is asked in another way than the rest of the run.
        for question in questions:
            yield Reply(inspection, question.question_id, analysis)
            if isinstance(analysis, Answer):
                analysis = dataclasses.replace(analysis, usage=Usage(), generate_seconds=0.0)
        return
    thoughts = analysis.text if isinstance(analysis, Answer) else ""
    untold = [analysis] if isinstance(analysis, Answer) else []

    async def reply(question: Question, turns: Sequence[Turn]) -> Reply:
        try:
            outcome: Answer | Failure = await ask(
                conversation(inspection, question, turns, thoughts), question
            )
        except ProviderError as error:
            outcome = _failure(error)
        except WholeCallError:
            raise
        except Exception as error:  # what a reply holds may be anything, and its neighbours are paid for
            _log.exception("question %s", question.question_id)
            outcome = Failure(FailureReason.INTERNAL, in_one_line(error))
        if thoughts and isinstance(outcome, Answer):
            outcome = dataclasses.replace(outcome, reasoning=thoughts)
            if untold:
                outcome = _with_costs_of(untold.pop(), outcome)
        return Reply(inspection, question.question_id, outcome)

    async def next_replies(left: Sequence[Question], turns: Sequence[Turn]) -> list[Reply]:
        """To the first; to the second too, where only that tells an outage from a fault of the first's."""
        first, *others = left
        try:
            return [await reply(first, turns)]
        except PassingFaultError as fault:
            if fault.retry_seconds is not None or not others:
                raise
            second = await reply(others[0], turns)
            failure = Failure(FailureReason.PROVIDER, str(fault))
            return [Reply(inspection, first.question_id, failure), second]

    # A turn without words is none that a provider takes.
    turns = [turn for turn in inspection.history if turn.answer]
    left = questions
    while left:
        given = await next_replies(left, turns)
        for each in given:
            yield each
        answered, left = left[: len(given)], left[len(given) :]
        if not inspection.conversation_history:
            break
        turns += _turns(answered, given)
    async with contextlib.aclosing(_together([reply(question, turns) for question in left])) as arriving:
        async for one in arriving:
            yield one


def _turns(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Turn]:
    """What a conversation goes on with."""
    return [
        Turn(question, reply.outcome.text)
        for question, reply in zip(questions, replies, strict=True)
        if isinstance(reply.outcome, Answer) and reply.outcome.is_turn
    ]


async def _analysis(inspection: Inspection, ask: Ask) -> Answer | Failure:
    try:
        analysis = await ask(analysis_request(inspection), None)
    except ProviderError as error:
        return _failure(error)
    if not analysis.text and analysis.finish_reason is not FinishReason.REFUSED:
        return Failure(FailureReason.PROVIDER, "the analysis of the images came back empty")
    return analysis


def _is_usable(analysis: Answer | Failure) -> bool:
    return isinstance(analysis, Answer) and analysis.finish_reason is not FinishReason.REFUSED


def _failure(error: ProviderError) -> Failure:
    too_long = error.kind is Kind.CONTEXT_TOO_LONG
    return Failure(FailureReason.CONTEXT_TOO_LONG if too_long else FailureReason.PROVIDER, str(error))


def _with_costs_of(analysis: Answer, answer: Answer) -> Answer:
    """The first answer, which tells what the analysis before it has cost as well."""
    first, then = analysis.usage, answer.usage
    usage = Usage(
        token_count(first.prompt_tokens + then.prompt_tokens),
        token_count(first.completion_tokens + then.completion_tokens),
        token_count(first.cached_prompt_tokens + then.cached_prompt_tokens),
        token_count(first.completion_tokens + then.reasoning_tokens),  # all of an analysis is reasoning
    )
    seconds = analysis.generate_seconds + answer.generate_seconds
    return dataclasses.replace(answer, usage=usage, generate_seconds=seconds)


async def _together(waiting: Sequence[Awaitable[Reply]]) -> AsyncGenerator[Reply, None]:
    """Each result as it comes. A fault of the whole call waits for the others, which are paid for."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    fault: WholeCallError | None = None
    try:
        for task in asyncio.as_completed(tasks):
            try:
                yield await task
            except WholeCallError as error:
                fault = fault or error
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if fault is not None:
        raise fault
