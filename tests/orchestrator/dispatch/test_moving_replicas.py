"""Replicas that come, go and move while a run is under way, as a directory lists them."""

import asyncio
import dataclasses
import time

import grpc
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.dispatch import DirectoryError
from orchestrator.vocabulary import Endpoint


class Listing:
    """A directory that says what a test tells it to."""

    def __init__(self, *services):
        self.services = list(services)
        self.looks = 0
        self.error = None

    async def __call__(self):
        self.looks += 1
        if self.error is not None:
            raise self.error
        return [Endpoint("model", service.target, "test") for service in self.services]


@pytest.fixture
def moving(house):
    """A model of these services, and its directory, which is looked at often: `moving(*services)`."""
    house.pace = dataclasses.replace(house.pace, look_seconds=0.02)

    def make(*services):
        listing = Listing(*services)
        return dataclasses.replace(house.model(*services), directory=listing), listing

    return make


def started(house, model, count=1000, **effort):
    """Begin a run of more inspections than it will finish by itself before a test has seen what it wants."""
    return asyncio.create_task(house.run(house.inspections(count, questions=1), model, **effort))


async def stopped(house, run):
    house.stop.set()
    await run


def whole(house, count):
    return len(house.memory.replies) == count and all(r.text for r in house.memory.replies.values())


def told(house, part):
    return [text for _, text in house.memory.notes if part in text]


async def test_a_replica_that_comes_back_on_another_port_is_asked_for_the_rest(house, moving, steps):
    before, after = await house.service(), await house.service()
    before.script = [steps.answer(), steps.die(after=1)]
    model, listing = moving(before)
    run = asyncio.create_task(house.run(house.inspections(5), model, concurrency=1, patience_seconds=20))
    await house.until(lambda: before._server is None)
    listing.services = [after]
    (ending,) = await run
    assert ending.reason == ""
    assert whole(house, 15)
    assert house.memory.codes().count("OK") == 5
    assert set(house.memory.codes()) == {"OK", "UNAVAILABLE"}
    assert told(house, f"{before.target} (test) is gone")
    assert told(house, f"{after.target} (test) has joined")
    assert house.memory.states[-1:] in ([], [("model", "")])


async def test_a_replica_out_of_reach_is_looked_for_at_once(house, moving, steps):
    before, after = await house.service(), await house.service()
    before.script = [steps.die(after=1)]
    model, listing = moving(before)
    house.pace = dataclasses.replace(house.pace, look_seconds=3600)
    run = asyncio.create_task(house.run(house.inspections(3), model, patience_seconds=20))
    await house.until(lambda: before._server is None)
    listing.services = [after]
    (ending,) = await run
    assert ending.reason == ""
    assert whole(house, 9)


async def test_a_replica_that_is_added_gets_its_share_and_has_no_more_under_way_than_its_card_says(
    house, moving, steps
):
    first, added = await house.service(), await house.service()
    first.card.limits.max_in_flight, added.card.limits.max_in_flight = 2, 5
    first.otherwise = added.otherwise = steps.answer(delay_seconds=0.01)
    model, listing = moving(first)
    run = started(house, model)
    await house.until(lambda: first.in_flight == 2)
    assert house.taken["model"] <= 2 + 1 + len(house.memory.replies)
    listing.services.append(added)
    await house.until(lambda: added.in_flight == 5)
    assert first.most_in_flight == 2
    await stopped(house, run)
    assert added.most_in_flight == 5


async def test_a_replica_that_is_added_is_asked_only_once_it_is_ready(house, moving, steps):
    first, added = await house.service(), await house.service()
    first.otherwise = steps.answer(delay_seconds=0.01)
    added.card.state, added.card.state_detail = pb.STATE_LOADING, "60 %"
    model, listing = moving(first)
    run = started(house, model)
    await house.until(lambda: first.requests)
    listing.services.append(added)
    await house.until(
        lambda: any("1 of 2 replicas" in text and "60 %" in text for _, text in house.memory.states)
    )
    assert added.requests == []
    added.card.state = pb.STATE_READY
    await house.until(lambda: added.requests)
    await stopped(house, run)


async def test_a_replica_that_is_removed_finishes_what_it_has_and_gets_nothing_new(house, moving, steps):
    kept, removed = await house.service(), await house.service()
    kept.otherwise = steps.answer(delay_seconds=0.01)
    finish = asyncio.Event()

    async def wait(service, request, context):
        await finish.wait()
        async for response in steps.answer()(service, request, context):
            yield response

    removed.otherwise = wait
    model, listing = moving(kept, removed)
    run = started(house, model)
    await house.until(lambda: removed.in_flight == 4)
    listing.services.remove(removed)
    await house.until(lambda: told(house, "is gone"))
    asked = len(kept.requests)
    await house.until(lambda: len(kept.requests) >= asked + 20)
    assert len(removed.requests) == 4
    finish.set()
    await house.until(lambda: removed.in_flight == 0)
    await stopped(house, run)
    ended = [attempt for attempt in house.memory.attempts if attempt.target == removed.target]
    assert [attempt.code for attempt in ended] == ["OK"] * 4
    assert house.memory.states == []  # what is gone is not out of reach


