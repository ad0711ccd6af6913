"""All models at once, each at its own pace."""

import asyncio
import dataclasses

import pytest

from orchestrator.dispatch import Effort, wire
from orchestrator.dispatch.fanout import fan_out
from orchestrator.errors import DiskFullError
from orchestrator.vocabulary import UNFINISHED, Reply


async def test_each_question_of_each_inspection_gets_one_kept_reply(house):
    service = await house.service()
    endings = await house.run(house.inspections(6), house.model(service))
    assert [ending.reason for ending in endings] == [""]
    assert len(house.memory.replies) == 18
    assert all(reply.text == f"A, to {reply.question_id}" for reply in house.memory.replies.values())
    assert house.memory.codes() == ["OK"] * 6
    assert house.memory.states == []


async def test_every_attempt_is_recorded_with_what_it_asked_and_what_it_got(house):
    service = await house.service()
    await house.run(house.inspections(1), house.model(service))
    (attempt,) = house.memory.attempts
    assert (attempt.model, attempt.target, attempt.number) == ("model", service.target, 1)
    assert (attempt.asked, attempt.answered, attempt.code, attempt.detail) == (3, 3, "OK", "")
    assert attempt.request_bytes == service.requests[0].ByteSize()
    assert 0 < attempt.seconds < 20


async def test_an_attempt_is_recorded_as_it_begins_and_once_more_as_it_ends(house):
    service = await house.service()
    await house.run(house.inspections(3), house.model(service))

    def name(attempt):
        return attempt.model, attempt.inspection_id, attempt.number

    assert {attempt.code for attempt in house.memory.begun} == {UNFINISHED}
    assert sorted(map(name, house.memory.begun)) == sorted(map(name, house.memory.attempts))


async def test_a_reply_is_kept_before_the_stream_has_ended(house, steps):
    service = await house.service()
    service.otherwise = steps.hang(after=1)
    run = asyncio.create_task(house.run(house.inspections(1), house.model(service)))
    await house.until(lambda: house.memory.replies)
    assert not run.done()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert house.memory.codes() == ["CANCELLED"]


async def test_what_is_kept_already_is_not_asked_again(house, steps):
    service = await house.service()
    inspections = house.inspections(4)
    await house.run(inspections[:2], house.model(service))
    service.requests.clear()
    await house.run(inspections, house.model(service))
    assert sorted(request.inspection_id for request in service.requests) == [
        inspection.inspection_id for inspection in inspections[2:]
    ]


async def test_a_dead_model_does_not_slow_another(house):
    dead, well = await house.service("dead"), await house.service("well")
    models = house.model(dead), house.model(well)
    await dead.stop()
    done = asyncio.create_task(house.run(house.inspections(8), *models, patience_seconds=60))
    await house.until(lambda: len(house.memory.of("well")) >= 24)
    assert not done.done()  # still patient with the dead one
    house.stop.set()
    assert [ending.reason == "" for ending in await done] == [False, True]


async def test_a_slow_model_does_not_slow_another(house, steps):
    slow, quick = await house.service("slow"), await house.service("quick")
    slow.otherwise = steps.hang()
    run = asyncio.create_task(house.run(house.inspections(20), house.model(slow), house.model(quick)))
    await house.until(lambda: len(house.memory.of("quick")) >= 60)
    assert house.memory.of("slow") == []
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_inspections_are_taken_only_as_far_as_there_is_room_for_them(house, steps):
    service = await house.service()
    service.otherwise = steps.hang()
    run = asyncio.create_task(house.run(house.inspections(50), house.model(service)))
    await house.until(lambda: service.in_flight >= 4)
    await asyncio.sleep(0.05)
    assert house.taken["model"] <= service.card.limits.max_in_flight + 1
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_a_replica_never_has_more_under_way_than_its_card_says(house, steps):
    service = await house.service()
    service.card.limits.max_in_flight = 6
    service.otherwise = steps.answer(delay_seconds=0.002)
    await house.run(house.inspections(60, questions=1), house.model(service))
    assert service.most_in_flight == 6  # from four on, as it answers well


async def test_concurrency_bounds_what_is_under_way(house, steps):
    service = await house.service()
    service.otherwise = steps.answer(delay_seconds=0.002)
    await house.run(house.inspections(20, questions=1), house.model(service), concurrency=2)
    assert service.most_in_flight == 2


async def test_replicas_share_the_work(house, steps):
    one, other = await house.service(), await house.service()
    one.otherwise = other.otherwise = steps.answer(delay_seconds=0.005)
    await house.run(house.inspections(20, questions=1), house.model(one, other))
    assert len(one.requests) + len(other.requests) == 20
    assert min(len(one.requests), len(other.requests)) >= 5


