"""What a provider says of its pace, in headers and by turning away, over a real socket."""

import asyncio
import threading

import pytest

from mmad_answer.model import (
    Generation,
    PassingFaultError,
)
from mmad_answer.remote.dialect import Request, Wanted

KEY = "sk-test-0123456789"
REQUEST = Request("/ask", {"said": "hello"})
WANTED = Wanted(Generation())
GOOD = {"text": "A"}
pytestmark = pytest.mark.usefixtures("no_key_in_the_log")


async def test_retry_after_is_waited_for_by_all_and_not_longer(provider, opened, until):
    provider.play(provider.reply(429, {}, retry_after="0.4"), provider.reply(200, GOOD))
    async with opened() as one:
        first = asyncio.create_task(one.ask(REQUEST, WANTED))
        await until(lambda: one._pace._rests_until > one._pace._clock())
        await asyncio.gather(first, one.ask(REQUEST, WANTED))
    turned_away, *later = [each.arrived for each in provider.posts]
    assert len(later) == 2
    assert all(0.35 < each - turned_away < 5 for each in later)


async def test_a_wait_beyond_the_bound_is_handed_to_the_caller_and_to_all_who_come_meanwhile(
    provider, opened
):
    provider.play(provider.reply(429, {"message": "tomorrow"}, retry_after="3600"))
    async with opened(max_wait_seconds=5) as one:
        with pytest.raises(PassingFaultError, match="429 Too Many Requests: tomorrow") as later:
            await one.ask(REQUEST, WANTED)
        assert later.value.retry_seconds == 3600
        with pytest.raises(PassingFaultError) as meanwhile:
            await one.ask(REQUEST, WANTED)
        assert meanwhile.value.retry_seconds == pytest.approx(3600, abs=30)
    assert len(provider.posts) == 1


async def test_a_rate_limit_without_an_end_asks_the_caller_to_come_later(provider, opened):
    provider.play(provider.reply(429, {"message": "slow down"}))
    async with opened(attempts=2) as one:
        with pytest.raises(PassingFaultError) as later:
            await one.ask(REQUEST, WANTED)
    assert later.value.retry_seconds == 30


async def test_a_rate_limit_that_says_nothing_of_time_rests_all_and_not_its_request_alone(
    provider, opened, until
):
    provider.play(provider.reply(429, {}), provider.reply(200, GOOD))
    async with opened(backoff=0.4) as one:
        first = asyncio.create_task(one.ask(REQUEST, WANTED))
        await until(lambda: one._pace._rests_until > one._pace._clock())
        await asyncio.gather(first, one.ask(REQUEST, WANTED))
    turned_away, *later = [each.arrived for each in provider.posts]
    assert len(later) == 2
    assert all(each - turned_away > 0.35 for each in later)


async def test_many_at_a_provider_that_turns_all_away_send_few_and_are_told(provider, opened):
    provider.play(provider.reply(429, {}))
    async with opened(backoff=0.05, max_wait_seconds=0.3, concurrency=16) as one:
        outcomes = await asyncio.gather(
            *(one.ask(REQUEST, WANTED) for _ in range(16)), return_exceptions=True
        )
    assert all(isinstance(outcome, PassingFaultError) and outcome.retry_seconds for outcome in outcomes)
    assert len(provider.posts) < 16


async def test_a_rate_limits_wait_and_the_reset_of_the_allowance_are_both_waited_for(provider, opened):
    reset = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "500ms"}
    for waits in ({"retry_after": "0.1"} | reset, reset, {"retry_after": "0.5"}):
        provider.asked.clear()
        provider.play(provider.reply(429, {}, **waits), provider.reply(200, GOOD))
        async with opened() as one:
            await one.ask(REQUEST, WANTED)
        turned_away, answered = [each.arrived for each in provider.posts]
        assert answered - turned_away > 0.45


@pytest.mark.parametrize("header", ["retry_after", "x_ratelimit_reset_requests"])
async def test_no_header_stops_asking_for_good(provider, opened, header):
    wrong = {"x_ratelimit_remaining_requests": "0", header: "1764000000"}
    provider.play(provider.reply(429, {}, **wrong), provider.reply(200, GOOD, **wrong))
    async with opened() as one:
        for _ in range(3):
            await one.ask(REQUEST, WANTED)


async def test_rate_limits_lower_the_number_of_requests_under_way(provider, opened, until):
    together, released = threading.Barrier(4), threading.Event()

    def turned_away_together(handler):
        together.wait(10)
        provider.reply(429, {})(handler)

    def answered_when_released(handler):
        released.wait(10)
        provider.reply(200, GOOD)(handler)

    provider.play(*[turned_away_together] * 4, answered_when_released)
    async with opened(concurrency=16) as one:
        asking = asyncio.gather(*(one.ask(REQUEST, WANTED) for _ in range(4)))
        await until(lambda: len(provider.posts) >= 6)
        await asyncio.sleep(0.2)  # a third would come at once
        assert len(provider.posts) == 6
        released.set()
        await asking
    assert max(provider.under_way[:4]) == 4
    assert max(provider.under_way[4:6]) == 2


async def test_headers_that_say_that_nothing_remains_hold_the_next_request(provider, opened):
    nothing = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "400ms"}
    provider.play(provider.reply(200, GOOD, **nothing), provider.reply(200, GOOD))
    async with opened() as one:
        await one.ask(REQUEST, WANTED)
        await one.ask(REQUEST, WANTED)
    first, second = [each.arrived for each in provider.posts]
    assert second - first > 0.35


async def test_a_large_request_waits_for_the_tokens_that_the_largest_took(provider, opened):
    body = GOOD | {"usage": {"prompt_tokens": 900, "completion_tokens": 100}}
    few = {
        "x_ratelimit_limit_tokens": "1500",
        "x_ratelimit_remaining_tokens": "500",
        "x_ratelimit_reset_tokens": "800ms",
    }
    small = GOOD | {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    provider.play(provider.reply(200, body), provider.reply(200, small, **few), provider.reply(200, body))
    async with opened() as one:
        for _ in range(3):
            await one.ask(REQUEST, WANTED)
    _, second, third = [each.arrived for each in provider.posts]
    assert third - second > 0.35


async def test_the_look_up_at_the_start_waits_as_it_is_told(provider, opened):
    plays = [provider.reply(429, {}, retry_after="0.4"), provider.reply(200, {"object": "model"})]
    provider.on_get = lambda handler: plays.pop(0)(handler)
    async with opened() as one:
        await one.get("/models/m")
    first, second = [each.arrived for each in provider.asked]
    assert second - first > 0.35
