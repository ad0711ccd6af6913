"""Whatever faults come in whatever order, the promises hold."""

import dataclasses
import itertools
import math
import random

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from mmad.answer.v1 import answer_pb2 as pb

TRANSIENT = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
]


def random_step(steps, rng):
    after = rng.randrange(4)
    endless = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2**62))
    stranger = pb.AnswerResponse(question_id="stranger", answered=pb.Answered(text="B"))
    return rng.choice(
        [
            steps.answer(delay_seconds=0.001 * rng.randrange(3)),
            steps.refuse(rng.choice(TRANSIENT), after=after),
            steps.refuse(grpc.StatusCode.INTERNAL, after=after),
            steps.refuse(grpc.StatusCode.INVALID_ARGUMENT, after=after),
            steps.leave_out(rng.randrange(3)),
            steps.send(stranger, stranger),
            steps.garble(after),
            steps.mismeasure(rng.choice([math.nan, math.inf, -math.inf])),
            steps.refuse(grpc.StatusCode.INTERNAL, "oops", endless, after=after),
        ]
    )


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("seed", range(6))
async def test_each_question_gets_exactly_one_reply_and_no_answer_is_asked_for_twice(
    house, steps, seed, history
):
    rng = random.Random(seed)
    services = [await house.service(), await house.service()]
    for service in services:
        service.script = [random_step(steps, rng) for _ in range(40)]
    house.prompting = dataclasses.replace(house.prompting, history=history)
    inspections = house.inspections(30, questions=4)
    (ending,) = await house.run(inspections, house.model(*services), attempts=4)
    assert ending.reason == ""
    assert len(house.memory.replies) == 120  # `keep` itself refuses a second one
    answered = sum(bool(reply.text) for reply in house.memory.replies.values())
    assert sum(attempt.answered for attempt in house.memory.attempts) == answered
    assert len(house.memory.attempts) == sum(len(service.requests) for service in services)
    for reply in house.memory.replies.values():
        assert all(math.isfinite(seconds) for seconds in dataclasses.astuple(reply.timing))
        assert all(score.log_probability is None for score in reply.option_scores)
    seen = set()
    for attempt in house.memory.attempts:
        assert (attempt.inspection_id, attempt.number) not in seen
        seen.add((attempt.inspection_id, attempt.number))
    for inspection in inspections:
        came = [
            bool(a.answered) for a in house.memory.attempts if a.inspection_id == inspection.inspection_id
        ]
        assert (
            max((len(list(run)) for brought, run in itertools.groupby(came) if not brought), default=0) <= 4
        )
    for request in [request for service in services for request in service.requests]:
        asked = [question.question_id for question in request.questions]
        told = [turn.question.question_id for turn in request.history]
        assert sorted(told + asked) == told + asked
        assert bool(told) <= history
