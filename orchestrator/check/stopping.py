"""SIGTERM: what is under way is answered, nothing new is taken, and the process ends well.

One signal, and four promises about what comes of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time

from orchestrator.check import BrokenError, NotTriedError, Promises
from orchestrator.check.load import CAPACITY
from orchestrator.check.requests import inspection
from orchestrator.check.service import Call, Service, check_answered
from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.stubs import answer_pb2 as pb

promises = Promises("stopping")
_MOST_QUESTIONS = 4000
_BEGIN_SECONDS = 0.5
_NOTICE_SECONDS = 10.0
"""For the signal to be noticed."""


@dataclasses.dataclass(slots=True)
class _Stop:
    """What came of the signal."""

    work: list[tuple[pb.AnswerRequest, Call]]
    under_way: int
    """Of these, how many had not ended when the signal came."""
    states: list[str]
    """The health of the service, as it was told from the signal on."""
    new: Call
    exited: bool
    code: int | None
    seconds: float


async def _stop(service: Service) -> _Stop:
    process = service.process
    if process is None:
        raise NotTriedError("it is not ours to stop: check its image, or give its --pid")
    watcher = service.connect()
    states: list[str] = []
    watching = asyncio.create_task(_watch(service, watcher, states))
    begun = asyncio.Event()
    requests = _work(service)
    work = [asyncio.create_task(service.call(request, on_response=begun.set)) for request in requests]
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(begun.wait(), _BEGIN_SECONDS)
    del states[:]
    under_way = sum(not task.done() for task in work)
    started = time.monotonic()
    await asyncio.to_thread(process.terminate)
    exit_code = asyncio.create_task(process.exited())
    notice_seconds = min(_NOTICE_SECONDS, service.settings.stop_seconds)
    while (  # noqa: ASYNC110 - three things may end it
        "NOT_SERVING" not in states and not watching.done() and time.monotonic() < started + notice_seconds
    ):
        await asyncio.sleep(0.02)
    late = service.connect()
    new = await service.call(inspection(service.card, prefix="late"), timeout_seconds=10.0, client=late)
    calls = await asyncio.gather(*work)
    await asyncio.wait(
        [exit_code], timeout=max(0.0, started + service.settings.stop_seconds - time.monotonic())
    )
    seconds = time.monotonic() - started
    watching.cancel()
    await asyncio.gather(watching, late.close(), watcher.close(), return_exceptions=True)
    exited = exit_code.done()
    if not exited:
        exit_code.cancel()
    return _Stop(
        list(zip(requests, calls, strict=True)),
        under_way,
        states,
        new,
        exited,
        exit_code.result() if exited else None,
        seconds,
    )


async def _watch(service: Service, client: Client, states: list[str]) -> None:
    with contextlib.suppress(CallError):
        async for state in service.watch(client):
            states.append(state)  # noqa: PERF401 - others look at it meanwhile


def _work(service: Service) -> list[pb.AnswerRequest]:
    """Return inspections that keep the service busy for a while, as quick as it has been so far."""
    calls = min(2, service.max_in_flight)
    questions = math.ceil(service.settings.work_seconds / calls / max(service.question_seconds, 1e-6))
    count = min(max(questions, 2), _MOST_QUESTIONS)
    return [inspection(service.card, count, prefix=f"work{i}-") for i in range(calls)]


@promises.add("work", "After SIGTERM, what is under way is answered", needs=CAPACITY)
async def work(service: Service) -> str:
    stop: _Stop = await service.observe(_stop)
    for request, call in stop.work:
        try:
            check_answered(request, call)
        except BrokenError as error:
            raise BrokenError(
                "all answers of the inspections that were under way",
                error.came,
                "on SIGTERM stop taking calls, and wait for those under way before the server stops",
            ) from None
    if not stop.under_way:
        raise NotTriedError("too quick: all was answered before the signal came")
    return f"{stop.under_way} inspections, {sum(len(call.responses) for _, call in stop.work)} questions"


@promises.add("health", "After SIGTERM, health turns NOT_SERVING", needs=(*CAPACITY, "silence.stream"))
async def health(service: Service) -> str:
    stop: _Stop = await service.observe(_stop)
    if "NOT_SERVING" not in stop.states:
        if not stop.under_way:
            raise NotTriedError("too quick: nothing was under way, so nothing was drained")
        raise BrokenError(
            "NOT_SERVING from Watch while work is under way",
            ", ".join(stop.states) or "nothing",
            "set the service's health first, then drain",
        )
    return ""


@promises.add("new", "After SIGTERM, new calls are UNAVAILABLE", needs=CAPACITY)
async def new(service: Service) -> str:
    stop: _Stop = await service.observe(_stop)
    if stop.new.code != "UNAVAILABLE":
        raise BrokenError(
            "UNAVAILABLE, for callers to ask another replica",
            str(stop.new.error or "OK"),
            "refuse new calls while draining",
        )
    return ""


@promises.add("exit", "After SIGTERM, it exits with code 0", needs=CAPACITY)
async def ended(service: Service) -> str:
    stop: _Stop = await service.observe(_stop)
    if not stop.exited:
        raise BrokenError(
            f"the process's end within {service.settings.stop_seconds:g} s",
            "it still runs",
            "exit once what was under way is answered; in a container, let the process that gets "
            "the signal be the server itself (exec-form ENTRYPOINT)",
        )
    if stop.code is None:
        raise NotTriedError(
            f"it ended after {stop.seconds:.1f} s, but its exit code cannot be seen from here"
        )
    if stop.code:
        raise BrokenError("exit code 0", f"exit code {stop.code}", "exit with 0 after draining")
    return f"after {stop.seconds:.1f} s"
