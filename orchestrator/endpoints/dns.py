"""Names that stand for replicas: `dns:///name:port`, one for each address that the name has.

The orchestrator looks them up itself, and again while it runs. gRPC could spread calls over the addresses,
but to its user they stay one: with the limit of one, and benched all together because of one. The price is
that a virtual address, as a Kubernetes service has unless it is headless, is one replica, whatever stands
behind it.

A host with IPv4 and IPv6 would be found twice, so IPv6 counts only where there is no IPv4. A name without an
address is one that cannot be looked up now: resolvers say the same of a service whose replicas are all
starting, of a name server in trouble, and of a misspelt name.
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


async def resolve(endpoint: Endpoint) -> list[Endpoint]:
    """Return an endpoint for each address that the name has now; one that is no name, as it is.

    Raises:
        DirectoryError: the name has no address, or cannot be looked up.
    """
    if not is_name(endpoint):
        return [endpoint]
    host, _, port = endpoint.target.removeprefix(_SCHEME).rpartition(":")
    origin = f"{endpoint.target}, {endpoint.origin}"
    return [
        dataclasses.replace(endpoint, target=target, origin=origin)
        for target in await asyncio.to_thread(addresses, host.strip("[]"), int(port))
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
        raise DirectoryError(f"{host} is no name that can be looked up") from None
    ipv4 = sorted({place[0] for family, *_, place in found if family == socket.AF_INET})
    ipv6 = sorted({place[0] for family, *_, place in found if family == socket.AF_INET6})
    return [f"{address}:{port}" for address in ipv4] or [f"[{address}]:{port}" for address in ipv6]


def distinct(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints, each target of a model once, as the first of them gives it."""
    return list({(each.name, each.target): each for each in reversed(list(endpoints))}.values())[::-1]


class NameDirectory:
    """A `dispatch.Directory` of one model's endpoints: the names looked up anew, the others as they are."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = tuple(endpoints)

    async def __call__(self) -> list[Endpoint]:
        """Return an endpoint for each address, each once.

        Raises:
            DirectoryError: one of the names has no address, or cannot be looked up.
        """
        found = await asyncio.gather(*(resolve(endpoint) for endpoint in self._endpoints))
        return distinct(endpoint for some in found for endpoint in some)
