"""What each status of a call does to an inspection and to its model."""

import dataclasses
import datetime
import itertools

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from mmad.answer.v1 import answer_pb2 as pb

Code = grpc.StatusCode


def failures(house):
    return {reply.question_id: reply.failure for reply in house.memory.replies.values() if reply.failure}


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.CANCELLED])
async def test_a_passing_fault_costs_only_the_questions_without_an_answer(house, steps, code):
    service = await house.service()
    service.script = [steps.refuse(code, after=1)]
    (ending,) = await house.run(house.inspections(1), house.model(service))
    assert ending.reason == ""
    assert [len(request.questions) for request in service.requests] == [3, 2]
    assert house.memory.codes() == [code.name, "OK"]
    assert [attempt.number for attempt in house.memory.attempts] == [1, 2]
    assert failures(house) == {}


async def test_a_stream_that_is_reset_is_a_passing_fault(house, steps):
    service = await house.service()
    service.script = [steps.refuse(Code.INTERNAL, "Received RST_STREAM with error code 2", after=2)]
    await house.run(house.inspections(1), house.model(service))
    assert [len(request.questions) for request in service.requests] == [3, 1]
    assert failures(house) == {}


async def test_the_second_attempt_goes_to_another_replica(house, steps):
    one, other = await house.service(), await house.service()
    one.otherwise = steps.refuse(Code.ABORTED)
    await house.run(house.inspections(6), house.model(one, other), concurrency=1)
    for inspection in {attempt.inspection_id for attempt in house.memory.attempts}:
        targets = [a.target for a in house.memory.attempts if a.inspection_id == inspection]
        assert targets in ([other.target], [one.target, other.target])
    assert failures(house) == {}


async def test_attempts_that_are_spent_give_the_questions_a_failure(house, steps):
    service = await house.service()
    first, second = house.inspections(2)
    service.script = [steps.refuse(Code.UNAVAILABLE, "the tower fell", after=n == 0) for n in range(4)]
    (ending,) = await house.run([first, second], house.model(service), attempts=3, concurrency=1)
    assert ending.reason == ""
    assert set(failures(house).values()) == {"gave up after 3 attempts: UNAVAILABLE: the tower fell"}
    assert len(failures(house)) == 2
    assert len(house.memory.replies) == 6


async def test_later_means_later_for_the_whole_replica_and_costs_no_attempt(house, steps):
    service = await house.service()
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=100_000_000))
    service.script = [steps.refuse(Code.RESOURCE_EXHAUSTED, "queue full", wait)] * 4
    await house.run(house.inspections(1), house.model(service), attempts=1)
    assert house.memory.codes() == ["RESOURCE_EXHAUSTED"] * 4 + ["OK"]
    assert failures(house) == {}
    starts = [attempt.started_at for attempt in house.memory.attempts]
    assert all(_seconds_between(a, b) >= 0.09 for a, b in itertools.pairwise(starts))


async def test_a_replica_that_is_busy_sends_the_work_to_another(house, steps):
    one, other = await house.service(), await house.service()
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=60))
    one.otherwise = steps.refuse(Code.RESOURCE_EXHAUSTED, "queue full", wait)
    await house.run(house.inspections(8), house.model(one, other), concurrency=1)
    assert len(one.requests) == 1
    assert len(house.memory.replies) == 24


async def test_a_model_that_asks_to_be_left_alone_for_long_is_shown_so(house, steps):
    service = await house.service()
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1, nanos=200_000_000))
    service.script = [steps.refuse(Code.RESOURCE_EXHAUSTED, "queue full", wait)]
    await house.run(house.inspections(1), house.model(service))
    (_, said), after = house.memory.states
    assert said.startswith("1 of 1 replicas say to come later, next try in 1 s (")
    assert "queue full" in said
    assert after == ("model", "")