async def test_what_breaks_at_a_replica_that_is_gone_costs_no_attempt(house, moving, steps):
    kept, removed = await house.service(), await house.service()
    removed.otherwise = steps.hang()
    model, listing = moving(removed)
    run = asyncio.create_task(house.run(house.inspections(3), model, attempts=1))
    await house.until(lambda: removed.in_flight == 3)
    listing.services = [kept]
    await house.until(lambda: told(house, "has joined"))
    await removed.stop()
    (ending,) = await run
    assert ending.reason == ""
    assert whole(house, 9)
    assert sorted(house.memory.codes()) == ["OK"] * 3 + ["UNAVAILABLE"] * 3


async def test_an_inspection_whose_replicas_all_go_away_is_given_up_after_twice_its_attempts(
    house, moving, steps
):
    """It hangs each of them, so the cluster takes it from the list, kills it and starts another."""
    here, next_one = await house.service(), await house.service()
    here.otherwise = next_one.otherwise = steps.hang()
    model, listing = moving(here)
    run = asyncio.create_task(house.run(house.inspections(1), model, attempts=2))
    for _ in range(4):
        await house.until(lambda service=here: service.in_flight)
        probes = next_one.probes
        listing.services = [next_one]
        await house.until(lambda service=next_one, before=probes: service.probes > before)
        await here.stop()
        await here.start()
        here, next_one = next_one, here
    async with asyncio.timeout(9):
        (ending,) = await run
    assert ending.reason == ""
    assert house.memory.codes() == ["UNAVAILABLE"] * 4
    failures = {reply.failure for reply in house.memory.replies.values()}
    assert len(failures) == 1
    assert failures.pop().startswith("gave up after 2 attempts: UNAVAILABLE")


async def test_when_all_are_gone_the_model_is_given_up_after_the_patience_and_says_so(house, moving, steps):
    service = await house.service()
    service.otherwise = steps.answer(delay_seconds=0.01)
    model, listing = moving(service)
    run = started(house, model, patience_seconds=0.5)
    await house.until(lambda: house.memory.replies)
    listing.services = []
    (ending,) = await run
    assert ending.reason == "out of reach for 0.5 s (no address is left)"
    assert ("model", "no replica is left; looking for others") in house.memory.states
    assert not any(reply.failure for reply in house.memory.replies.values())


async def test_when_all_are_gone_and_one_comes_back_in_time_nothing_is_lost(house, moving, steps):
    service, other = await house.service(), await house.service()
    service.otherwise = steps.answer(delay_seconds=0.002)
    model, listing = moving(service)
    run = started(house, model, count=200)
    await house.until(lambda: house.memory.replies)
    listing.services = []
    await house.until(lambda: house.memory.states)
    assert not run.done()
    listing.services = [other]
    (ending,) = await run
    assert ending.reason == ""
    assert whole(house, 200)
    assert set(house.memory.codes()) == {"OK"}
    assert other.requests


async def test_a_stop_ends_a_run_whose_replicas_are_all_gone(house, moving, steps):
    service = await house.service()
    service.otherwise = steps.answer(delay_seconds=0.01)
    model, listing = moving(service)
    run = started(house, model, patience_seconds=3600)
    await house.until(lambda: house.memory.replies)
    listing.services = []
    await house.until(lambda: house.memory.states and not service.in_flight)
    house.stop.set()
    async with asyncio.timeout(9):
        (ending,) = await run
    assert ending.reason == "stopped as asked"


async def test_a_loading_replica_that_has_come_is_waited_for_longer_than_none(house, moving, steps):
    """A container that is started anew has another port, and its weights to read."""
    service, other = await house.service(), await house.service()
    service.otherwise = steps.answer(delay_seconds=0.002)
    other.card.state = pb.STATE_LOADING
    model, listing = moving(service)
    run = started(house, model, count=100, patience_seconds=1)
    await house.until(lambda: house.memory.replies)
    listing.services = [other]
    await house.until(lambda: house.memory.states)
    gone = time.monotonic()
    await house.until(lambda: time.monotonic() > gone + 1.2 or run.done())
    assert not run.done()
    other.card.state = pb.STATE_READY
    (ending,) = await run
    assert ending.reason == ""
    assert whole(house, 100)


