"""Conversations: what a call carries along so that answers do not depend on where an earlier one broke."""

import dataclasses

import grpc
import pytest

from orchestrator.dispatch import Prompting
from orchestrator.options import ChainOfThought
from orchestrator.vocabulary import Reply


@pytest.fixture
def talking(house):
    house.prompting = Prompting(history=True)
    return house


def turns(request):
    return [(turn.question.question_id[-1], turn.answer) for turn in request.history]


def asked(request):
    return [question.question_id[-1] for question in request.questions]


def keep(house, inspection, **replies):
    for index, reply in replies.items():
        question = inspection.questions[int(index[1:])]
        reply = Reply(question.question_id, **reply)
        house.memory.replies["model", question.question_id] = reply


async def test_an_undisturbed_inspection_is_one_call_without_turns(talking):
    service = await talking.service()
    await talking.run(talking.inspections(1, questions=5), talking.model(service))
    (request,) = service.requests
    assert request.prompting.conversation_history
    assert (asked(request), turns(request)) == (["0", "1", "2", "3", "4"], [])


async def test_a_call_that_goes_on_after_a_fault_carries_the_turns_before_it(talking, steps):
    service = await talking.service()
    service.script = [steps.refuse(grpc.StatusCode.UNAVAILABLE, after=2)]
    (inspection,) = talking.inspections(1, questions=4)
    await talking.run([inspection], talking.model(service))
    first, second = service.requests
    assert asked(second) == ["2", "3"]
    key = inspection.inspection_id
    assert turns(second) == [("0", f"A, to {key}#0"), ("1", f"A, to {key}#1")]
    assert second.history[0].question.text == "Question 0?"
    assert [option.text for option in second.history[0].question.options] == ["Yes", "No"]
    assert second.images == first.images


async def test_questions_between_kept_ones_are_asked_run_by_run_with_the_turns_before_each(talking):
    service = await talking.service()
    (inspection,) = talking.inspections(1, questions=6)
    keep(talking, inspection, q1={"text": "one"}, q4={"text": "four"})
    await talking.run([inspection], talking.model(service))
    key = inspection.inspection_id
    zero, two, three = (f"A, to {key}#{n}" for n in (0, 2, 3))
    assert [(asked(r), turns(r)) for r in service.requests] == [
        (["0"], []),
        (["2", "3"], [("0", zero), ("1", "one")]),
        (["5"], [("0", zero), ("1", "one"), ("2", two), ("3", three), ("4", "four")]),
    ]


async def test_a_failed_or_refused_question_contributes_no_turn(talking):
    service = await talking.service()
    (inspection,) = talking.inspections(1, questions=4)
    refused = {"text": "content_filter", "finish_reason": "refused"}
    keep(talking, inspection, q0={"text": "zero"}, q1={"failure": "out of memory"}, q2=refused)
    await talking.run([inspection], talking.model(service))
    (request,) = service.requests
    assert (asked(request), turns(request)) == (["3"], [("0", "zero")])


async def test_without_history_kept_answers_are_not_carried_and_one_call_asks_the_rest(house):
    service = await house.service()
    (inspection,) = house.inspections(1, questions=4)
    keep(house, inspection, q1={"text": "one", "reasoning": "because"})
    await house.run([inspection], house.model(service))
    (request,) = service.requests
    assert (asked(request), turns(request), request.analysis) == (["0", "2", "3"], [], "")


async def test_an_inspections_analysis_is_carried_along_and_not_made_twice(house, steps):
    house.prompting = Prompting(cot=ChainOfThought.INSPECTION)
    service = await house.service()
    service.script = [steps.refuse(grpc.StatusCode.UNAVAILABLE, after=1)]
    await house.run(house.inspections(1), house.model(service))
    assert [request.analysis for request in service.requests] == ["", "looked closely"]


async def test_thoughts_about_single_questions_are_not_carried_along(house, steps):
    house.prompting = Prompting(cot=ChainOfThought.QUESTION)
    service = await house.service()
    service.script = [steps.refuse(grpc.StatusCode.UNAVAILABLE, after=1)]
    await house.run(house.inspections(1), house.model(service))
    assert [request.analysis for request in service.requests] == ["", ""]


async def test_attempts_are_counted_over_all_the_calls_of_an_inspection(talking, steps):
    service = await talking.service()
    service.otherwise = steps.refuse(grpc.StatusCode.ABORTED)
    (inspection,) = talking.inspections(1, questions=3)
    keep(talking, inspection, q1={"text": "one"})
    await talking.run([inspection], talking.model(service), attempts=3)
    assert len(service.requests) == 3
    failures = [reply.failure for reply in talking.memory.replies.values() if reply.failure]
    assert failures == ["gave up after 3 attempts: ABORTED: as scripted"] * 2


async def test_text_only_sends_no_image(house):
    house.prompting = dataclasses.replace(house.prompting, text_only=True)
    service = await house.service()
    (inspection,) = house.inspections(1)
    (house.root / inspection.inspection_id).unlink()
    await house.run([inspection], house.model(service))
    assert len(service.requests[0].images) == 0
    assert all(reply.text for reply in house.memory.replies.values())
