"""`NAME=TARGET` and `[NAME=]SERVICE [OPTIONS]`, and what names and targets may look like."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import shlex
from collections.abc import Iterable

from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_HOST_AND_PORT = re.compile(r"(\[.+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?):(\d{1,5})", re.ASCII)
_MAX_SOCKET_PATH_BYTES = 107
"""What the kernel's address structure holds."""
_EXAMPLE = "for example qwen=127.0.0.1:50051"


@dataclasses.dataclass(frozen=True, slots=True)
class LocalService:
    """A service of this checkout that is to be started, and how."""

    name: str
    """The model's name in this run."""
    service: str
    """Its folder's name."""
    options: tuple[str, ...]
    """Of its command line."""


def parse_local(texts: Iterable[str]) -> list[LocalService]:
    """Read what `--local` is given: `[NAME=]SERVICE [OPTIONS]`, as a shell would read it; each once.

    Raises:
        EndpointError: saying what is wrong with one of them.
    """
    found: dict[str, LocalService] = {}
    for text in texts:
        where = f"--local {text}"
        try:
            first, *options = shlex.split(text) or [""]
        except ValueError as error:
            raise EndpointError(f"{where}: cannot be read: {error}.") from None
        name, equals, service = first.rpartition("=")
        local = LocalService(name if equals else service, service, tuple(options))
        if problem := name_problem(local.name):
            raise EndpointError(f"{where}: {problem}")
        if not service:
            raise EndpointError(f"{where}: the service is missing. Write {name}=SERVICE, or SERVICE alone.")
        if found.setdefault(local.name, local) != local:
            raise EndpointError(
                f"{where}: there is another {local.name}. Give one of them another name: "
                f"--local 'NAME={shlex.join([service, *options])}'."
            )
    return list(found.values())


def parse_endpoint(text: str, origin: str) -> Endpoint:
    """Read `NAME=TARGET`, given at `origin` ("--endpoint").

    Raises:
        EndpointError: saying what is wrong with it and what it should look like.
    """
    name, equals, target = text.partition("=")
    if not equals:
        if target_problem(text):
            raise EndpointError(f"{origin} {text}: write NAME=TARGET, {_EXAMPLE}.")
        raise EndpointError(f"{origin} {text}: the model's name is missing. Write NAME={text}.")
    return make_endpoint(name.strip(), target.strip(), origin, f"{origin} {text}")


def make_endpoint(name: str, target: str, origin: str, where: str) -> Endpoint:
    """Return the endpoint, if its parts are as they should be.

    Raises:
        EndpointError: beginning with `where`.
    """
    if problem := name_problem(name) or target_problem(target):
        raise EndpointError(f"{where}: {problem}")
    return Endpoint(name, target, origin)


def name_problem(name: str) -> str:
    """Return why a model cannot have this name, or ""."""
    if _NAME.fullmatch(name):
        return ""
    return (
        f"the name {name!r} will not do: it becomes part of file names, so it begins with a letter or digit "
        "and goes on with letters, digits and .-_+ (at most 100)."
    )


def target_problem(target: str) -> str:
    """Return why this is no gRPC target, or ""."""
    scheme, separator, rest = target.partition("://")
    if not separator:
        if target.startswith("unix:"):
            return f"write unix:///path, with three slashes, instead of {target!r}."
        return _host_problem(target)
    if scheme == "unix":
        if not rest.startswith("/") or rest == "/":
            return f"{target!r} has no absolute path: write unix:///path."
        if len(rest.encode()) > _MAX_SOCKET_PATH_BYTES:
            return f"the socket's path has more than {_MAX_SOCKET_PATH_BYTES} bytes: use a shorter one."
        return ""
    if scheme == "dns":
        if not rest.startswith("/"):
            return f"write dns:///{rest}, with three slashes, instead of {target!r}."
        return _host_problem(rest[1:])
    if scheme in ("http", "https", "grpc", "grpcs"):
        return f"leave {scheme}:// out: write {rest.rstrip('/') or 'host:port'}."
    return f"{target!r} is no address: write host:port, unix:///path or dns:///name:port."


def _host_problem(text: str) -> str:
    match = _HOST_AND_PORT.fullmatch(text)
    if match and (not match[1].startswith("[") or _is_ipv6(match[1][1:-1])):
        return "" if 0 < int(match[2]) < 65536 else f"{match[2]} is no port: ports go from 1 to 65535."
    if "," in text:
        return "one address each: give NAME=TARGET once for each replica."
    host, _, port = text.rpartition(":")
    if _is_ipv6(host):
        return f"an IPv6 address needs brackets: [{host}]:{port}."
    if re.fullmatch(r"[\w.-]+|\[.+\]", text):
        return f"{text!r} has no port: write {text}:PORT."
    return f"{text!r} is no address: write host:port, unix:///path or dns:///name:port."


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
