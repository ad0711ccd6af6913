"""Who is at the places: one look at the sources, and a question to each container that is not known yet.

All models of a run look through one survey, so a look is shared by everyone who asks within a second, and
what blocks is done in a thread. A container that has said who it is is not asked again until it has been
started anew; its ports and its state are the engine's to tell, at every look.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import socket
import time
from collections.abc import Iterable, Sequence

from orchestrator.dispatch.cards import differences
from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.pace import Pace
from orchestrator.endpoints.arguments import name_problem
from orchestrator.endpoints.diagnosis import explain
from orchestrator.endpoints.discovery.place import Place, Source
from orchestrator.ordering import natural
from orchestrator.vocabulary import Endpoint, FoundReplica, ModelCard, ReplicaState

_SHARED_SECONDS = 1.0
_ASK_SECONDS = 3.0
"""For one GetModel; it answers at once also while weights are loading."""
_CONNECT_SECONDS = 1.0
_STATES = {
    "ready": ReplicaState.READY,
    "loading": ReplicaState.STARTING,
    "draining": ReplicaState.DRAINING,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What was found at one time."""

    replicas: tuple[FoundReplica, ...]
    """By name, then by origin; those whose name is not known are last."""
    left_out: int
    """Containers that ended, and are too old to be shown."""


@dataclasses.dataclass(slots=True)
class _Known:
    target: str
    card: ModelCard


class Survey:
    """Looks at a source, on demand.

    Raises (on `look`):
        SourceError: the source cannot be read now.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = asyncio.Lock()
        self._latest: Look | None = None
        self._looked_at = 0.0
        self._known: dict[str, _Known] = {}
        self._names: dict[str, str] = {}
        """What each place was called when it last answered, by its id."""

    async def look(self) -> Look:
        """Return what is there; at most a second old."""
        async with self._lock:
            if self._latest is None or time.monotonic() - self._looked_at > _SHARED_SECONDS:
                self._latest = await self._look()
                self._looked_at = time.monotonic()
            return self._latest

    async def close(self) -> None:
        """Let go of the source."""
        await asyncio.to_thread(self._source.close)

    async def _look(self) -> Look:
        seen = await asyncio.to_thread(self._source.look)
        found = await asyncio.gather(*(self._ask(place) for place in seen.places))
        keys = {place.key for place in seen.places}
        self._known = {key: known for key, known in self._known.items() if key in keys}
        ordered = sorted(found, key=lambda r: (natural(r.origin), natural(r.target)))
        told = sorted(
            _one_model_per_name(ordered),
            key=lambda r: (not r.name, natural(r.name), r.state is ReplicaState.NAME_TAKEN),
        )
        return Look(tuple(told), seen.left_out)

    async def _ask(self, place: Place) -> FoundReplica:
        name = place.name or self._names.get(place.id, "")
        if place.state is not None:
            return FoundReplica(name, place.origin, "", place.state, place.reason)
        known = self._known.get(place.key)
        if known is not None and not place.may_change and known.card.state == "ready":
            return _answered(place, known.target, known.card)
        target = await asyncio.to_thread(_reachable, place.targets)
        client = Client(Endpoint(name or place.origin, target, place.origin), Pace())
        began = time.monotonic()
        try:
            card = await client.get_model(_ASK_SECONDS)
        except CallError as error:
            state, reason = await _silent(place, client, error, time.monotonic() - began)
            return FoundReplica(name, place.origin, target, state, reason, known.card if known else None)
        finally:
            await client.close()
        if not place.name and (problem := name_problem(card.identity.name)):
            return FoundReplica("", place.origin, target, ReplicaState.WRONG_CONTRACT, problem)
        self._known[place.key] = _Known(target, card)
        self._names[place.id] = place.name or card.identity.name
        return _answered(place, target, card)


def _answered(place: Place, target: str, card: ModelCard) -> FoundReplica:
    state = _STATES.get(card.state, ReplicaState.STARTING)
    reason = card.state_detail
    if state is ReplicaState.READY:
        reason = ""
        if place.unhealthy is not None:
            state, reason = ReplicaState.UNHEALTHY, f"it says that it is ready, but: {place.unhealthy}"
    elif state is ReplicaState.STARTING and place.failing:
        state, reason = ReplicaState.RESTARTING, f"{place.failing}. Now it says: {reason or 'loading'}"
    return FoundReplica(place.name or card.identity.name, place.origin, target, state, reason, card)


async def _silent(place: Place, client: Client, error: CallError, seconds: float) -> tuple[ReplicaState, str]:
    """Return what it means that a place does not say who it is."""
    if error.silent and place.failing:
        return ReplicaState.RESTARTING, place.failing
    if error.silent and place.starting:
        return ReplicaState.STARTING, "nothing answers there yet"
    if error.silent and place.unhealthy is not None:
        return ReplicaState.UNHEALTHY, place.unhealthy
    reason = await explain(client, error, seconds)
    if error.code == "UNIMPLEMENTED":
        return ReplicaState.WRONG_CONTRACT, reason
    if error.silent and place.advice:
        reason = f"{reason} {place.advice[0].upper()}{place.advice[1:]}."
    return ReplicaState.NO_ANSWER, reason


def _one_model_per_name(ordered: Iterable[FoundReplica]) -> list[FoundReplica]:
    """Mark those whose name an earlier one has, with another identity.

    The first by origin has the name, whenever it was started, so that two looks agree.
    """
    first: dict[str, FoundReplica] = {}
    found = []
    for replica in ordered:
        if replica.state is ReplicaState.READY and replica.card is not None:
            owner = first.setdefault(replica.name, replica)
            assert owner.card is not None  # noqa: S101 - only ready ones are owners
            if differing := differences(owner.card.identity, replica.card.identity):
                why = f"{owner.origin} has this name, and is another model: {'; '.join(differing)}"
                replica = dataclasses.replace(replica, state=ReplicaState.NAME_TAKEN, reason=why)
        found.append(replica)
    return found


def _reachable(targets: Sequence[str]) -> str:
    """Return the first target that takes a connection, or else the first."""
    if len(targets) > 1:
        for target in targets:
            host, _, port = target.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
            except OSError:
                continue
            return target
    return targets[0]


def by_name(replicas: Iterable[FoundReplica]) -> dict[str, list[FoundReplica]]:
    """Return the ready ones, as replicas of the models of their names."""
    groups: dict[str, list[FoundReplica]] = collections.defaultdict(list)
    for replica in replicas:
        if replica.state is ReplicaState.READY:
            groups[replica.name].append(replica)
    return dict(groups)
