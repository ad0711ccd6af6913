"""The connection to a Docker engine, and what is wrong with one that cannot be asked, in one line.

Which engine: `DOCKER_HOST`, else the current Docker context, else the default socket, as the command line
has it, with one difference: a context that is not there and settings that cannot be read are refused, since
another engine's containers are not those that were asked for. The socket or port is tried before the SDK is:
its errors are requests' errors, three layers deep, and do not tell a missing socket from one that this user
may not open.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import ipaddress
import json
import os
import socket
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import docker.errors
import requests
from docker.context import ContextAPI
from docker.utils.config import DOCKER_CONFIG_FILENAME, find_config_file

from orchestrator.dispatch.faults import one_line
from orchestrator.endpoints.discovery.place import RefusalError, SourceError

_TIMEOUT_SECONDS = 5
_DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_REMOTE = ("tcp", "http", "https", "ssh")
_MEND = "Mend it, or set DOCKER_HOST"


@dataclasses.dataclass(frozen=True, slots=True)
class Connection:
    """An engine that has answered."""

    client: docker.DockerClient
    address: str
    """For messages: "unix:///var/run/docker.sock"."""
    host: str
    """Where the ports are that the engine publishes, seen from here."""

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Let the SDK's errors leave the block as SourceErrors."""
        with _explained(self.address, self.client.api.timeout):
            yield

    def close(self) -> None:
        """Close the sockets."""
        self.client.close()


def connect(
    environment: Mapping[str, str] = os.environ, timeout_seconds: int = _TIMEOUT_SECONDS
) -> Connection:
    """Connect to the engine that the environment names.

    Args:
        environment: `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
        timeout_seconds: of each call.

    Raises:
        SourceError: there is none, it cannot be reached, or what answers is none.
    """
    address = _address(environment)
    with _explained(address, timeout_seconds):
        try:
            host = published_at(address)
            _try(address, timeout_seconds)
            client = docker.DockerClient.from_env(
                environment=dict(environment), timeout=timeout_seconds, version="auto", use_ssh_client=True
            )
        except docker.errors.DockerException as error:  # of any cause, while it asks for the version
            if isinstance(error.__cause__, docker.errors.APIError | requests.exceptions.RequestException):
                raise error.__cause__ from None
            raise
        except ValueError as error:
            raise SourceError(
                f"{address} is no address of a Docker engine ({error})", "Check DOCKER_HOST"
            ) from None
    return Connection(client, address, host)


def published_at(address: str) -> str:
    """Return the host at which an engine's published ports are reached from here.

    Raises:
        ValueError: it is no address.
    """
    parts = urllib.parse.urlsplit(address)
    return (parts.hostname or "") if parts.scheme in _REMOTE else "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether what is there is reached only from the machine that it is on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(environment: Mapping[str, str]) -> str:
    if given := environment.get("DOCKER_HOST"):
        return given
    name = environment.get("DOCKER_CONTEXT") or _current_context()
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # the SDK raises this very class, and a KeyError for what a file lacks
        why = one_line(str(error))
        raise SourceError(f"the Docker context {name!r} cannot be read ({why})", _MEND) from None
    if context is None:
        raise SourceError(f"there is no Docker context {name!r}", "`docker context ls` lists those there are")
    return str(context.Host or _DEFAULT_SOCKET).replace("http+unix://", "unix://")


def _current_context() -> str:
    """Return its name. The SDK's own reader takes a file that it cannot read for an empty one."""
    path = Path(str(find_config_file() or ""))
    if path.name != Path(DOCKER_CONFIG_FILENAME).name:  # there is none, or an old one without contexts
        return "default"
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get("currentContext") or "default")
    except (OSError, ValueError, AttributeError) as error:
        why = one_line((isinstance(error, OSError) and error.strerror) or str(error))
        raise SourceError(f"Docker's settings {path} cannot be read ({why})", _MEND) from None


def _try(address: str, timeout_seconds: int) -> None:
    """Connect once, and say in words why that cannot be done. An ssh address is left to the SDK.

    Raises:
        ValueError: it is no address.
    """
    parts = urllib.parse.urlsplit(address)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as local:
                local.settimeout(timeout_seconds)
                local.connect(parts.path)
        elif parts.scheme == "tcp" and parts.hostname:
            socket.create_connection((parts.hostname, parts.port or 2375), timeout_seconds).close()
        elif parts.scheme == "ssh" and importlib.util.find_spec("paramiko") is None:
            raise SourceError(
                f"{address} needs what is not installed", "Install it: pip install 'docker[ssh]'"
            )
    except FileNotFoundError:
        raise SourceError(
            f"no Docker engine is running here (there is no {parts.path})", "Install or start Docker"
        ) from None
    except PermissionError:
        raise SourceError(
            f"this user may not open the Docker engine's socket {parts.path}",
            "Join the group that owns it (`sudo usermod -aG docker $USER`, then log in again)",
        ) from None
    except ConnectionRefusedError:
        raise SourceError(f"no Docker engine listens at {address}", "Start Docker") from None
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else one_line(error.strerror or str(error))
        raise SourceError(
            f"the Docker engine at {address} cannot be reached ({why})", "Check DOCKER_HOST"
        ) from None


@contextlib.contextmanager
def _explained(address: str, timeout_seconds: int) -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as error:
        said = one_line(str(error.explanation or error))
        remedy = ""
        if error.status_code in (401, 403):
            remedy = "Let the requests through that docs/discovery.md lists"
        raise RefusalError(f"the Docker engine at {address} refuses: {said}", remedy) from None
    except requests.exceptions.Timeout:
        raise SourceError(
            f"the Docker engine at {address} does not answer within {timeout_seconds} s"
        ) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise SourceError(
            f"the Docker engine at {address} cannot be asked ({one_line(str(error))})"
        ) from None
