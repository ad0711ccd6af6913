"""Names that stand for replicas: `dns:///name:port`, one for each address that the name has.

The orchestrator looks them up itself, and again while it runs. gRPC could spread calls over the addresses,
but to its user they stay one: with the limit of one, and benched all together because of one. The price is
that a virtual address, as a Kubernetes service has unless it is headless, is one replica, whatever stands
behind it.

A host with IPv4 and IPv6 would be found twice, so IPv6 counts only where there is no IPv4. A name without an
address is one that cannot be looked up now: resolvers say the same of a service whose replicas are all
starting, of a name server in trouble, and of a misspelt name.

One process must not be two replicas, or it gets twice what its card says. So an address counts once, also
where it is written as `name:port`, which gRPC looks up.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Iterable, Sequence

from orchestrator.dispatch import DirectoryError
from orchestrator.vocabulary import Endpoint

_SCHEME = "dns:///"
_UNKNOWN = (socket.EAI_NONAME, socket.EAI_NODATA)


def is_name(endpoint: Endpoint) -> bool:
    """Whether the target is a name that may stand for several replicas."""
    return endpoint.target.startswith(_SCHEME)


class ImpossibleNameError(DirectoryError):
    """A name that no name server can have an address for."""


def resolve(endpoint: Endpoint) -> list[Endpoint]:
    """Return an endpoint for each address that the name has now; one that is no name, as it is.

    It may take seconds.

    Raises:
        DirectoryError: the name has no address, or cannot be looked up.
    """
    if not is_name(endpoint):
        return [endpoint]
    origin = f"{endpoint.target}, {endpoint.origin}"
    return [
        dataclasses.replace(endpoint, target=target, origin=origin)
        for target in _addresses(endpoint.target.removeprefix(_SCHEME))
    ]


def addresses(host: str, port: int) -> list[str]:
    """Return "address:port" for each address of a host, in a fixed order. It may take seconds.

    Raises:
        DirectoryError: there is none, or it cannot be looked up.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror as error:
        reason = "there is no host of that name" if error.errno in _UNKNOWN else error.strerror
        raise DirectoryError(f"{host} has no address: {reason}") from None
    except UnicodeError:
        raise ImpossibleNameError(f"{host} is no name that can be looked up") from None
    ipv4 = sorted({place[0] for family, *_, place in found if family == socket.AF_INET})
    ipv6 = sorted({place[0] for family, *_, place in found if family == socket.AF_INET6})
    return [f"{address}:{port}" for address in ipv4] or [f"[{address}]:{port}" for address in ipv6]


def _addresses(target: str) -> list[str]:
    host, _, port = target.rpartition(":")
    return addresses(host.strip("[]"), int(port))


async def distinct(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints, each address of a model once, as the first of them gives it.

    A `name:port` of several addresses gives way to those that are given one by one.
    """
    given = list(endpoints)
    places = await asyncio.gather(*(asyncio.to_thread(_places, endpoint) for endpoint in given))
    kept: set[int] = set()
    taken: set[tuple[str, str]] = set()
    for index in sorted(range(len(given)), key=lambda index: len(places[index])):
        if not places[index] <= taken:
            kept.add(index)
            taken |= places[index]
    return [given[index] for index in sorted(kept)]


def _places(endpoint: Endpoint) -> set[tuple[str, str]]:
    """Return each (model, address) that a connection may lead to; the target where that cannot be told."""
    try:
        targets = [endpoint.target] if endpoint.target.startswith("unix:") else _addresses(endpoint.target)
    except DirectoryError:
        targets = [endpoint.target]
    return {(endpoint.name, target) for target in targets}


class NameDirectory:
    """A `dispatch.Directory` of one model's endpoints: the names looked up anew, the others as they are."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = tuple(endpoints)

    async def __call__(self) -> list[Endpoint]:
        """Return an endpoint for each address, each once.

        Raises:
            DirectoryError: one of the names has no address, or cannot be looked up.
        """
        found = await asyncio.gather(*(asyncio.to_thread(resolve, endpoint) for endpoint in self._endpoints))
        return await distinct(endpoint for some in found for endpoint in some)
