"""Waiting for the service to be ready, and looking: what it says while it loads is a promise, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from orchestrator.check.requests import inspection
from orchestrator.check.service import Service, Snapshot, enum_name
from orchestrator.dispatch.client import CONTRACT
from orchestrator.dispatch.faults import CallError, one_line
from orchestrator.dispatch.stubs import answer_pb2 as pb
from orchestrator.endpoints.connect import REACH_SECONDS
from orchestrator.endpoints.diagnosis import explain
from orchestrator.errors import EndpointError

_LOOK_SECONDS = 0.02
_MOST_LOOKS = 20


async def become_ready(service: Service, note: Callable[[str], None]) -> None:
    """Wait until GetModel says READY: `service.card` is its card, `service.snapshots` what was seen before.

    Args:
        service: what is waited for.
        note: is given a line for people when what it says of its loading changes.

    Raises:
        EndpointError: it did not get ready.
    """
    started = time.monotonic()
    # An address should answer at once; what we have started ourselves comes up in its own time.
    reach_seconds = REACH_SECONDS if service.process is None else service.settings.wait_seconds
    until, said = started + reach_seconds, ""
    while True:
        try:
            snapshot = await _look(service)
        except CallError as error:
            if service.process is not None and (ended := await asyncio.to_thread(service.process.gone)):
                raise EndpointError(f"{service.checked}: {ended}.") from None
            if not error.silent or time.monotonic() > until:
                reason = await explain(service.client, error, time.monotonic() - started)
                raise EndpointError(f"{service.endpoint.target}: {reason}") from None
        else:
            if snapshot.state == pb.STATE_READY:
                service.card = snapshot.card
                return
            if len(service.snapshots) < _MOST_LOOKS:
                service.snapshots.append(snapshot)
            until = started + service.settings.wait_seconds
            detail = one_line(snapshot.card.state_detail)
            if detail != said:
                said = detail
                note(f"It is loading: {detail}")
            if time.monotonic() > until:
                state = enum_name(pb.State.DESCRIPTOR, snapshot.state)
                raise EndpointError(
                    f"{service.endpoint.target}: not ready after {service.settings.wait_seconds:g} s "
                    f"({state}: {detail}). --wait SECONDS waits longer."
                )
        await asyncio.sleep(_LOOK_SECONDS)


async def _look(service: Service) -> Snapshot:
    """Look once. The state comes last: where it is LOADING, it was so when the others were asked.

    It comes first, too: before the service listens, health is not its own.

    Raises:
        CallError: GetModel was not answered.
    """
    await service.get_model()
    process_health, service_health = await asyncio.gather(service.health(""), service.health(CONTRACT))
    card = await service.get_model()
    answer_code = ""
    if card.state == pb.STATE_LOADING and not service.snapshots:
        call = await service.call(inspection(card), timeout_seconds=5.0)
        if (await service.get_model()).state == pb.STATE_LOADING:
            answer_code = str(call.error or "OK")
    return Snapshot(process_health, service_health, card.state, card, answer_code)
