import asyncio

import pytest

from mmad_answer.remote.pace import Pace, RestingError


async def hold(pace, count):
    """Take so many places; give them back with `release`."""
    places = [pace.place() for _ in range(count)]
    eras = [await place.__aenter__() for place in places]
    return places, eras


async def release(places):
    for place in places:
        await place.__aexit__(None, None, None)


async def test_no_more_requests_than_the_limit_are_under_way():
    pace = Pace(2, 60)
    places, _ = await hold(pace, 2)
    waiting = asyncio.create_task(hold(pace, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    await release(places[:1])
    await asyncio.wait_for(waiting, 5)


def test_it_doubles_with_each_round_until_the_first_congestion_and_then_adds_one():
    pace = Pace(100, 60)
    for expected in (8, 16):
        for _ in range(pace.limit):
            pace.succeeded()
        assert pace.limit == expected
    pace.congested(0)
    assert pace.limit == 8
    for _ in range(7):
        pace.succeeded()
    assert pace.limit == 8
    pace.succeeded()
    assert pace.limit == 9


def test_it_never_grows_beyond_what_was_allowed_nor_shrinks_below_one():
    pace = Pace(5, 60)
    for _ in range(50):
        pace.succeeded()
    assert pace.limit == 5
    for era in range(10):
        pace.congested(era)
    assert pace.limit == 1


async def test_requests_that_were_under_way_together_tell_of_one_congestion():
    pace = Pace(8, 60)
    for _ in range(8):
        pace.succeeded()
    places, eras = await hold(pace, 8)
    for era in eras:
        pace.congested(era)
    assert pace.limit == 4
    await release(places)


async def test_nobody_goes_out_during_a_rest_and_the_longest_rest_counts():
    now = [0.0]
    pace = Pace(2, 60, clock=lambda: now[0])
    pace.rest(30)
    pace.rest(10)
    for moment in (0.0, 20.0):
        now[0] = moment
        waiting = asyncio.create_task(hold(pace, 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
    now[0] = 30.0
    await asyncio.wait_for(hold(pace, 1), 5)


@pytest.mark.parametrize("seconds", [7200.0, 1e300, float("inf")])
async def test_after_an_hour_one_goes_out_whatever_the_provider_said(seconds):
    now = [0.0]
    pace = Pace(2, 60, clock=lambda: now[0])
    pace.rest(seconds)
    with pytest.raises(RestingError) as told:
        await hold(pace, 1)
    assert told.value.seconds == 3600
    now[0] = 3600.0
    await asyncio.wait_for(hold(pace, 1), 5)


def test_a_back_off_doubles_with_each_congestion_in_a_row_until_callers_are_told():
    now = [0.0]
    pace, rests = Pace(8, 10, 0.5, clock=lambda: now[0]), []
    for era in range(8):
        pace.congested(era)
        pace.congested(era)  # one that was under way together with it
        pace.back_off()
        rests.append(pace._rests_until - now[0])
        now[0] = pace._rests_until
    assert rests == [0.5, 1, 2, 4, 8, 16, 20, 20]
    pace.succeeded()
    pace.congested(8)
    pace.back_off()
    assert pace._rests_until - now[0] == 0.5


async def test_a_rest_longer_than_anyone_waits_is_told_at_once():
    pace = Pace(2, 60)
    pace.rest(3600)
    with pytest.raises(RestingError) as told:
        await hold(pace, 1)
    assert told.value.seconds == pytest.approx(3600, abs=5)
