"""Replicas that go and come back, and models that are given up."""

import asyncio

import grpc

from mmad.answer.v1 import answer_pb2 as pb


async def test_a_service_that_dies_and_comes_back_is_asked_for_the_rest(house, steps):
    service = await house.service()
    service.script = [steps.die(after=1)]
    model = house.model(service)
    run = asyncio.create_task(house.run(house.inspections(5), model, concurrency=1, patience_seconds=20))
    await house.until(lambda: any(text for _, text in house.memory.states))
    await service.start()
    (ending,) = await run
    assert ending.reason == ""
    assert len(house.memory.replies) == 15
    assert all(reply.text for reply in house.memory.replies.values())
    assert house.memory.codes() == ["UNAVAILABLE"] + ["OK"] * 5
    assert sum(len(request.questions) for request in service.requests) == 15 + 2
    assert "1 of 1 replicas out of reach" in house.memory.states[0][1]
    assert house.memory.states[-1] == ("model", "")


async def test_while_all_replicas_are_out_of_reach_no_attempt_is_spent(house):
    service = await house.service()
    model = house.model(service)
    await service.stop()
    run = asyncio.create_task(house.run(house.inspections(3), model, attempts=1, patience_seconds=20))
    await asyncio.sleep(0.3)
    assert house.memory.attempts == []
    await service.start()
    await run
    assert house.memory.codes() == ["OK"] * 3


async def test_a_model_that_stays_out_of_reach_is_given_up_and_its_questions_stay_missing(house):
    service = await house.service()
    model = house.model(service)
    await service.stop()
    async with asyncio.timeout(9):
        (ending,) = await house.run(house.inspections(3), model, patience_seconds=0.3)
    assert ending.reason.startswith(f"out of reach for 0.3 s ({service.target}: UNAVAILABLE")
    # As gRPC has it today, of a real closed port: its own words for it are three lines long.
    assert house.memory.states[-1][1].endswith(f"({service.target}: nothing listens there)")
    assert house.memory.replies == {}
    assert house.memory.attempts == []


async def test_a_model_that_dies_halfway_is_given_up_and_the_rest_stays_missing(house, steps):
    service = await house.service()
    service.script = [steps.answer(), steps.die(after=1)]
    (ending,) = await house.run(
        house.inspections(5), house.model(service), concurrency=1, patience_seconds=1.5
    )
    assert ending.reason.startswith("out of reach")
    assert len(house.memory.replies) == 4
    assert not any(reply.failure for reply in house.memory.replies.values())


async def test_an_inspection_that_kills_its_service_each_time_is_given_up_after_its_attempts(house, steps):
    service = await house.service()
    first, *others = house.inspections(4)

    async def poisoned(service, request, context):
        if request.inspection_id == first.inspection_id:
            async for response in steps.die()(service, request, context):
                yield response
        async for response in steps.answer()(service, request, context):
            yield response

    service.otherwise = poisoned

    async def keep_restarting():
        while True:
            await asyncio.sleep(0.02)
            if service._server is None:
                await service.start()

    restarter = asyncio.create_task(keep_restarting())
    (ending,) = await house.run(
        [first, *others], house.model(service), concurrency=1, attempts=3, patience_seconds=10
    )
    restarter.cancel()
    assert ending.reason == ""
    assert len(house.memory.replies) == 12
    failed = [reply for reply in house.memory.replies.values() if reply.failure]
    assert {reply.question_id for reply in failed} == {q.question_id for q in first.questions}
    assert all(reply.failure.startswith("gave up after 3 attempts: UNAVAILABLE") for reply in failed)


async def test_with_a_second_replica_a_dead_one_costs_nothing_but_its_open_calls(house, steps):
    dying, well = await house.service(), await house.service()
    dying.script = [steps.die(after=1)]
    (ending,) = await house.run(house.inspections(12), house.model(dying, well))
    assert ending.reason == ""
    assert len(house.memory.replies) == 36
    assert all(reply.text for reply in house.memory.replies.values())


