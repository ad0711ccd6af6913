import asyncio
import time
import weakref

from hypothesis import given
from hypothesis import strategies as st

from mmad_answer import batching
from mmad_answer.batching import Batcher


class Recorder:
    """A `run` that waits at a gate, and keeps its batches."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0

    async def run(self, batch):
        self.batches.append(list(batch))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.gate.wait()
        self.at_once -= 1


async def _until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


@given(
    size=st.integers(1, 5),
    workers=st.integers(1, 3),
    pauses=st.lists(st.integers(0, 3), max_size=30),
    withdrawn=st.sets(st.integers(0, 29)),
)
def test_every_item_is_in_exactly_one_batch_in_order_unless_withdrawn(size, workers, pauses, withdrawn):
    async def scenario():
        recorder = Recorder()
        batcher = Batcher(recorder.run, size=size, wait_seconds=0.0, workers=workers)
        tickets, gone = [], set()
        for item, pause in enumerate(pauses):
            tickets.append(batcher.put(item))
            for _ in range(pause):
                await asyncio.sleep(0)
            if item in withdrawn and batcher.withdraw(tickets[-1]):
                gone.add(item)
        await asyncio.gather(*tickets, return_exceptions=True)
        await batcher.close()
        assert [item for batch in recorder.batches for item in batch] == [
            item for item in range(len(pauses)) if item not in gone
        ]
        assert all(1 <= len(batch) <= size for batch in recorder.batches)
        assert recorder.most_at_once <= workers

    asyncio.run(scenario())


async def test_a_full_batch_goes_without_waiting_for_its_window():
    recorder = Recorder()
    batcher = Batcher(recorder.run, size=2, wait_seconds=3600, workers=1)
    await asyncio.wait_for(asyncio.gather(batcher.put("a"), batcher.put("b")), 20)
    assert recorder.batches == [["a", "b"]]
    await batcher.close()


async def test_a_batch_that_is_not_full_waits_for_its_window_from_its_first_item_on(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(batching, "time", clock)
    recorder = Recorder()
    batcher = Batcher(recorder.run, size=10, wait_seconds=3600, workers=1)
    tickets = []
    for item, now in (("a", 1000.0), ("b", 4599.0), ("c", 4600.0)):
        clock.now = now
        tickets.append(batcher.put(item))
        for _ in range(20):  # more steps than it takes to begin a batch
            await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*tickets), 20)
    assert recorder.batches == [["a", "b", "c"]]
    await batcher.close()


async def test_a_window_ends_by_itself():
    recorder = Recorder()
    batcher = Batcher(recorder.run, size=10, wait_seconds=0.05, workers=1)
    began = time.monotonic()
    await asyncio.wait_for(batcher.put("a"), 20)
    assert time.monotonic() - began >= 0.05
    await batcher.close()


async def test_without_a_window_a_single_item_goes_at_once():
    recorder = Recorder()
    batcher = Batcher(recorder.run, size=10, wait_seconds=0.0, workers=1)
    await asyncio.wait_for(batcher.put("a"), 20)
    assert recorder.batches == [["a"]]
    await batcher.close()


async def test_items_that_come_while_all_workers_are_busy_form_one_batch():
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.run, size=3, wait_seconds=0.0, workers=1)
    tickets = [batcher.put("a")]
    await _until(lambda: recorder.batches)
    tickets += [batcher.put(item) for item in "bcde"]
    recorder.gate.set()
    await asyncio.gather(*tickets)
    assert recorder.batches == [["a"], ["b", "c", "d"], ["e"]]
    await batcher.close()


async def test_as_many_batches_run_at_once_as_there_are_workers():
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.run, size=1, wait_seconds=0.0, workers=3)
    tickets = [batcher.put(item) for item in range(5)]
    await _until(lambda: recorder.at_once == 3)
    recorder.gate.set()
    await asyncio.gather(*tickets)
    assert recorder.most_at_once == 3
    await batcher.close()


async def test_an_item_cannot_be_withdrawn_once_its_batch_has_begun():
    recorder = Recorder()
    recorder.gate.clear()
    batcher = Batcher(recorder.run, size=1, wait_seconds=0.0, workers=1)
    begun, waiting = batcher.put("a"), batcher.put("b")
    await _until(lambda: recorder.batches)
    assert not batcher.withdraw(begun)
    assert batcher.withdraw(waiting)
    recorder.gate.set()
    await begun
    assert waiting.cancelled()
    assert recorder.batches == [["a"]]
    await batcher.close()


async def test_a_batch_that_is_lost_frees_its_items_and_its_worker(caplog):
    async def run(batch):
        if batch == ["bad"]:
            raise RuntimeError("boom")

    batcher = Batcher(run, size=1, wait_seconds=0.0, workers=1)
    await asyncio.wait_for(asyncio.gather(batcher.put("bad"), batcher.put("good")), 20)
    assert "boom" in caplog.text
    await batcher.close()


async def test_nothing_of_a_batch_is_held_once_it_has_ended():
    class Item:
        pass

    async def run(batch):
        pass

    batcher = Batcher(run, size=1, wait_seconds=0, workers=1)
    item = Item()
    held = weakref.ref(item)
    ticket = batcher.put(item)
    del item
    await ticket
    await asyncio.sleep(0)
    assert held() is None
    await batcher.close()
