"""Many calls at once, too many, and calls that nobody waits for any more.

The work is kept small: calls that are put only to fill the service are cancelled as soon as they have.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

from orchestrator.check import BrokenError, NotTriedError, Promises
from orchestrator.check.answers import ANSWERING
from orchestrator.check.requests import inspection
from orchestrator.check.service import Call, Service, check_answered
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.stubs import answer_pb2 as pb

promises = Promises("load")
CAPACITY = (*ANSWERING, "load.cancelled", "load.deadline")
"""What needs the places that earlier promises have taken."""
_MOST_AT_ONCE = 64
"""Inspections that are put at once to see whether all are answered, or that are cancelled."""
_MOST_IN_A_FLOOD = 1024
_LARGEST_BYTES = 64 * 2**20
"""What the contract promises of a server that states no less."""
_MUCH = 26
"""Questions of an inspection that is to last; it is cancelled before they are all answered."""
_SHARES = (1, 4, 16)
"""Of the time in which it may answer: what is tried as a deadline until one passes."""
_ALONE = 4
"""Inspections that are put one by one, between and after the others."""
_TRIES = 3
_SETTLING_SECONDS = 1.0
_OTHERS_SECONDS = 0.5
"""For the rest of a flood to be turned away, once the first was."""


@promises.add("cancelled", "After cancelled calls the capacity comes back", needs=ANSWERING)
async def cancelled(service: Service) -> str:
    first = asyncio.Event()
    count = min(service.max_in_flight, _MOST_AT_ONCE)
    tasks = [
        asyncio.create_task(service.call(_lasting(service, i), on_response=first.set)) for i in range(count)
    ]
    # Some are under way then, the others wait.
    await _either(asyncio.wait(tasks), first.wait())
    if not (under_way := await _cancel(tasks)):
        raise NotTriedError("it answers too quickly for a call to be cancelled")
    await _comes_back(service, f"{under_way} calls were cancelled")
    return f"{under_way} cancelled"


@promises.add(
    "deadline", "After passed deadlines the capacity comes back", needs=(*ANSWERING, "load.cancelled")
)
async def deadline(service: Service) -> str:
    count = min(service.max_in_flight, _MOST_AT_ONCE)
    seconds = min(max(service.question_seconds * _MUCH / 4, 0.002), 1.0)
    passed = 0
    for shorter in _SHARES:
        calls = await asyncio.gather(
            *(service.call(_lasting(service, i), timeout_seconds=seconds / shorter) for i in range(count))
        )
        if passed := sum(call.code == "DEADLINE_EXCEEDED" for call in calls):
            break
    if not passed:
        raise NotTriedError("it answers too quickly for a deadline to pass")
    await _comes_back(service, f"the deadlines of {passed} calls had passed")
    return f"{passed} deadlines"


def _lasting(service: Service, number: int) -> pb.AnswerRequest:
    return inspection(service.card, _MUCH, prefix=f"lasting-{number}-")


async def _comes_back(service: Service, what: str) -> None:
    try:
        await service.ask(inspection(service.card))
    except BrokenError as error:
        raise BrokenError(
            f"an answer after {what}",
            error.came,
            "give a call's place back however the call ends, and go on",
        ) from None


async def _cancel(tasks: list[asyncio.Task[Call]]) -> int:
    """Cancel what is under way, and return how many that were."""
    under_way = [task for task in tasks if not task.done()]
    for task in under_way:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return len(under_way)


@promises.add("concurrent", "As many at once as max_in_flight says are all answered", needs=CAPACITY)
async def concurrent(service: Service) -> str:
    count = min(service.max_in_flight, _MOST_AT_ONCE)
    requests = [inspection(service.card, prefix=f"at-once-{i}-") for i in range(count)]
    for _ in range(_TRIES):
        calls = await asyncio.gather(*(service.call(request) for request in requests))
        refused = [call.error for call in calls if call.code == "RESOURCE_EXHAUSTED"]
        if not refused:
            break
        await asyncio.sleep(_SETTLING_SECONDS)  # a busy service may hear late that earlier calls have ended
    else:
        raise BrokenError(
            f"answers to {count} inspections at once (max_in_flight is {service.max_in_flight})",
            f"{len(refused)} of them were turned away, {_TRIES} times: {refused[0]}",
            "state fewer in Limits.max_in_flight, or free the places of calls that have ended",
        )
    for request, call in zip(requests, calls, strict=True):
        check_answered(request, call)
    return f"{count} at once"


@promises.add("overload", "Too many are told to come later, with RetryInfo", needs=CAPACITY)
async def overload(service: Service) -> str:
    count = _flood(service)
    if not count:
        raise NotTriedError(
            f"max_in_flight is {service.max_in_flight}, and more than {_MOST_IN_A_FLOOD} are not put at once"
        )
    refusals: list[CallError] = []
    first = asyncio.Event()

    async def put(request: pb.AnswerRequest) -> Call:
        call = await service.call(request)
        if call.error is not None:
            refusals.append(call.error)
            first.set()
        return call

    tasks = [asyncio.create_task(put(_lasting(service, i))) for i in range(count)]
    await _either(asyncio.wait(tasks), first.wait())
    await asyncio.wait(tasks, timeout=_OTHERS_SECONDS)
    await _cancel(tasks)
    await service.ask(inspection(service.card))  # leave it as it was found
    if not refusals:
        raise NotTriedError(f"could not be provoked: all of {count} calls at once found room")
    for error in refusals:
        if error.code != "RESOURCE_EXHAUSTED":
            raise BrokenError(
                "RESOURCE_EXHAUSTED", str(error), "refuse what there is no room for with this status"
            )
        if error.wait_seconds is None:
            raise BrokenError(
                "RESOURCE_EXHAUSTED with a google.rpc.RetryInfo in the details",
                f"none: {error}",
                "say how long to wait; without RetryInfo callers never ask again",
            )
    waits = sorted(error.wait_seconds or 0.0 for error in refusals)
    return f"{len(refusals)} of {count} turned away, for {waits[0]:.2g} to {waits[-1]:.2g} s"


def _flood(service: Service) -> int:
    """Return how many calls fill it for certain; 0 where those would be too many."""
    most = service.max_in_flight
    return min(max(4 * most, most + 32), _MOST_IN_A_FLOOD) if 2 * most <= _MOST_IN_A_FLOOD else 0


def most_inspections(service: Service) -> int:
    """Return how many inspections this group has answered at most: by a service too quick to be filled."""
    count = min(service.max_in_flight, _MOST_AT_ONCE)
    return count + len(_SHARES) * count + _TRIES * count + _flood(service) + _ALONE


async def _either(*waiting: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.create_task(each) for each in waiting]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


@promises.add("largest", "A request as large as it says is read", needs=(*CAPACITY, "refusals.no_question"))
async def largest(service: Service) -> str:
    size = min(service.card.limits.max_request_bytes or _LARGEST_BYTES, _LARGEST_BYTES)
    # It has no question, and so is refused once it has been read: nothing of it is computed.
    request = _padded(pb.AnswerRequest(), size)
    call = await service.call(request)
    if call.code != "INVALID_ARGUMENT":
        raise BrokenError(
            f"INVALID_ARGUMENT for {size:,} bytes without a question",
            str(call.error or "OK"),
            "let the server receive messages as large as Limits.max_request_bytes says",
        )
    return f"{size / 2**20:.0f} MiB"


@promises.add("too_large", "A larger one is RESOURCE_EXHAUSTED, without RetryInfo", needs=CAPACITY)
async def too_large(service: Service) -> str:
    most = service.card.limits.max_request_bytes or _LARGEST_BYTES
    if most > 2 * _LARGEST_BYTES:
        raise NotTriedError(f"max_request_bytes is {most:,}, and so much is not sent")
    call = await service.call(_padded(inspection(service.card), most + 1))
    advice = "limit the size of received messages to Limits.max_request_bytes"
    if call.error is None or call.code != "RESOURCE_EXHAUSTED":
        raise BrokenError("RESOURCE_EXHAUSTED", str(call.error or "OK"), advice)
    if call.error.wait_seconds is not None:
        raise BrokenError(
            "RESOURCE_EXHAUSTED without RetryInfo, which would say: later",
            f"a RetryInfo of {call.error.wait_seconds:g} s",
            advice,
        )
    return ""


def _padded(request: pb.AnswerRequest, size_bytes: int) -> pb.AnswerRequest:
    """Return the request, made so large by its domain knowledge."""
    request.domain_knowledge = ""
    for overhead in itertools.count(1):
        request.domain_knowledge = " " * (size_bytes - request.ByteSize() - overhead)
        if request.ByteSize() <= size_bytes:
            break
        request.domain_knowledge = ""
    return request