async def test_a_replica_that_goes_on_loading_for_ever_is_given_up_in_the_end(house, moving, steps):
    service, other = await house.service(), await house.service()
    service.otherwise = steps.answer(delay_seconds=0.01)
    other.card.state, other.card.state_detail = pb.STATE_LOADING, "60 %"
    house.pace = dataclasses.replace(house.pace, loading_patiences=3.0)
    model, listing = moving(service)
    run = started(house, model, patience_seconds=0.3)
    await house.until(lambda: house.memory.replies)
    listing.services = [other]
    async with asyncio.timeout(9):
        (ending,) = await run
    seconds, _, why = ending.reason.removeprefix("out of reach for ").partition(" s ")
    assert float(seconds) >= 0.9
    assert why == f"({other.target}: loading: 60 %)"


async def test_a_directory_that_cannot_be_read_changes_nothing_and_is_told_once(house, moving, steps):
    service = await house.service()
    service.otherwise = steps.answer(delay_seconds=0.002)
    model, listing = moving(service)
    listing.error = DirectoryError("the engine does not answer")
    (ending,) = await house.run(house.inspections(60, questions=1), model)
    assert ending.reason == ""
    assert whole(house, 60)
    assert listing.looks > 1
    assert house.memory.notes == [
        ("model", "goes on with the replicas that it has: the engine does not answer")
    ]


async def test_a_directory_that_cannot_be_read_is_named_where_the_model_is_given_up(house, moving):
    service = await house.service()
    model, listing = moving(service)
    listing.error = DirectoryError("the engine does not answer")
    await service.stop()
    (ending,) = await house.run(house.inspections(3), model, patience_seconds=0.3)
    assert ending.reason.startswith(f"out of reach for 0.3 s ({service.target}: UNAVAILABLE")
    assert ending.reason.endswith("; the engine does not answer)")


async def test_a_fault_of_this_program_in_a_directory_ends_its_model(house, moving, steps):
    service = await house.service()
    service.otherwise = steps.answer(delay_seconds=0.01)
    model, listing = moving(service)
    listing.error = TypeError("no such thing")
    async with asyncio.timeout(9):
        (ending,) = await started(house, model)
    assert ending.reason == "internal error: TypeError: no such thing - please report it"


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (
            {"checkpoint": "v2"},
            "answers as another model than at the start of the run: checkpoint: 'v1' and 'v2'",
        ),
        ({"limits": pb.Limits(max_images=2)}, "cannot do what the run asks for: 2 images, not 8"),
    ],
)
async def test_another_model_at_a_new_address_is_left_out_and_told_once(house, moving, steps, card, why):
    service, other = await house.service(), await house.service()
    service.otherwise = steps.answer(delay_seconds=0.002)
    model, listing = moving(service)
    other.card.limits.max_images = 0
    other.card.MergeFrom(pb.GetModelResponse(**card))
    listing.services.append(other)
    run = started(house, model, count=200)
    (ending,) = await run
    assert ending.reason == ""
    assert whole(house, 200)
    assert other.requests == []
    assert other.probes > 1
    assert house.memory.notes == [("model", f"{other.target} (test) {why}. It is left out")]
    assert house.memory.states == []  # it is no replica, so none is out of reach


async def test_a_replica_that_comes_back_as_another_model_is_left_out_while_others_are_listed(
    house, moving, steps
):
    well, changed = await house.service(), await house.service()
    well.otherwise = steps.answer(delay_seconds=0.01)
    changed.script = [steps.die()]
    model, _ = moving(well, changed)
    run = started(house, model)
    await house.until(lambda: any("1 of 2 replicas" in text for _, text in house.memory.states))
    changed.card.revision = "other"
    asked = len(changed.requests)
    await changed.start()
    await house.until(lambda: told(house, "revision: '' and 'other'. It is left out"))
    assert not run.done()
    await stopped(house, run)
    assert len(changed.requests) == asked


async def test_a_replica_that_is_left_out_is_asked_once_it_is_the_model_again(house, moving, steps):
    well, changed = await house.service(), await house.service()
    well.otherwise = steps.answer(delay_seconds=0.01)
    changed.card.revision = "other"
    model, listing = moving(well)
    listing.services.append(changed)
    run = started(house, model)
    await house.until(lambda: told(house, "left out"))
    changed.card.revision = ""
    await house.until(lambda: changed.requests)
    await stopped(house, run)


async def test_a_model_whose_only_address_answers_as_another_is_given_up_after_the_patience(
    house, moving, steps
):
    service = await house.service()
    service.script = [steps.answer(), steps.die()]
    model, _ = moving(service)
    run = started(house, model, concurrency=1, patience_seconds=1)
    await house.until(lambda: service._server is None)
    service.card.checkpoint = "v2"
    asked = len(service.requests)
    await service.start()
    (ending,) = await run
    assert "out of reach for 1 s" in ending.reason
    assert "answers as another model" in ending.reason
    assert len(service.requests) == asked


