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
from orchestrator.endpoints.connect import connect
from orchestrator.endpoints.local import LocalServices

DELIBERATE = pathlib.Path(__file__).parents[2] / "faults" / "deliberate"


@pytest.fixture
async def replicas(house, tmp_path, monkeypatch):
    """Two processes of one model that takes 50 ms for a question, as (model of the first, of both, ids)."""
    monkeypatch.setenv("MMAD_ANSWER_SECONDS", "0.05")
    (tmp_path / "services").mkdir()
    for name in ("one", "two"):
        (tmp_path / "services" / name).symlink_to(DELIBERATE)
    house.pace = Pace(
        ping_seconds=0.5, ping_timeout_seconds=0.5, connect_seconds=0.5, probe_seconds=0.5,
        backoff_seconds=0.01, cool_down_seconds=0.05, cool_down_max_seconds=0.1,
    )  # fmt: skip
    services = LocalServices(["one", "two"], tmp_path, 30, print, checkout=tmp_path, grace_seconds=2)
    async with services as endpoints:
        replicas = [dataclasses.replace(endpoint, name="deliberate") for endpoint in endpoints]
        (alone,), (both,) = [await connect(given, 5, print) for given in (replicas[:1], replicas)]
        try:
            yield alone, both, services.process_ids["one"]
        finally:
            for process_id in services.process_ids.values():
                _signal(process_id, signal.SIGCONT)


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
    run = asyncio.create_task(house.run(house.inspections(40), alone, timeout_seconds=60))
    await house.until(lambda: len(house.memory.replies) >= 10)
    lost_at = time.monotonic()
    _signal(process_id, number)
    (ending,) = await run
    assert time.monotonic() - lost_at < 8  # pings 1 s, patience 0.5 s; the rest is a slow machine's
    assert ending.reason.startswith("out of reach for 0.5 s")
    assert 10 <= len(house.memory.replies) < 120
    assert not any(reply.failure for reply in house.memory.replies.values())


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
