"""One name for everybody: every address that it resolves to is a place.

So the models are found without the Docker socket: in compose each answer service has the network alias
`answer`. A name says nothing about those that have ended, so these are not shown. An address may be another
container's a minute later; therefore each is asked again at every look.
"""

from __future__ import annotations

import socket
import time

from orchestrator.endpoints.discovery.place import Place, Places, SourceError

_START_SECONDS = 30.0
"""How long an address that has only just been seen may say nothing and still count as starting."""


class Alias:
    """A source: the addresses behind HOST:PORT."""

    def __init__(self, name: str) -> None:
        self._name = name
        host, _, self._port = name.rpartition(":")
        self._host = host.removeprefix("dns:///").strip("[]")
        self._seen: dict[str, float] = {}
        """When each address was first seen, on the monotonic clock."""

    def look(self) -> Places:
        """Return the addresses that there are now: IPv4 where there is any, since most have both."""
        try:
            found = socket.getaddrinfo(self._host, int(self._port), type=socket.SOCK_STREAM)
        except OSError as error:
            why = "nothing has that name" if isinstance(error, socket.gaierror) else str(error)
            raise SourceError(
                f"{self._host} cannot be resolved ({why})",
                "Is a service with this alias running, in a network of this container? "
                f"(compose: `networks: default: aliases: [{self._host}]`)",
                passing=True,
            ) from None
        family = min(each[0] for each in found)
        hosts = sorted(
            {str(each[4][0]) for each in found if each[0] == family},
            key=lambda host: socket.inet_pton(family, host),
        )
        now = time.monotonic()
        self._seen = {host: self._seen.get(host, now) for host in hosts}
        return Places(tuple(self._place(host, now) for host in hosts))

    def close(self) -> None:
        """Hold nothing."""

    def _place(self, host: str, now: float) -> Place:
        target = f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"
        starting = now - self._seen[host] < _START_SECONDS
        return Place(target, target, self._name, targets=(target,), may_change=True, starting=starting)