async def test_too_large_for_the_service_is_a_failure_with_the_size_and_is_not_tried_again(house, steps):
    service = await house.service()
    service.script = [steps.refuse(Code.RESOURCE_EXHAUSTED, "larger than max")]
    await house.run(house.inspections(1), house.model(service))
    size = service.requests[0].ByteSize() / 1e3
    assert set(failures(house).values()) == {
        f"too large for the service: {size:.1f} kB: RESOURCE_EXHAUSTED: larger than max"
    }
    assert house.memory.codes() == ["RESOURCE_EXHAUSTED"]


async def test_a_request_over_the_cards_limit_is_not_sent(house):
    service = await house.service()
    service.card.limits.max_request_bytes = 200
    await house.run(house.inspections(1), house.model(service))
    assert service.requests == []
    (failure,) = set(failures(house).values())
    assert "0.2 kB (DS/part/good/000.png 0.1 kB)" in failure
    assert [(a.code, a.request_bytes) for a in house.memory.attempts] == [("RESOURCE_EXHAUSTED", 0)]


async def test_a_broken_image_is_named_by_its_path(house, steps):
    service = await house.service()
    violation = error_details_pb2.BadRequest.FieldViolation(
        field="images[1].content", description="truncated"
    )
    inspection = house.inspection("DS/part/good/000.png", templates=["T/t.png"])
    service.script = [
        steps.refuse(Code.INVALID_ARGUMENT, "bad", error_details_pb2.BadRequest(field_violations=[violation]))
    ]
    (ending,) = await house.run([inspection, *house.inspections(3)[1:]], house.model(service), concurrency=1)
    assert ending.reason == ""
    assert set(failures(house).values()) == {
        "the service refused the request: INVALID_ARGUMENT: DS/part/good/000.png: truncated"
    }
    assert len(house.memory.replies) == 9


async def test_a_field_that_is_no_image_is_named_as_it_is(house, steps):
    service = await house.service()
    violation = error_details_pb2.BadRequest.FieldViolation(
        field="questions[0]\x1b.options", description="one\tonly"
    )
    service.script = [
        steps.refuse(Code.INVALID_ARGUMENT, "bad", error_details_pb2.BadRequest(field_violations=[violation]))
    ]
    await house.run(house.inspections(1), house.model(service))
    assert set(failures(house).values()) == {
        "the service refused the request: INVALID_ARGUMENT: questions[0] .options: one only"
    }


@pytest.mark.parametrize(
    "code", [Code.FAILED_PRECONDITION, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED]
)
async def test_what_no_inspection_can_pass_stops_the_model_and_leaves_its_questions_missing(
    house, steps, code
):
    service, other = await house.service(), await house.service("other")
    service.otherwise = steps.refuse(code, "not for you")
    endings = await house.run(house.inspections(20), house.model(service), house.model(other))
    assert endings[0].reason == f"{service.target} says {code.name}: not for you"
    assert endings[1].reason == ""
    assert house.memory.of("model") == []
    assert len(house.memory.of("other")) == 60
    assert len(service.requests) <= 4


async def test_a_spent_budget_is_told_as_such(house, steps):
    service = await house.service()
    info = error_details_pb2.ErrorInfo(reason="BUDGET_SPENT")
    service.otherwise = steps.refuse(Code.FAILED_PRECONDITION, "5 dollars", info)
    (ending,) = await house.run(house.inspections(1), house.model(service))
    assert "the budget is spent: 5 dollars" in ending.reason


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS])
async def test_a_bug_of_the_service_fails_its_inspection_and_the_next_is_asked(house, steps, code):
    service = await house.service()
    service.script = [steps.refuse(code, "oops")] * 9
    (ending,) = await house.run(house.inspections(12), house.model(service), concurrency=1)
    assert ending.reason == ""
    assert set(failures(house).values()) == {f"the service failed: {code.name}: oops"}
    assert len(failures(house)) == 27
    assert len(house.memory.replies) == 36


