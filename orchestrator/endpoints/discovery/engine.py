"""A Docker engine through its SDK: the few calls that are needed, all of them reading, and errors in words.

Which engine: `DOCKER_HOST`, else the current Docker context, else the default socket, as the command line
has it. The socket or port is tried before the SDK is: its errors are requests' errors, three layers deep, and
do not tell a missing socket from one that this user may not open.
"""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import docker
import docker.errors
import requests
from docker.context import ContextAPI

from orchestrator.dispatch.faults import one_line
from orchestrator.endpoints.discovery.place import SourceError

CONTRACT_LABEL = "org.mmad.answer.contract"
PROJECT_LABEL = "com.docker.compose.project"
_TIMEOUT_SECONDS = 5
_LOG_LINES = 20
_DEFAULT_SOCKET = "unix:///var/run/docker.sock"

Inspected = Mapping[str, Any]
"""A container as `GET /containers/ID/json` describes it."""


class Engine(Protocol):
    """What discovery needs of Docker. All calls block, for some seconds at most."""

    host: str
    """Where the ports are that the engine publishes, seen from here."""

    def containers(self, project: str) -> list[Inspected]:
        """Return the containers that carry the contract's label, ended ones too, in no order.

        Raises:
            SourceError: the engine cannot be asked.
        """

    def last_log_line(self, container_id: str) -> str:
        """Return the last thing that a container said, in one printable line, or ""."""

    def close(self) -> None:
        """Close the connections."""


class DockerEngine:
    """The engine that the environment names; connected to at the first call, and again after a loss."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._address = _address(environment)
        self._client: docker.DockerClient | None = None
        self.host = _host(self._address)

    def containers(self, project: str) -> list[Inspected]:
        """Return what `GET /containers/json` finds, each as `GET /containers/ID/json` describes it."""
        labels = [CONTRACT_LABEL, *([f"{PROJECT_LABEL}={project}"] if project else [])]
        found = []
        with self._explained():
            api = self._connected().api
            for listed in api.containers(all=True, filters={"label": labels}):
                with contextlib.suppress(docker.errors.NotFound):  # removed since it was listed
                    found.append(api.inspect_container(listed["Id"]))
        return found

    def last_log_line(self, container_id: str) -> str:
        """Return the last line that is not empty; "" also where the log cannot be read from here."""
        try:
            with self._explained():
                log = self._connected().api.logs(container_id, tail=_LOG_LINES)
        except SourceError:  # a log driver that only writes, or a proxy that does not let this through
            return ""
        lines = log.decode(errors="replace").splitlines()
        return next((said for line in reversed(lines) if (said := one_line(line))), "")

    def close(self) -> None:
        """Close the connections; the next call makes them anew."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> docker.DockerClient:
        if self._client is None:
            _try(self._address)
            try:
                self._client = docker.DockerClient.from_env(
                    environment=dict(self._environment),
                    timeout=_TIMEOUT_SECONDS,
                    version="auto",
                    use_ssh_client=True,
                )
            except docker.errors.DockerException as error:  # of any cause, while it asks for the version
                raise (error.__cause__ or error) from None
        return self._client

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except docker.errors.APIError as error:
            said = one_line(str(error.explanation or error))
            remedy = ""
            if error.status_code in (401, 403):
                remedy = "Let the requests through that docs/discovery.md lists"
            raise SourceError(f"the Docker engine at {self._address} refuses: {said}", remedy) from None
        except requests.exceptions.Timeout:
            self.close()
            raise SourceError(
                f"the Docker engine at {self._address} does not answer within {_TIMEOUT_SECONDS} s"
            ) from None
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            self.close()
            raise SourceError(
                f"the Docker engine at {self._address} cannot be asked ({one_line(str(error))})"
            ) from None


def _address(environment: Mapping[str, str]) -> str:
    if given := environment.get("DOCKER_HOST"):
        return given
    context = ContextAPI.kwargs_from_context(environment=dict(environment))  # since 7.2
    return str(context.get("base_url") or _DEFAULT_SOCKET).replace("http+unix://", "unix://")


def _host(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    return (parts.hostname or "") if parts.scheme in ("tcp", "http", "https", "ssh") else "127.0.0.1"


def _try(address: str) -> None:
    """Connect once, and say in words why that cannot be done. An ssh address is left to the SDK."""
    parts = urllib.parse.urlsplit(address)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as local:
                local.settimeout(_TIMEOUT_SECONDS)
                local.connect(parts.path)
        elif parts.scheme == "tcp" and parts.hostname:
            socket.create_connection((parts.hostname, parts.port or 2375), _TIMEOUT_SECONDS).close()
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
    except ValueError as error:
        raise SourceError(
            f"{address} is no address of a Docker engine ({error})", "Check DOCKER_HOST"
        ) from None