async def test_a_stop_lets_work_under_way_finish_and_starts_nothing_new(house, steps):
    service = await house.service()
    service.otherwise = steps.answer(delay_seconds=0.05)
    run = asyncio.create_task(house.run(house.inspections(50), house.model(service)))
    await house.until(lambda: service.in_flight >= 4)
    house.stop.set()
    (ending,) = await run
    assert ending.reason == "stopped as asked"
    assert len(service.requests) == 4
    assert len(house.memory.replies) == 12
    assert house.memory.codes() == ["OK"] * 4


async def test_a_stop_cancels_what_does_not_finish_in_time(house, steps):
    service = await house.service()
    service.otherwise = steps.hang(after=1)
    house.pace = dataclasses.replace(house.pace, drain_seconds=0.3)
    run = asyncio.create_task(house.run(house.inspections(1), house.model(service)))
    await house.until(lambda: house.memory.replies)
    house.stop.set()
    async with asyncio.timeout(9):
        (ending,) = await run
    assert ending.reason == "stopped as asked"
    assert [(a.code, a.asked, a.answered) for a in house.memory.attempts] == [("CANCELLED", 3, 1)]
    assert len(house.memory.replies) == 1


async def test_a_stop_after_the_last_answer_changes_nothing(house):
    service = await house.service()
    house.memory.on_keep = lambda reply: house.stop.set() if len(house.memory.replies) == 2 else None
    (ending,) = await house.run(house.inspections(1), house.model(service))
    assert ending.reason == ""


async def test_a_stop_ends_the_way_through_what_is_answered_already(house):
    service = await house.service()
    inspections = [house.inspection("DS/part/good/000.png")] * 5_000
    house.memory.replies = {("model", q.question_id): Reply(q.question_id) for q in inspections[0].questions}
    house.stop.set()
    (ending,) = await house.run(inspections, house.model(service))
    assert ending.reason == "stopped as asked"
    assert house.taken["model"] < 10


async def test_a_full_disk_stops_everybody_and_is_raised_as_it_is(house, steps):
    one, other = await house.service("one"), await house.service("other")
    other.otherwise = steps.hang()

    def fail(reply):
        raise DiskFullError("the disk is full")

    house.memory.on_keep = fail
    async with asyncio.timeout(9):
        with pytest.raises(DiskFullError, match="the disk is full"):
            await house.run(house.inspections(5), house.model(one), house.model(other))
    assert house.memory.replies == {}


async def test_a_fault_of_this_program_ends_the_model_that_brought_it_out_and_no_other(
    house, monkeypatch, caplog
):
    one, other = await house.service("one"), await house.service("other")
    understood = wire.reply

    def misunderstood(response, seconds):
        if "000.png" in response.question_id and response.answered.text.endswith("#1"):
            raise TypeError("no such thing")
        return understood(response, seconds)

    models = house.model(one), house.model(other)
    other_has = [i for i in house.inspections(5) if "000" not in i.inspection_id]
    house.inspections_of = {"one": house.inspections(5), "other": other_has}
    monkeypatch.setattr(wire, "reply", misunderstood)
    endings = await house.run([], *models, concurrency=1)
    assert endings[0].reason == "internal error: TypeError: no such thing - please report it"
    assert endings[1].reason == ""
    assert len(house.memory.of("one")) == 1
    assert len(house.memory.of("other")) == 12
    assert caplog.records[0].exc_info


async def test_a_fault_of_this_program_in_a_probe_ends_its_model(house, monkeypatch):
    one, other = await house.service("one"), await house.service("other")
    models = house.model(one), house.model(other)

    def misunderstood(message):
        if message.name == "one":
            raise TypeError("no such thing")
        return understood(message)

    understood = wire.model_card
    monkeypatch.setattr(wire, "model_card", misunderstood)
    endings = await house.run(house.inspections(5), *models)
    assert endings[0].reason == "internal error: TypeError: no such thing - please report it"
    assert endings[1].reason == ""
    assert len(house.memory.of("other")) == 15


async def test_an_error_of_the_recorder_is_raised_as_it_is(house):
    service = await house.service()

    async def broken(attempt):
        raise ZeroDivisionError

    house.memory.attempted = broken
    with pytest.raises(ZeroDivisionError):
        await house.run(house.inspections(2), house.model(service))


async def test_an_error_of_the_plan_is_raised_as_it_is(house):
    service = await house.service()

    def broken():
        yield house.inspection("DS/part/good/000.png")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fan_out(
            house.root,
            lambda card: broken(),
            [house.model(service)],
            house.prompting,
            Effort(),
            house.memory,
            house.memory,
            house.stop,
            house.pace,
        )


async def test_no_models_is_no_work(house):
    assert await house.run(house.inspections(2)) == []
