"""Results in memory, made once at a time."""

import asyncio

import pytest

from orchestrator.byte_cache import ByteCache


@pytest.fixture
def made():
    return []


@pytest.fixture
def make(made):
    """What takes a while: `make("a", 40)` gives 40 bytes, and is noted."""

    def for_name(name, size=1):
        async def call():
            made.append(name)
            await asyncio.sleep(0)
            return bytes(size)

        return call

    return for_name


async def test_who_asks_for_what_is_being_made_waits_for_it(make, made):
    cache = ByteCache(100)
    assert await asyncio.gather(*(cache.get("a", make("a")) for _ in range(5))) == [b"\0"] * 5
    assert made == ["a"]


async def test_the_least_recently_used_make_room(make, made):
    cache = ByteCache(100)
    for name in "abacba":
        await cache.get(name, make(name, 40))
    assert made == ["a", "b", "c", "b", "a"]


async def test_what_is_larger_than_the_cache_pushes_nothing_out(make, made):
    cache = ByteCache(100)
    for name, size in (("a", 40), ("large", 101), ("large", 101), ("a", 40)):
        await cache.get(name, make(name, size))
    assert made == ["a", "large", "large"]


async def test_what_failed_is_tried_again_and_everyone_hears_why(make, made):
    async def fail():
        made.append("failed")
        raise ValueError("why")

    cache = ByteCache(100)
    results = await asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in results] == ["why"] * 3
    assert await cache.get("a", make("a")) == b"\0"
    assert made == ["failed", "a"]


async def test_who_is_cancelled_leaves_it_to_the_others(make, made):
    cache = ByteCache(100)
    first, second = (asyncio.create_task(cache.get("a", make("a"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"\0"
    assert made == ["a"]
