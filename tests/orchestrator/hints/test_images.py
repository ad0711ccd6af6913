"""Hints as image files."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from orchestrator.byte_cache import ByteCache
from orchestrator.hints import images as images_module
from orchestrator.hints.detector_maps import DetectorMaps
from orchestrator.hints.formats import HintError
from orchestrator.hints.ground_truth import GroundTruth
from orchestrator.hints.images import HintImages, Hints
from orchestrator.options import HintStyle


@pytest.fixture
def drawn(monkeypatch):
    """How often something was drawn; always in a thread."""
    calls, original = [], images_module.draw

    def counting(*given):
        assert threading.current_thread() is not threading.main_thread()
        calls.append(given)
        return original(*given)

    monkeypatch.setattr(images_module, "draw", counting)
    return calls


@pytest.fixture
def oracle(housed):
    return Hints(GroundTruth(Path(housed.root)), HintStyle.BOX)


@pytest.fixture
def query(housed):
    return lambda sample: (Path(housed.root) / sample.key).read_bytes()


async def test_who_asks_at_once_or_again_gets_one_drawing(oracle, housed, query, drawn):
    hints, sample = HintImages(oracle, ByteCache(2**20)), housed.samples[1]
    first = await asyncio.gather(*(hints.read(sample, query(sample)) for _ in range(6)))
    assert {*first, await hints.read(sample, query(sample))} == {first[0]}
    assert len(drawn) == 1


async def test_what_is_kept_is_found_by_content(oracle, housed, query, drawn, encode):
    """Another picture or another mask at the same place is drawn anew; the same picture elsewhere is not."""
    hints, sample = HintImages(oracle, ByteCache(2**20)), housed.samples[1]
    before = await hints.read(sample, query(sample))
    (Path(housed.root) / "Parts" / "gear" / sample.mask).write_bytes(encode(np.ones((40, 60), np.uint8)))
    assert await hints.read(sample, query(sample)) != before
    assert len(drawn) == 2
    normal, twin = housed.samples[0], housed.samples[4]
    assert query(normal) == query(twin)
    assert await hints.read(normal, query(normal)) == await hints.read(twin, query(twin))
    assert len(drawn) == 3


async def test_a_small_cache_forgets_and_gives_the_same_bytes_again(oracle, housed, query, drawn):
    hints, sample = HintImages(oracle, ByteCache(10)), housed.samples[1]
    assert await hints.read(sample, query(sample)) == await hints.read(sample, query(sample))
    assert len(drawn) == 2


@pytest.fixture
def held(monkeypatch):
    """One drawing at a time, and each waits to be let go: `begun` tells how many have begun."""
    begun, go, original = threading.Semaphore(0), threading.Event(), images_module.draw

    def waiting(*given):
        begun.release()
        assert go.wait(60)
        return original(*given)

    monkeypatch.setattr(images_module, "_DRAWN_AT_ONCE", 1)
    monkeypatch.setattr(images_module, "draw", waiting)
    yield begun, go
    go.set()


async def test_what_is_kept_does_not_wait_for_what_is_drawn(oracle, housed, query, held):
    begun, go = held
    hints, (kept, drawn) = HintImages(oracle, ByteCache(2**20)), housed.samples[1:3]
    go.set()
    before = await hints.read(kept, query(kept))
    assert begun.acquire(blocking=False)
    go.clear()
    drawing = asyncio.create_task(hints.read(drawn, query(drawn)))
    assert await asyncio.to_thread(begun.acquire, timeout=60)
    assert await asyncio.wait_for(hints.read(kept, query(kept)), 60) == before
    assert not drawing.done()
    go.set()
    await drawing


async def test_who_is_cancelled_keeps_the_place_until_the_thread_has_ended(oracle, housed, query, held):
    """Each drawing takes its memory until then."""
    begun, go = held
    hints, (first, second) = HintImages(oracle, ByteCache(2**20)), housed.samples[1:3]
    cancelled = asyncio.create_task(hints.read(first, query(first)))
    assert await asyncio.to_thread(begun.acquire, timeout=60)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    other = asyncio.create_task(hints.read(second, query(second)))
    assert not await asyncio.to_thread(begun.acquire, timeout=0.2)
    go.set()
    await other
    assert begun.acquire(blocking=False)


async def test_a_query_that_is_no_picture_is_named(oracle, housed):
    sample = housed.samples[1]
    with pytest.raises(HintError, match=f"{sample.key}: nothing can be drawn on it: cannot identify"):
        await HintImages(oracle, ByteCache(2**20)).read(sample, b"no picture")


@pytest.mark.parametrize("style", HintStyle)
async def test_nothing_about_a_hint_tells_the_label_but_what_is_drawn(
    housed, maps, products, query, style, oracle, encode, grey
):
    """One size, one kind of file, of whatever kind the query's is; maps that say the same give the same."""
    forms = [encode(grey), encode(grey, "JPEG"), encode(grey[..., 0]), encode(grey[..., 0], "JPEG")]
    for sample in housed.samples:
        maps.put(sample, np.arange(600.0).reshape(20, 30))
    detector = Hints(DetectorMaps(maps.folder, housed, products), style)
    for hints in (detector, Hints(oracle.source, style)):
        reader = HintImages(hints, ByteCache(2**20))
        heads = {(await reader.read(s, form))[:33] for s in housed.samples for form in forms}
        assert len(heads) == 1
    normal, abnormal = housed.samples[:2]
    reader = HintImages(detector, ByteCache(2**20))
    assert await reader.read(normal, query(normal)) == await reader.read(abnormal, query(normal))


def test_source_style_and_words_make_the_identity(oracle, housed, maps, products):
    maps.fill(housed)
    detector = DetectorMaps(maps.folder, housed, products)
    every = [Hints(source, style) for source in (oracle.source, detector) for style in HintStyle]
    identities = [hints.identity for hints in every]
    assert all(identities.count(one) == 1 for one in identities)
    assert {one["source"] for one in identities} == {"ground-truth", "maps"}
