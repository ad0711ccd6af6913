"""A wish to stop that comes from another thread, at any time."""

import asyncio
import threading

from orchestrator.interruption import Interruption


async def test_a_wish_from_another_thread_stops():
    interruption = Interruption()
    with interruption.stopping(print) as stop:
        assert not stop.is_set()
        threading.Thread(target=interruption.wish).start()
        await asyncio.wait_for(stop.wait(), 60)


async def test_a_wish_before_there_is_anything_to_stop_is_kept():
    interruption = Interruption()
    interruption.wish()
    with interruption.stopping(print) as stop:
        assert stop.is_set()


def test_a_wish_after_the_end_does_no_harm():
    interruption = Interruption()

    async def work():
        with interruption.stopping(print):
            pass

    asyncio.run(work())
    interruption.wish()
