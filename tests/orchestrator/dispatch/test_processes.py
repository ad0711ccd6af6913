"""Real services in processes of their own, killed and stopped while they answer."""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import signal
import time

import pytest

from orchestrator.dispatch.pace import Pace
from orchestrator.endpoints.arguments import parse_local
from orchestrator.endpoints.connect import connect
from orchestrator.endpoints.local import LocalServices

DELIBERATE = pathlib.Path(__file__).parents[2] / "faults" / "deliberate"


@contextlib.asynccontextmanager
async def started(house, tmp_path, *names):
    """Start processes of one model, and yield their endpoints, and the process id of the first."""
    (tmp_path / "services").mkdir()
    for name in names:
        (tmp_path / "services" / name).symlink_to(DELIBERATE)
    house.pace = Pace(
        ping_seconds=0.5, ping_timeout_seconds=2, connect_seconds=2, probe_seconds=2,
        backoff_seconds=0.01, cool_down_seconds=0.05, cool_down_max_seconds=0.1,
    )  # fmt: skip
    services = LocalServices(parse_local(names), tmp_path, 30, print, checkout=tmp_path, grace_seconds=2)
    async with services as endpoints:
        try:
            replicas = [dataclasses.replace(endpoint, name="deliberate") for endpoint in endpoints]
            yield replicas, services.process_ids[names[0]]
        finally:
            for process_id in services.process_ids.values():
                _signal(process_id, signal.SIGCONT)


@pytest.fixture
async def replicas(house, tmp_path, monkeypatch):
    """Two processes of one model, 50 ms for a question: (model of the first, of both, id of the first)."""
    monkeypatch.setenv("MMAD_ANSWER_SECONDS", "0.05")
    async with started(house, tmp_path, "one", "two") as (endpoints, process_id):
        (alone,) = await connect(endpoints[:1], 5, print)
        (both,) = await connect(endpoints, 5, print)
        yield alone, both, process_id


@pytest.fixture
async def slow(house, tmp_path, monkeypatch):
    """One process that takes a minute for a question, and its id."""
    monkeypatch.setenv("MMAD_ANSWER_SECONDS", "60")
    async with started(house, tmp_path, "one") as (endpoints, process_id):
        (model,) = await connect(endpoints, 5, print)
        yield model, process_id


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_with_a_second_replica_a_lost_one_costs_nothing(house, replicas, number):
    _, both, process_id = replicas
    run = asyncio.create_task(house.run(house.inspections(24), both))
    await house.until(lambda: len(house.memory.replies) >= 10)
    _signal(process_id, number)
    (ending,) = await run
    assert ending.reason == ""
    assert len(house.memory.replies) == 72
    assert not any(reply.failure for reply in house.memory.replies.values())
    assert "UNAVAILABLE" in house.memory.codes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lost_model_is_noticed_within_seconds_and_given_up_after_the_patience(
    house, replicas, number
):
    alone, _, process_id = replicas
    run = asyncio.create_task(house.run(house.inspections(40), alone, timeout_seconds=60, patience_seconds=2))
    await house.until(lambda: len(house.memory.replies) >= 10)
    lost_at = time.monotonic()
    _signal(process_id, number)
    (ending,) = await run
    assert time.monotonic() - lost_at < 20  # pings 2.5 s, patience 2 s; the rest is a slow machine's
    assert ending.reason.startswith("out of reach for 2 s")
    assert 10 <= len(house.memory.replies) < 120
    assert not any(reply.failure for reply in house.memory.replies.values())


async def test_a_service_that_is_stopped_on_a_silent_stream_is_noticed_by_pings(house, slow):
    model, process_id = slow
    run = asyncio.create_task(house.run(house.inspections(1), model, timeout_seconds=60, patience_seconds=2))
    await asyncio.sleep(
        3
    )  # more pings than go unanswered by data before they are slowed down to one a minute
    assert house.memory.states == []
    _signal(process_id, signal.SIGSTOP)
    stopped_at = time.monotonic()
    await house.until(lambda: house.memory.attempts)
    assert time.monotonic() - stopped_at < 20  # a minute where one of the four ping settings is missing
    assert house.memory.codes() == ["UNAVAILABLE"]
    await run


async def test_a_stopped_service_that_goes_on_is_asked_for_the_rest(house, replicas):
    alone, _, process_id = replicas
    run = asyncio.create_task(house.run(house.inspections(16), alone, patience_seconds=20))
    await house.until(lambda: len(house.memory.replies) >= 5)
    _signal(process_id, signal.SIGSTOP)
    await house.until(lambda: any(text for _, text in house.memory.states))
    _signal(process_id, signal.SIGCONT)
    (ending,) = await run
    assert ending.reason == ""
    assert len(house.memory.replies) == 48
    assert not any(reply.failure for reply in house.memory.replies.values())


def _signal(process_id: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, number)
