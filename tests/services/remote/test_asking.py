"""Which questions are asked when, and what of one another they are told."""

import asyncio

import pytest

from mmad_answer.model import (
    Answer,
    BudgetSpentError,
    ChainOfThought,
    Failure,
    FailureReason,
    FinishReason,
    PassingFaultError,
    Turn,
    Usage,
)
from mmad_answer.remote.asking import replies
from mmad_answer.remote.faults import Kind, ProviderError


class Asked:
    """Keeps the conversations; answers with the question's id, or as `outcomes` says."""

    def __init__(self, outcomes=()):
        self.outcomes = dict(outcomes)
        self.conversations = {}
        self.log = []

    async def __call__(self, messages, question):
        name = question.question_id if question else "analysis"
        self.conversations[name] = messages
        self.log.append(f"begin {name}")
        await asyncio.sleep(0)
        self.log.append(f"end {name}")
        outcome = self.outcomes.get(name, Answer(f"answer to {name}"))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def collect(inspection, asked):
    return {reply.question_id: reply.outcome async for reply in replies(inspection, asked)}


def spoken(messages):
    """The conversation without its images: (who, last words)."""
    return [(message.speaker.value, message.parts[-1]) for message in messages]


async def test_the_first_question_goes_alone_and_the_others_together(inspect):
    asked = Asked()
    assert list(await collect(inspect(3), asked)) == ["q1", "q2", "q3"]
    assert asked.log == ["begin q1", "end q1", "begin q2", "begin q3", "end q2", "end q3"]


async def test_an_answer_comes_as_soon_as_it_is_there(inspect):
    release = asyncio.Event()

    async def ask(messages, question):
        if question.question_id == "q2":
            await release.wait()
        return Answer("A")

    arriving = replies(inspect(3), ask)
    assert [(await anext(arriving)).question_id for _ in range(2)] == ["q1", "q3"]
    release.set()
    assert (await anext(arriving)).question_id == "q2"


async def test_with_history_each_question_sees_the_answers_before_it(inspect):
    asked = Asked({"q2": ProviderError(Kind.REQUEST, "no"), "q3": Answer("")})
    asked.outcomes["q4"] = Answer("content_filter: violence", FinishReason.REFUSED)
    outcomes = await collect(inspect(5, conversation_history=True), asked)
    assert outcomes["q2"] == Failure(FailureReason.PROVIDER, "no")
    words = [text for who, text in spoken(asked.conversations["q5"]) if who == "assistant"]
    assert words == ["answer to q1"], "no failure, silence or refusal is a turn"
    assert asked.log[:4] == ["begin q1", "end q1", "begin q2", "end q2"]


async def test_a_conversation_that_goes_on_has_its_earlier_turns(inspect):
    [first] = inspect().questions
    asked = Asked()
    going_on = inspect(1, conversation_history=True, history=(Turn(first, "B"),))
    await collect(going_on, asked)
    assert [who for who, _ in spoken(asked.conversations["q1"])] == ["system", "user", "assistant", "user"]


async def test_an_analysis_comes_first_and_is_the_reasoning_of_every_answer(inspect):
    asked = Asked({"analysis": Answer("I see a scratch", usage=Usage(100, 50, 10), generate_seconds=2.0)})
    asked.outcomes["q1"] = Answer("A", usage=Usage(200, 1, 90), generate_seconds=1.0)
    outcomes = await collect(inspect(2, chain_of_thought=ChainOfThought.PER_INSPECTION), asked)
    assert asked.log[0] == "begin analysis"
    assert ("assistant", "I see a scratch") in spoken(asked.conversations["q2"])
    assert [outcomes[name].reasoning for name in ("q1", "q2")] == ["I see a scratch"] * 2
    assert outcomes["q1"].usage == Usage(300, 51, 100, 50)
    assert outcomes["q1"].generate_seconds == 3.0
    assert outcomes["q2"].usage == Usage()


async def test_counts_whose_sum_with_the_analysis_cannot_be_sent_cost_no_answer(inspect):
    analysis = Answer("I see a scratch", usage=Usage(2**32 - 1))
    asked = Asked({"analysis": analysis, "q1": Answer("A", usage=Usage(1, 2))})
    outcomes = await collect(inspect(1, chain_of_thought=ChainOfThought.PER_INSPECTION), asked)
    assert (outcomes["q1"].text, outcomes["q1"].usage) == ("A", Usage(0, 2))


async def test_an_analysis_that_the_caller_brings_is_not_made_again(inspect):
    asked = Asked()
    inspection = inspect(1, chain_of_thought=ChainOfThought.PER_INSPECTION, analysis="I saw a dent")
    outcomes = await collect(inspection, asked)
    assert "analysis" not in asked.conversations
    assert ("assistant", "I saw a dent") in spoken(asked.conversations["q1"])
    assert outcomes["q1"].reasoning == "I saw a dent"


