import asyncio
import threading
import time

import pytest

from mmad_answer.remote.bridge import Bridge


@pytest.fixture
def bridge():
    with Bridge() as opened:
        yield opened


def numbers(upto, then=None):
    async def source():
        for number in range(upto):
            await asyncio.sleep(0)
            yield number
        if then is not None:
            raise then

    return source


def endless(ended):
    """Gives one item, and then waits until it is cancelled."""

    async def source():
        yield 1
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    return source


def test_items_come_in_order_to_any_number_of_threads_at_once(bridge):
    drawn = {}

    def draw(name):
        drawn[name] = list(bridge.draw(numbers(50), threading.Event()))

    threads = [threading.Thread(target=draw, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert drawn == {name: list(range(50)) for name in range(8)}


def test_what_the_generator_raises_comes_after_its_items(bridge):
    drawn = bridge.draw(numbers(2, then=ValueError("broken")), threading.Event())
    assert [next(drawn), next(drawn)] == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        next(drawn)


def test_a_stopped_draw_ends_soon_and_cancels_what_it_waits_for(bridge):
    stopped, ended = threading.Event(), threading.Event()
    drawn = bridge.draw(endless(ended), stopped)
    assert next(drawn) == 1
    threading.Timer(0.05, stopped.set).start()
    began = time.monotonic()
    assert list(drawn) == []
    assert time.monotonic() - began < 5
    assert ended.wait(5)


def test_a_draw_that_is_closed_cancels_what_it_waits_for(bridge):
    ended = threading.Event()
    drawn = bridge.draw(endless(ended), threading.Event())
    assert next(drawn) == 1
    drawn.close()
    assert ended.wait(5)


def test_opened_managers_are_left_with_the_bridge():
    left = []

    class Manager:
        async def __aenter__(self):
            return asyncio.get_running_loop()

        async def __aexit__(self, *_):
            left.append(asyncio.get_running_loop())

    with Bridge() as opened:
        loop = opened.open(Manager())
        assert left == []
    assert left == [loop]
    with pytest.raises(RuntimeError, match="not open"):
        opened.call(asyncio.sleep, 0)