async def test_bytes_that_cannot_be_read_fail_their_inspection_and_no_other(house, steps, caplog):
    service, other = await house.service(), await house.service("other")
    service.script = [steps.garble(after=1)]
    endings = await house.run(house.inspections(3), house.model(service), house.model(other), concurrency=1)
    assert [ending.reason for ending in endings] == ["", ""]
    assert set(failures(house).values()) == {
        "the service failed: INTERNAL: the service sent what cannot be read: does it speak mmad.answer.v1?"
    }
    assert len(failures(house)) == 2
    assert len(house.memory.replies) == 18
    assert caplog.records == []  # no traceback


async def test_ten_broken_inspections_in_a_row_stop_the_model(house, steps):
    service = await house.service()
    service.otherwise = steps.refuse(Code.INTERNAL, "oops")
    (ending,) = await house.run(house.inspections(30, products=2), house.model(service), concurrency=1)
    assert ending.reason.startswith("10 inspections in a row failed, the last: the service failed")
    assert len(service.requests) == 10


@pytest.mark.parametrize("reason", [pb.FAILURE_REASON_INTERNAL, pb.FAILURE_REASON_OUT_OF_MEMORY])
async def test_ten_inspections_in_a_row_with_nothing_but_the_services_failures_stop_the_model(
    house, steps, reason
):
    service = await house.service()
    service.otherwise = steps.fail(pb.Failure(reason=reason, message="illegal memory access"))
    (ending,) = await house.run(house.inspections(30, products=2), house.model(service), concurrency=1)
    assert ending.reason.startswith("10 inspections in a row failed, the last: ")
    assert ending.reason.endswith(": illegal memory access")
    assert len(service.requests) == 10
    assert len(failures(house)) == 30


async def test_a_product_that_the_model_cannot_take_does_not_stop_it(house, steps):
    """Its images come together in a plan, more than ten of them; the next product is fine."""
    service = await house.service()
    out_of_memory = steps.fail(pb.Failure(reason=pb.FAILURE_REASON_OUT_OF_MEMORY, message="too large"))
    service.script.extend([out_of_memory] * 20)
    inspections = [house.inspection(f"DS/large/bad/{n}.png") for n in range(20)] + house.inspections(5)
    (ending,) = await house.run(inspections, house.model(service), concurrency=1)
    assert ending.reason == ""
    assert len(failures(house)) == 60
    assert len(house.memory.replies) == 75


async def test_questions_that_fail_beside_others_that_are_answered_do_not_stop_the_model(house, steps):
    service = await house.service()
    service.otherwise = steps.fail(pb.Failure(reason=pb.FAILURE_REASON_INTERNAL), answer=1)
    (ending,) = await house.run(house.inspections(15), house.model(service), concurrency=1)
    assert ending.reason == ""
    assert len(failures(house)) == 30


@pytest.mark.parametrize("reason", [pb.FAILURE_REASON_CONTEXT_TOO_LONG, pb.FAILURE_REASON_PROVIDER])
async def test_questions_that_fail_by_their_own_fault_do_not_stop_the_model(house, steps, reason):
    service = await house.service()
    service.otherwise = steps.fail(pb.Failure(reason=reason))
    (ending,) = await house.run(house.inspections(15), house.model(service), concurrency=1)
    assert ending.reason == ""
    assert len(service.requests) == 15


async def test_broken_inspections_with_a_good_one_between_them_do_not_stop_the_model(house, steps):
    service = await house.service()
    broken = steps.refuse(Code.INTERNAL, "oops")
    service.script = [*[broken] * 9, steps.answer(), *[broken] * 9]
    (ending,) = await house.run(house.inspections(20), house.model(service), concurrency=1)
    assert ending.reason == ""
    assert len(service.requests) == 20