async def test_one_replica_out_of_reach_is_told_and_the_model_goes_on(house):
    dead, well = await house.service(), await house.service()
    model = house.model(dead, well)
    await dead.stop()
    (ending,) = await house.run(house.inspections(40), model)
    assert ending.reason == ""
    assert any("1 of 2 replicas out of reach" in text for _, text in house.memory.states)
    assert {attempt.target for attempt in house.memory.attempts} == {well.target}


async def test_a_replica_that_comes_back_as_another_model_stops_the_model(house, steps):
    service = await house.service()
    service.script = [steps.answer(), steps.die(after=1)]
    model = house.model(service)
    run = asyncio.create_task(house.run(house.inspections(5), model, concurrency=1, patience_seconds=20))
    await house.until(lambda: service._server is None)
    service.card.checkpoint = "v2"
    asked = len(service.requests)
    await service.start()
    (ending,) = await run
    assert ending.reason.startswith(f"{service.target} answers as another model")
    assert "checkpoint: 'v1' and 'v2'" in ending.reason
    assert len(service.requests) == asked


async def test_a_restart_between_two_calls_is_noticed_before_anything_is_asked(house):
    service = await house.service()
    model = house.model(service)
    attempted = house.memory.attempted

    async def restart_after(attempt):
        await attempted(attempt)
        await service.stop()
        service.card.revision = "other"
        await service.start()

    house.memory.attempted = restart_after
    (ending,) = await house.run(house.inspections(2), model, concurrency=1)
    assert "revision: '' and 'other'" in ending.reason
    assert len(service.requests) == 1


async def test_a_replica_that_is_loading_is_waited_for_longer_than_one_that_is_silent(house):
    service = await house.service()
    model = house.model(service)
    service.card.state, service.card.state_detail = pb.STATE_LOADING, "loading weights, 60 %"
    run = asyncio.create_task(house.run(house.inspections(1), model, patience_seconds=1))
    await asyncio.sleep(1.5)
    assert not run.done()
    assert service.requests == []
    assert any("loading weights, 60 %" in text for _, text in house.memory.states)
    service.card.state = pb.STATE_READY
    (ending,) = await run
    assert ending.reason == ""


async def test_a_replica_whose_card_cannot_be_read_gets_no_inspections(house):
    garbled, well = await house.service(), await house.service()
    model = house.model(garbled, well)
    garbled.garbled_card = b"\xff\xff\xff"
    (ending,) = await house.run(house.inspections(6), model)
    assert ending.reason == ""
    assert garbled.requests == []
    assert any("cannot be read: does it speak mmad.answer.v1?" in text for _, text in house.memory.states)


async def test_a_draining_replica_gets_no_inspections(house):
    draining, well = await house.service(), await house.service()
    model = house.model(draining, well)
    draining.card.state = pb.STATE_DRAINING
    await house.run(house.inspections(6), model)
    assert draining.requests == []
    assert len(well.requests) == 6


async def test_a_replica_that_keeps_saying_unavailable_is_probed_before_each_call_and_given_up(house, steps):
    service = await house.service()
    service.otherwise = steps.refuse(grpc.StatusCode.UNAVAILABLE)
    (ending,) = await house.run(
        house.inspections(30, questions=1, products=2), house.model(service), concurrency=1, attempts=2
    )
    assert ending.reason.startswith("10 inspections in a row failed, the last: gave up after 2 attempts")
    assert len(house.memory.replies) == 10
    assert len(service.requests) == 20
    assert service.probes >= 20  # none was sent before a probe had shown that it is alive


def test_the_cool_down_begins_at_once_and_grows_up_to_its_bound(house):
    waits = [house.pace.cool_down(strikes, at_most_seconds=0.04) for strikes in range(50)]
    assert waits[:3] == [0, 0, 0.02]
    assert waits == sorted(waits)
    assert waits[-1] == 0.04
