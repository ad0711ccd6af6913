"""Who answers at the endpoints, asked once before a run: every problem of every address at once.

An address that does not answer is tried for a few seconds, since services are often started together with
the run; one that has answered that it is loading is waited for as long as the user says, also while it says
nothing: a process that reads weights may not get round to it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence

from orchestrator.dispatch import ConnectedModel, Prompting
from orchestrator.dispatch.cards import common, differences, unsupported
from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.pace import Pace
from orchestrator.endpoints.diagnosis import explain
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint, ModelCard

REACH_SECONDS = 5.0
"""How long an address may give no answer at all."""
_RETRY_SECONDS = 0.2
_SILENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED")


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    endpoint: Endpoint
    card: ModelCard


async def connect(
    endpoints: Sequence[Endpoint],
    wait_seconds: float,
    on_wait: Callable[[str], None],
    *,
    reach_seconds: float = REACH_SECONDS,
) -> list[ConnectedModel]:
    """Ask every endpoint who it is, and return the models in the order of their first endpoint.

    Args:
        endpoints: those of one name are replicas.
        wait_seconds: how long a model may go on loading.
        on_wait: is given a line for people when a model is waited for, and when what it says changes.
        reach_seconds: how long an address may give no answer at all.

    Raises:
        EndpointError: one line for each endpoint that cannot be used.
    """
    twice = [e for n, e in enumerate(endpoints) if any(_same(e, other) for other in endpoints[:n])]
    if twice:
        raise EndpointError("\n".join(f"{_where(e)}: given twice. Leave one of them out." for e in twice))
    results = await asyncio.gather(
        *(_ask(endpoint, wait_seconds, reach_seconds, on_wait) for endpoint in endpoints)
    )
    found = [result for result in results if isinstance(result, _Found)]
    problems = [result for result in results if isinstance(result, str)]
    groups: dict[str, list[_Found]] = {}
    for one in found:
        groups.setdefault(one.endpoint.name, []).append(one)
    for group in groups.values():
        problems += [conflict for other in group[1:] if (conflict := _conflict(group[0], other))]
    if problems:
        raise EndpointError("\n".join(problems))
    return [
        ConnectedModel(name, common([one.card for one in group]), tuple(one.endpoint for one in group))
        for name, group in groups.items()
    ]


def refuse_unable(models: Sequence[ConnectedModel], prompting: Prompting, *, hints: bool = False) -> None:
    """Make sure that every model can do what will be asked of it.

    Raises:
        EndpointError: one line for each thing that a model cannot do.
    """
    problems = [
        f"{model.name}: {reason}"
        for model in models
        for reason in unsupported(model.card, prompting, hints=hints)
    ]
    if problems:
        raise EndpointError("\n".join(problems))


async def _ask(
    endpoint: Endpoint, wait_seconds: float, reach_seconds: float, on_wait: Callable[[str], None]
) -> _Found | str:
    """Return who answers, or what is wrong."""
    client = Client(endpoint, Pace())
    started = last_heard = time.monotonic()
    until = started + reach_seconds
    said = ""
    try:
        while True:
            try:
                card = await client.get_model(max(0.1, min(reach_seconds, until - time.monotonic())))
            except CallError as error:
                now = time.monotonic()
                if error.code not in _SILENT or now >= until:
                    return f"{_where(endpoint)}: {await explain(client, error, now - last_heard)}"
                state = f"silent now: {error}" if said else ""
            else:
                if card.state == "ready":
                    return _Found(endpoint, card)
                last_heard, until = time.monotonic(), started + wait_seconds
                state = f"{card.state}: {card.state_detail}" if card.state_detail else card.state
                if last_heard >= until:
                    return f"{_where(endpoint)}: not ready after {wait_seconds:g} s ({state})"
            if state != said:
                said = state
                on_wait(f"{endpoint.name} at {endpoint.target} is {state}")
            await asyncio.sleep(_RETRY_SECONDS)
    finally:
        await client.close()


def _conflict(one: _Found, other: _Found) -> str:
    if not (differing := differences(one.card.identity, other.card.identity)):
        return ""
    return (
        f"{one.endpoint.name}: {one.endpoint.target} ({one.endpoint.origin}) and {other.endpoint.target} "
        f"({other.endpoint.origin}) have one name, but are not one model: {'; '.join(differing)}. "
        "Give them different names, or the same checkpoint."
    )


def _same(one: Endpoint, other: Endpoint) -> bool:
    return (one.name, one.target) == (other.name, other.target)


def _where(endpoint: Endpoint) -> str:
    return f"{endpoint.name} at {endpoint.target} ({endpoint.origin})"