async def test_inspections_that_are_refused_for_their_own_fault_do_not_stop_the_model(house, steps):
    service = await house.service()
    service.otherwise = steps.refuse(Code.INVALID_ARGUMENT, "bad image")
    (ending,) = await house.run(house.inspections(15), house.model(service), concurrency=1)
    assert ending.reason == ""
    assert len(service.requests) == 15


async def test_a_stream_that_leaves_questions_out_is_asked_for_them_again(house, steps):
    service = await house.service()
    service.script = [steps.leave_out(2), steps.leave_out(1)]
    await house.run(house.inspections(1), house.model(service))
    assert [len(request.questions) for request in service.requests] == [3, 2, 1]
    assert failures(house) == {}
    assert house.memory.codes() == ["OK"] * 3
    assert house.memory.attempts[0].detail == "the stream ended without an answer to 2 of 3 questions"


async def test_a_stream_that_leaves_the_same_question_out_each_time_has_broken_the_contract(house, steps):
    service = await house.service()
    service.otherwise = steps.leave_out(1)
    inspection = house.inspection("DS/part/good/000.png", questions=1)
    await house.run([inspection], house.model(service))
    assert len(service.requests) == 3
    assert list(failures(house).values()) == [
        "the service broke the contract: the stream ended without an answer to 1 of 1 questions"
    ]


async def test_a_second_answer_and_one_that_was_not_asked_are_ignored_and_told_once(house, steps):
    service = await house.service()
    inspections = house.inspections(2)
    for inspection in inspections:
        twice = inspection.questions[0].question_id
        service.script.append(
            steps.send(
                pb.AnswerResponse(question_id=twice, answered=pb.Answered(text="the first")),
                pb.AnswerResponse(question_id="stranger", answered=pb.Answered(text="B")),
            )
        )
    (ending,) = await house.run(inspections, house.model(service), concurrency=1)
    assert ending.reason == ""
    assert len(house.memory.replies) == 6
    assert house.memory.replies["model", inspections[0].questions[0].question_id].text == "the first"
    for attempt in house.memory.attempts:
        assert "'stranger', which was not asked" in attempt.detail
        assert "a second answer to" in attempt.detail
        assert (attempt.code, attempt.answered) == ("OK", 3)
    assert house.memory.notes == [
        (
            "model",
            f"{service.target} broke the contract (told once): an answer to 'stranger', which was not asked",
        )
    ]


async def test_a_failure_of_one_question_is_its_reply_and_final(house, steps):
    service = await house.service()
    (inspection,) = house.inspections(1)
    failed = pb.AnswerResponse(
        question_id=inspection.questions[0].question_id,
        failure=pb.Failure(reason=pb.FAILURE_REASON_CONTEXT_TOO_LONG, message="9000 tokens"),
    )

    async def step(service, request, context):
        yield failed
        for question in request.questions[1:]:
            yield pb.AnswerResponse(question_id=question.question_id, answered=pb.Answered(text="A"))

    service.otherwise = step
    await house.run([inspection], house.model(service))
    assert failures(house) == {failed.question_id: "the context is too long: 9000 tokens"}
    assert len(service.requests) == 1


async def test_an_attempt_that_takes_too_long_is_ended_and_made_again(house, steps):
    service = await house.service()
    service.script = [steps.hang(after=1)]
    await house.run(house.inspections(1), house.model(service), timeout_seconds=1)
    assert house.memory.codes() == ["DEADLINE_EXCEEDED", "OK"]
    assert [len(request.questions) for request in service.requests] == [3, 2]


async def test_a_model_that_hangs_while_it_answers_pings_is_given_up_and_its_questions_stay_missing(
    house, steps
):
    service = await house.service()
    service.otherwise = steps.hang()
    (ending,) = await house.run(house.inspections(9), house.model(service), timeout_seconds=0.2)
    assert ending.reason.startswith("no answer within 0.2 s, 3 times in a row")
    assert "--timeout" in ending.reason
    assert house.memory.replies == {}
    assert len(service.requests) <= 4 + 2 + 1


