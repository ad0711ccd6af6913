"""Which replicas a model has at present: those that it began with, or those that its directory lists.

Addresses are compared by target, so a container that was killed and comes back on another port is a replica
that is gone and another that has come. One that is gone gets nothing new; what it has under way may end, and
ends by itself where the process is dead. Should it be listed again before that, it is the same replica still,
so that no service ever has more to do than its card says.

One look is believed at once. A name server that tells only some of the addresses each time so makes the
others sit out until it tells them; to wait for a second look would send new work to what is shutting down.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from orchestrator.dispatch import ConnectedModel, DirectoryError, Effort
from orchestrator.dispatch.client import Client
from orchestrator.dispatch.limit import AdaptiveLimit
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.replica import Replica
from orchestrator.vocabulary import Endpoint, ModelCard


class Membership:
    """The replicas of one model, from `open` to `close`."""

    def __init__(self, model: ConnectedModel, effort: Effort, pace: Pace) -> None:
        self.trouble = ""
        """Why the directory could not be read when it was last looked at."""
        self._model = model
        self._effort = effort
        self._pace = pace
        self._look_now = asyncio.Event()
        self._leaving: dict[str, Replica] = {}
        """Those that are gone, but have work under way; by target."""
        self.replicas: list[Replica] = []

    def open(self) -> None:
        """Begin with those that answered at the start of the run."""
        self.replicas = [self._new(endpoint, accepted=True) for endpoint in self._model.endpoints]

    def limit(self, card: ModelCard) -> AdaptiveLimit:
        """Return the limit that a replica with such a card starts with."""
        most = min(card.max_in_flight, self._effort.concurrency or card.max_in_flight)
        return AdaptiveLimit(self._pace.first_in_flight, most)

    def capacity(self) -> int:
        """Return how many inspections all can have under way, once their limits have grown.

        Those that are gone count with what they still have: it takes no room from the others.
        """
        leaving = sum(replica.in_flight for replica in self._leaving.values())
        return leaving + sum(replica.limit.maximum for replica in self.replicas if replica.accepted)

    def look_soon(self) -> None:
        """Look at the directory before its turn."""
        self._look_now.set()

    async def follow(
        self,
        changed: Callable[[Sequence[Replica], Sequence[Replica]], None],
        unreadable: Callable[[str], None],
    ) -> None:
        """Look at the directory, if there is one, again and again.

        Args:
            changed: is given the replicas that have come, and those that are gone.
            unreadable: is given the reason each time that the directory cannot be read; all stays as it was.
        """
        while self._model.directory is not None:
            self._look_now.clear()
            earliest = time.monotonic() + self._pace.look_apart_seconds
            try:
                endpoints = await self._model.directory()
            except DirectoryError as error:
                self.trouble = str(error)
                unreadable(self.trouble)
            else:
                self.trouble = ""
                come, gone = self._compare(endpoints)
                if come or gone:
                    changed(come, gone)
                for replica in gone:
                    await self.close_if_idle(replica)
            # Not by wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.look_seconds):
                    await self._look_now.wait()
            await asyncio.sleep(earliest - time.monotonic())

    async def close_if_idle(self, replica: Replica) -> None:
        """Close the connection of a replica that is gone, once nothing is under way there."""
        if replica.target in self._leaving and not replica.in_flight:
            del self._leaving[replica.target]
            await replica.client.close()

    async def close(self) -> None:
        """Close all connections, and cancel what is under way."""
        everybody = [*self.replicas, *self._leaving.values()]
        await asyncio.gather(*(replica.client.close() for replica in everybody))

    def _compare(self, endpoints: Sequence[Endpoint]) -> tuple[list[Replica], list[Replica]]:
        listed = {endpoint.target: endpoint for endpoint in endpoints}
        gone = [replica for replica in self.replicas if replica.target not in listed]
        for replica in gone:
            replica.gone = True
            self._leaving[replica.target] = replica
            self.replicas.remove(replica)
        known = {replica.target for replica in self.replicas}
        come = [self._come(endpoint) for target, endpoint in listed.items() if target not in known]
        self.replicas += come
        return come, gone

    def _come(self, endpoint: Endpoint) -> Replica:
        if (replica := self._leaving.pop(endpoint.target, None)) is None:
            return self._new(endpoint, accepted=False)
        replica.gone = False
        return replica

    def _new(self, endpoint: Endpoint, *, accepted: bool) -> Replica:
        return Replica(
            endpoint, Client(endpoint, self._pace), self.limit(self._model.card), accepted=accepted
        )
