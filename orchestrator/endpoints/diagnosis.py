"""Why an address does not answer as it should, for the person who has to mend it.

gRPC's own words for a closed port, a web server and a stopped process differ little and change between its
versions, so this looks for itself: does anything listen, and what does it say that it speaks?
"""

from __future__ import annotations

import asyncio
import socket

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from orchestrator.dispatch.client import CONTRACT, Client, parsed
from orchestrator.dispatch.faults import CallError, Verdict, call_error, one_line

_LOOK_SECONDS = 2.0
_REFLECTIONS = ("grpc.reflection.v1.ServerReflection", reflection.SERVICE_NAME)
"""The versions of reflection, which differ in nothing but this name; the library has only v1alpha's."""


async def explain(client: Client, error: CallError, tried_seconds: float) -> str:
    """Return what is wrong at the client's address, after GetModel has failed with `error`."""
    tried = f"GetModel was tried for {tried_seconds:.0f} s"
    if error.code == "UNIMPLEMENTED":
        return await _other_contract(client)
    if not error.silent:
        return f"it {'cannot' if error.verdict is Verdict.BROKEN else 'refuses to'} say who it is: {error}"
    if nothing := await asyncio.to_thread(_nothing_listens, client.endpoint.target):
        return f"{nothing}; {tried}. Is the service running, and is this its address?"
    if error.code == "DEADLINE_EXCEEDED":
        return f"it takes the connection, but never answers; {tried}. Is the process stopped or overloaded?"
    return (
        f"something listens there, but it does not answer as a gRPC service does; {tried} "
        f"({error}). Is it a web server, or does it want TLS?"
    )


async def _other_contract(client: Client) -> str:
    """Ask by reflection what is spoken there instead."""
    try:
        services = await reflected(client.channel)
    except CallError:
        services = []
    services = [name for name in services if not name.startswith("grpc.")]
    if not services:
        return f"it speaks gRPC, but not this contract ({CONTRACT}), and does not say what it speaks."
    others = one_line(", ".join(services))
    hint = ""
    if any(name.startswith("mmad.answer.") for name in services):
        hint = " Its contract is of another version: use an orchestrator and a service of the same release."
    return f"it speaks {others}, not {CONTRACT}.{hint}"


async def reflected(channel: grpc.aio.Channel) -> list[str]:
    """Return the services that an address lists, by whichever version of reflection it has.

    Raises:
        CallError: it has none, or its list cannot be read.
    """
    newer, older = _REFLECTIONS
    try:
        return await _listed(channel, newer)
    except CallError as error:
        if error.code != "UNIMPLEMENTED":
            raise
    return await _listed(channel, older)


async def _listed(channel: grpc.aio.Channel, reflection_name: str) -> list[str]:
    # One request is the same on the wire; as a stream of them it would now and then fail with INTERNAL where
    # the server has refused the method before it was sent.
    ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
    ask = channel.unary_stream(f"/{reflection_name}/ServerReflectionInfo")
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    names = []
    try:
        async for content in ask(request.SerializeToString(), timeout=_LOOK_SECONDS):
            response = parsed(reflection_pb2.ServerReflectionResponse(), content)
            names += [service.name for service in response.list_services_response.service]
    except grpc.aio.AioRpcError as error:
        raise call_error(error) from None
    return names


def _nothing_listens(target: str) -> str:
    """Return why no connection can be made, or "" if one can."""
    try:
        if target.startswith("unix://"):
            with socket.socket(socket.AF_UNIX) as unix:
                unix.settimeout(_LOOK_SECONDS)
                unix.connect(target.removeprefix("unix://"))
        else:
            host, _, port = target.removeprefix("dns:///").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _LOOK_SECONDS).close()
    except socket.gaierror:
        return "there is no host of that name"
    except TimeoutError:
        return "nothing answers there, not even with a refusal (a firewall?)"
    except ConnectionRefusedError:
        return "nothing listens there"
    except OSError as error:
        return f"no connection can be made ({error.strerror or error})"
    return ""