async def test_a_model_that_hangs_with_one_call_at_a_time_is_given_up_at_its_second_inspection(house, steps):
    service = await house.service()
    service.otherwise = steps.hang()
    (ending,) = await house.run(
        house.inspections(9), house.model(service), concurrency=1, timeout_seconds=0.2, attempts=4
    )
    assert ending.reason.startswith("no answer within 0.2 s, 3 times in a row")
    assert len(service.requests) <= 4 + 1
    assert len(failures(house)) == 3


async def test_one_inspection_that_takes_too_long_is_failed_and_does_not_end_its_model(house, steps):
    service = await house.service()
    first, *others = house.inspections(4)

    async def slow_at_the_first(service, request, context):
        step = steps.hang() if request.inspection_id == first.inspection_id else steps.answer()
        async for response in step(service, request, context):
            yield response

    service.otherwise = slow_at_the_first
    (ending,) = await house.run(
        [first, *others], house.model(service), concurrency=1, timeout_seconds=0.5, attempts=4
    )
    assert ending.reason == ""
    assert failures(house).keys() == {question.question_id for question in first.questions}


async def test_a_model_is_not_given_up_while_another_replica_answers(house, steps):
    hung, well = await house.service(), await house.service()
    hung.otherwise = steps.hang()
    house.pace = dataclasses.replace(house.pace, timeouts_in_a_row=1)
    (ending,) = await house.run(house.inspections(12), house.model(hung, well), timeout_seconds=1)
    assert ending.reason == ""
    assert "DEADLINE_EXCEEDED" in house.memory.codes()
    assert len(house.memory.replies) == 36
    assert failures(house) == {}


async def test_attempts_that_bring_an_answer_each_do_not_use_up_the_attempts(house, steps):
    service = await house.service()
    service.otherwise = steps.refuse(Code.ABORTED, after=1)
    (ending,) = await house.run(house.inspections(1, questions=8), house.model(service), attempts=2)
    assert ending.reason == ""
    assert [len(request.questions) for request in service.requests] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert failures(house) == {}


async def test_a_model_that_says_nothing_but_later_is_given_up_after_its_time(house, steps):
    service = await house.service()
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=100_000_000))
    service.otherwise = steps.refuse(Code.RESOURCE_EXHAUSTED, "queue full", wait)
    house.pace = dataclasses.replace(house.pace, turned_away_patiences=0.01)
    (ending,) = await house.run(house.inspections(2), house.model(service), timeout_seconds=0.5)
    assert ending.reason.startswith("turned away for ")
    assert "queue full" in ending.reason
    assert house.memory.replies == {}


async def test_a_wait_that_is_longer_than_the_patience_is_not_waited_for(house, steps):
    service = await house.service()
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3000))
    service.otherwise = steps.refuse(Code.RESOURCE_EXHAUSTED, "the provider's limit", wait)
    house.pace = dataclasses.replace(house.pace, turned_away_patiences=0.01)
    (ending,) = await house.run(house.inspections(2), house.model(service), timeout_seconds=0.5)
    assert ending.reason.startswith("turned away for ")
    assert "the provider's limit" in ending.reason


async def test_a_model_that_answers_something_between_its_laters_is_not_given_up(house, steps):
    service = await house.service()
    wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=100_000_000))
    later = steps.refuse(Code.RESOURCE_EXHAUSTED, "queue full", wait)
    service.script = [later, later, steps.refuse(Code.RESOURCE_EXHAUSTED, "", wait, after=1)] * 5
    house.pace = dataclasses.replace(house.pace, turned_away_patiences=0)
    (inspection,) = house.inspections(1, questions=6)
    (ending,) = await house.run([inspection], house.model(service), timeout_seconds=1)
    assert ending.reason == ""
    assert failures(house) == {}


def _seconds_between(one, other):
    parse = datetime.datetime.fromisoformat
    return (parse(other) - parse(one)).total_seconds()
