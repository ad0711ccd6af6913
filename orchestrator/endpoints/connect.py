"""Who answers at the endpoints, asked once before a run: every problem of every address at once.

An address that does not answer is tried for a few seconds, since services are often started together with
the run; one that has answered that it is loading is waited for as long as the user says, also while it says
nothing: a process that reads weights may not get round to it.

A `dns:///` name without an address is waited for as long: its pods may still want for a node or an image. A
misspelt name looks the same, so it is said at once what is waited for.

A name is asked about address by address. Those that do not answer, or are not ready, are an error where no
replica of the model is ready; beside one that is, they are told, and join the run once they are ready.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence

from orchestrator.dispatch import ConnectedModel, DirectoryError, Prompting
from orchestrator.dispatch.cards import common, differences, unsupported
from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.pace import Pace
from orchestrator.endpoints.diagnosis import explain
from orchestrator.endpoints.dns import ImpossibleNameError, NameDirectory, distinct, is_name, resolve
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint, ModelCard

REACH_SECONDS = 5.0
"""How long an address may give no answer at all."""
_RETRY_SECONDS = 0.2
_LOOK_SECONDS = 1.0
"""Between lookups of a name that is waited for: every process on the machine asks the same name server."""


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
        endpoints: those of one name are replicas; `dns:///name:port` is a replica for each address.
        wait_seconds: how long a model may go on loading, and a `dns:///` name have no address.
        on_wait: is given a line for people when a model or a name is waited for, when what it says changes,
            and for each address of a name that the run begins without.
        reach_seconds: how long an address may give no answer at all.

    Raises:
        EndpointError: one line for each endpoint that cannot be used.
    """
    twice = [e for n, e in enumerate(endpoints) if any(_same(e, other) for other in endpoints[:n])]
    if twice:
        raise EndpointError("\n".join(f"{_where(e)}: given twice. Leave one of them out." for e in twice))
    addresses = await _addresses(endpoints, max(wait_seconds, reach_seconds), on_wait)
    enquiry = _Enquiry(wait_seconds, reach_seconds, on_wait)
    results = await asyncio.gather(
        *(enquiry.ask(address, spared=address not in endpoints) for address in addresses)
    )
    problems = []
    groups: dict[str, list[_Found]] = {}
    for address, result in zip(addresses, results, strict=True):
        if isinstance(result, _Found):
            groups.setdefault(address.name, []).append(result)
        elif address.name in enquiry.ready and address not in endpoints:
            on_wait(f"{result} The run begins without it, and asks it once it is ready.")
        else:
            problems.append(result)
    for group in groups.values():
        problems += [conflict for other in group[1:] if (conflict := _conflict(group[0], other))]
    if problems:
        raise EndpointError("\n".join(problems))
    return [
        ConnectedModel(
            name,
            common([one.card for one in group]),
            tuple(one.endpoint for one in group),
            _directory([endpoint for endpoint in endpoints if endpoint.name == name]),
        )
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


async def _addresses(
    endpoints: Sequence[Endpoint], wait_seconds: float, on_wait: Callable[[str], None]
) -> list[Endpoint]:
    """Return an endpoint for each address.

    Raises:
        EndpointError: one line for each name that has none for so long.
    """
    results = await asyncio.gather(*(_resolve(endpoint, wait_seconds, on_wait) for endpoint in endpoints))
    if problems := [result for result in results if isinstance(result, str)]:
        raise EndpointError("\n".join(problems))
    return await distinct(each for result in results if not isinstance(result, str) for each in result)


async def _resolve(
    endpoint: Endpoint, wait_seconds: float, on_wait: Callable[[str], None]
) -> list[Endpoint] | str:
    """Return an endpoint for each address that the name has, once it has any, or what is wrong."""
    until = time.monotonic() + wait_seconds
    said = ""
    while True:
        try:
            return await asyncio.to_thread(resolve, endpoint)
        except ImpossibleNameError as error:
            return f"{_where(endpoint)}: {error}. Is the name right?"
        except DirectoryError as error:
            problem = str(error)
        left = until - time.monotonic()
        if left <= 0:
            tried = f"it was looked up for {wait_seconds:g} s"
            return f"{_where(endpoint)}: {problem}; {tried}. Is the name right, and the service running?"
        if problem != said:
            said = problem
            whom = f"{endpoint.name} at {endpoint.target}"
            on_wait(f"Waiting up to {left:.0f} s for {whom}: {problem}. Is the name right?")
        await asyncio.sleep(min(_LOOK_SECONDS, left))


def _directory(endpoints: Sequence[Endpoint]) -> NameDirectory | None:
    return NameDirectory(endpoints) if any(map(is_name, endpoints)) else None


@dataclasses.dataclass
class _Enquiry:
    """The questions to all addresses, asked at the same time."""

    wait_seconds: float
    """How long an address may go on loading."""
    reach_seconds: float
    """How long it may give no answer at all."""
    on_wait: Callable[[str], None]
    ready: set[str] = dataclasses.field(default_factory=set)
    """The names of the models of which a replica is ready."""

    async def ask(self, endpoint: Endpoint, *, spared: bool) -> _Found | str:
        """Return who answers, or what is wrong. It is not waited for if `spared` while another is ready."""
        client = Client(endpoint, Pace())
        started = last_heard = time.monotonic()
        until = started + self.reach_seconds
        said = ""
        try:
            while True:
                try:
                    card = await client.get_model(max(0.1, min(self.reach_seconds, until - time.monotonic())))
                except CallError as error:
                    now = time.monotonic()
                    if not error.silent or now >= until:
                        return f"{_where(endpoint)}: {await explain(client, error, now - last_heard)}"
                    state = f"silent now: {error}" if said else ""
                else:
                    if card.state == "ready":
                        self.ready.add(endpoint.name)
                        return _Found(endpoint, card)
                    last_heard, until = time.monotonic(), started + self.wait_seconds
                    state = f"{card.state}: {card.state_detail}" if card.state_detail else card.state
                    if last_heard >= until:
                        return f"{_where(endpoint)}: not ready after {self.wait_seconds:g} s ({state})"
                enough = spared and endpoint.name in self.ready
                if enough and state and time.monotonic() >= started + self.reach_seconds:
                    return f"{_where(endpoint)}: not ready yet ({state})."
                if state != said:
                    said = state
                    self.on_wait(f"{endpoint.name} at {endpoint.target} is {state}")
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