async def test_an_address_that_comes_and_goes_all_the_time_loses_nothing_and_is_never_overrun(
    house, moving, steps
):
    steady, flapping = await house.service(), await house.service()
    steady.otherwise = flapping.otherwise = steps.answer(delay_seconds=0.01)
    model, listing = moving(steady, flapping)
    run = started(house, model, count=400)

    async def flap():
        while True:
            await asyncio.sleep(0.03)
            listing.services = [steady] if flapping in listing.services else [steady, flapping]

    flapper = asyncio.create_task(flap())
    (ending,) = await run
    flapper.cancel()
    assert ending.reason == ""
    assert whole(house, 400)
    assert set(house.memory.codes()) == {"OK"}
    assert flapping.most_in_flight <= 4
    assert len(told(house, "is gone")) == 1


async def test_a_directory_that_tells_half_of_the_addresses_each_time_is_not_looked_at_more_often(
    house, moving, steps
):
    services = [await house.service() for _ in range(4)]
    for service in services:
        service.otherwise = steps.answer(delay_seconds=0.002)
    model, listing = moving(*services)
    house.pace = dataclasses.replace(house.pace, look_seconds=0.1, look_apart_seconds=0.0)

    async def half():
        listing.looks += 1
        return [Endpoint("model", service.target, "test") for service in services[listing.looks % 2 :: 2]]

    began = time.monotonic()
    (ending,) = await house.run(house.inspections(200), dataclasses.replace(model, directory=half))
    assert ending.reason == ""
    assert whole(house, 600)
    assert set(house.memory.codes()) == {"OK"}
    assert 2 <= listing.looks <= 2 + (time.monotonic() - began) / 0.1


async def test_a_directory_is_left_alone_for_a_while_however_many_are_out_of_reach(house, moving, steps):
    well, *loading = [await house.service() for _ in range(4)]
    well.otherwise = steps.answer(delay_seconds=0.002)
    for service in loading:
        service.card.state = pb.STATE_LOADING
    model, listing = moving(well)
    listing.services += loading
    house.pace = dataclasses.replace(house.pace, look_seconds=3600, look_apart_seconds=0.1)
    began = time.monotonic()
    run = started(house, model, count=2000)
    await house.until(lambda: all(service.probes >= 10 for service in loading))
    await stopped(house, run)
    assert 2 <= listing.looks <= 2 + (time.monotonic() - began) / 0.1


async def test_what_is_in_memory_shrinks_with_the_replicas(house, moving, steps):
    kept, removed = await house.service(), await house.service()
    kept.otherwise = removed.otherwise = steps.answer(delay_seconds=0.01)
    model, listing = moving(kept, removed)
    run = started(house, model)
    await house.until(lambda: kept.in_flight + removed.in_flight == 8)
    listing.services.remove(removed)
    await house.until(lambda: told(house, "is gone") and not removed.in_flight)
    answered = len(house.memory.replies)
    await house.until(lambda: len(house.memory.replies) >= answered + 12)
    assert house.taken["model"] <= len(house.memory.replies) + 4 + 1
    await stopped(house, run)


@pytest.mark.parametrize("kind", ["status", "failures"])
async def test_a_broken_replica_rests_while_another_does_well_and_takes_few_with_it(house, steps, kind):
    broken, well = await house.service(), await house.service()
    broken.otherwise = (
        steps.refuse(grpc.StatusCode.INTERNAL, "out of memory")
        if kind == "status"
        else steps.fail(pb.Failure(reason=pb.FAILURE_REASON_INTERNAL, message="out of memory"))
    )
    well.otherwise = steps.answer(delay_seconds=0.002)
    house.pace = dataclasses.replace(house.pace, cool_down_seconds=0.5, cool_down_max_seconds=60)
    (ending,) = await house.run(house.inspections(100, questions=1, products=4), house.model(broken, well))
    assert ending.reason == ""
    failed = [reply for reply in house.memory.replies.values() if reply.failure]
    assert 3 <= len(failed) <= 12  # a few that were under way, and one at the end of each rest
    assert len(told(house, f"{broken.target} (test) fails on its own")) == 1
    assert "out of memory" in house.memory.notes[0][1]


async def test_a_broken_replica_that_works_again_is_asked_again(house, steps):
    broken, well = await house.service(), await house.service()
    broken.script = [steps.refuse(grpc.StatusCode.INTERNAL)] * 5
    well.otherwise = steps.answer(delay_seconds=0.01)
    run = started(house, house.model(broken, well))
    await house.until(lambda: len(broken.requests) > 20)
    await stopped(house, run)