@pytest.mark.parametrize(
    ("analysis", "outcome"),
    [
        (
            ProviderError(Kind.CONTEXT_TOO_LONG, "too long"),
            Failure(FailureReason.CONTEXT_TOO_LONG, "too long"),
        ),
        (
            Answer("", FinishReason.LENGTH),
            Failure(FailureReason.PROVIDER, "the analysis of the images came back empty"),
        ),
        (Answer("I cannot", FinishReason.REFUSED), Answer("I cannot", FinishReason.REFUSED)),
    ],
)
async def test_without_an_analysis_no_question_is_asked_in_another_way(inspect, analysis, outcome):
    asked = Asked({"analysis": analysis})
    outcomes = await collect(inspect(2, chain_of_thought=ChainOfThought.PER_INSPECTION), asked)
    assert outcomes == {"q1": outcome, "q2": outcome}
    assert list(asked.conversations) == ["analysis"]


async def test_what_a_refused_analysis_cost_counts_once(inspect):
    asked = Asked({"analysis": Answer("No", FinishReason.REFUSED, usage=Usage(100, 5))})
    outcomes = await collect(inspect(3, chain_of_thought=ChainOfThought.PER_INSPECTION), asked)
    assert sum(outcome.usage.prompt_tokens for outcome in outcomes.values()) == 100


async def test_one_questions_fault_is_its_own(inspect):
    asked = Asked(
        {"q1": ProviderError(Kind.CONTEXT_TOO_LONG, "long"), "q3": ProviderError(Kind.PASSING, "500")}
    )
    outcomes = await collect(inspect(3), asked)
    assert outcomes == {
        "q1": Failure(FailureReason.CONTEXT_TOO_LONG, "long"),
        "q2": Answer("answer to q2"),
        "q3": Failure(FailureReason.PROVIDER, "500"),
    }


@pytest.mark.parametrize("history", [False, True])
async def test_a_fault_that_only_the_first_question_meets_is_its_own(inspect, history):
    asked = Asked({"q1": PassingFaultError("500")})
    outcomes = await collect(inspect(3, conversation_history=history), asked)
    assert outcomes == {
        "q1": Failure(FailureReason.PROVIDER, "500"),
        "q2": Answer("answer to q2"),
        "q3": Answer("answer to q3"),
    }
    assert asked.log[:4] == ["begin q1", "end q1", "begin q2", "end q2"]
    if history:
        assert [who for who, _ in spoken(asked.conversations["q3"])].count("assistant") == 1


async def test_in_a_conversation_a_fault_that_one_question_meets_is_its_own_wherever_it_stands(inspect):
    asked = Asked({"q2": PassingFaultError("500")})
    outcomes = await collect(inspect(4, conversation_history=True), asked)
    assert outcomes["q2"] == Failure(FailureReason.PROVIDER, "500")
    assert list(outcomes) == ["q1", "q2", "q3", "q4"]
    words = [text for who, text in spoken(asked.conversations["q4"]) if who == "assistant"]
    assert words == ["answer to q1", "answer to q3"]


@pytest.mark.parametrize(("questions", "asked_for"), [(1, ["q1"]), (3, ["q1", "q2"])])
async def test_a_fault_that_the_second_question_meets_too_is_an_outage(inspect, questions, asked_for):
    asked = Asked({name: PassingFaultError(f"{name} 500") for name in ("q1", "q2")})
    with pytest.raises(PassingFaultError, match=f"{asked_for[-1]} 500"):
        await collect(inspect(questions), asked)
    assert list(asked.conversations) == asked_for


async def test_a_provider_that_says_when_to_come_again_is_asked_nothing_else(inspect):
    asked = Asked({"q1": PassingFaultError("429", 30)})
    with pytest.raises(PassingFaultError, match="429"):
        await collect(inspect(3), asked)
    assert list(asked.conversations) == ["q1"]


async def test_what_nobody_expected_costs_its_question_alone(inspect, caplog):
    asked = Asked({"q1": AttributeError("no such thing"), "q2": RecursionError("too deep")})
    outcomes = await collect(inspect(3), asked)
    assert outcomes == {
        "q1": Failure(FailureReason.INTERNAL, "AttributeError: no such thing"),
        "q2": Failure(FailureReason.INTERNAL, "RecursionError: too deep"),
        "q3": Answer("answer to q3"),
    }
    assert "Traceback" in caplog.text


async def test_a_fault_of_the_whole_call_waits_for_what_is_under_way_and_asks_nothing_more(inspect):
    asked = Asked({"q2": PassingFaultError("later")})
    arriving = replies(inspect(3), asked)
    assert [(await anext(arriving)).question_id for _ in range(2)] == ["q1", "q3"]
    with pytest.raises(PassingFaultError, match="later"):
        await anext(arriving)
    asked = Asked({"q1": BudgetSpentError("no credit")})
    with pytest.raises(BudgetSpentError):
        await collect(inspect(3), asked)
    assert asked.log == ["begin q1", "end q1"]


async def test_who_draws_no_more_cancels_what_is_under_way(inspect):
    cancelled = []

    async def ask(messages, question):
        if question.question_id == "q1":
            return Answer("A")
        if question.question_id == "q2":
            await asyncio.sleep(0)
            return Answer("B")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(question.question_id)
            raise
        raise AssertionError

    arriving = replies(inspect(4), ask)
    assert [(await anext(arriving)).question_id for _ in range(2)] == ["q1", "q2"]
    await arriving.aclose()
    assert sorted(cancelled) == ["q3", "q4"]
