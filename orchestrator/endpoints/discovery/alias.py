"""One name for everybody: every address that it resolves to is a place.

So the models are found without the Docker socket: in compose each answer service has the network alias
`answer`. A name says nothing about those that have ended, so these are not shown. An address may be another
container's a minute later; therefore each is asked again at every look.
"""

from __future__ import annotations

import time

from orchestrator.dispatch import DirectoryError
from orchestrator.endpoints.discovery.place import Place, Places, SourceError
from orchestrator.endpoints.dns import addresses

_START_SECONDS = 30.0
"""How long an address that has only just been seen may say nothing and still count as starting."""


class Alias:
    """A source: the addresses behind HOST:PORT."""

    def __init__(self, name: str) -> None:
        self._name = name
        host, _, port = name.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._seen: dict[str, float] = {}
        """When each address was first seen, on the monotonic clock."""

    def look(self) -> Places:
        """Return the addresses that there are now."""
        try:
            targets = addresses(self._host, self._port)
        except DirectoryError as error:
            raise SourceError(
                str(error),
                "Is a service with this alias running, in a network of this container? "
                f"(compose: `networks: default: aliases: [{self._host}]`)",
                passing=True,
            ) from None
        now = time.monotonic()
        self._seen = {target: self._seen.get(target, now) for target in targets}
        return Places(tuple(self._place(target, now) for target in targets))

    def close(self) -> None:
        """Hold nothing."""

    def _place(self, target: str, now: float) -> Place:
        starting = now - self._seen[target] < _START_SECONDS
        return Place(target, target, self._name, targets=(target,), may_change=True, starting=starting)
