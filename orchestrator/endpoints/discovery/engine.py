"""A Docker engine through its SDK: the few calls that discovery needs, all of them reading."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import docker
import docker.errors

from orchestrator.dispatch.faults import one_line
from orchestrator.endpoints.discovery.connection import Connection, connect
from orchestrator.endpoints.discovery.labels import CONTRACT_LABEL, PROJECT_LABEL
from orchestrator.endpoints.discovery.log_lines import log_lines
from orchestrator.endpoints.discovery.place import RefusalError, SourceError

_LOG_LINES = 200
"""That are read: the engine takes them from the end, and only then leaves out those that are too young."""

Inspected = Mapping[str, Any]
"""A container as `GET /containers/ID/json` describes it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """A container that the engine lists, and cannot describe."""

    id: str
    name: str
    why: str


class Engine(Protocol):
    """What discovery needs of Docker. All calls block, for some seconds at most."""

    host: str
    """Where the ports are that the engine publishes, seen from here; known once it has been asked."""

    def containers(self, project: str) -> tuple[list[Inspected], list[Unreadable]]:
        """Return the containers that carry the contract's label, ended ones too, in no order.

        The second list has those of which the engine says only that they are there.

        Raises:
            SourceError: the engine cannot be asked.
        """

    def last_log_line(self, container_id: str, before: datetime.datetime | None = None) -> str:
        """Return the last thing that a container has said (before a time), in one printable line, or ""."""

    def close(self) -> None:
        """Close the connections."""


class DockerEngine:
    """The engine that the environment names; connected to at the first call, and again after a loss."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._connection: Connection | None = None
        self.host = ""

    def containers(self, project: str) -> tuple[list[Inspected], list[Unreadable]]:
        """Return what `GET /containers/json` finds, each as `GET /containers/ID/json` describes it."""
        labels = [CONTRACT_LABEL, *([f"{PROJECT_LABEL}={project}"] if project else [])]
        found, unreadable = [], []
        with self._asked() as client:
            for listed in client.api.containers(all=True, filters={"label": labels}):
                try:
                    found.append(client.api.inspect_container(listed["Id"]))
                except docker.errors.NotFound:  # removed since it was listed
                    continue
                except docker.errors.APIError as error:
                    if error.is_client_error():  # a proxy that lets nobody's description through
                        raise
                    name = (listed.get("Names") or [listed["Id"][:12]])[0].removeprefix("/")
                    why = one_line(str(error.explanation or error))
                    unreadable.append(Unreadable(listed["Id"], name, why))
        return found, unreadable

    def last_log_line(self, container_id: str, before: datetime.datetime | None = None) -> str:
        """Return the last line that is not empty; "" also where the log cannot be read from here."""
        try:
            with self._asked() as client:
                # As a number, since of a time the SDK sends whole seconds.
                until = before.timestamp() if before else None
                log = client.api.logs(container_id, tail=_LOG_LINES, until=until)
        except SourceError:  # a log driver that only writes, or a proxy that does not let this through
            return ""
        return next((said for line in reversed(log_lines(log)) if (said := one_line(line))), "")

    def close(self) -> None:
        """Close the connections; the next call makes them anew."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _asked(self) -> Iterator[docker.DockerClient]:
        if self._connection is None:
            self._connection = connect(self._environment)
            self.host = self._connection.host
        try:
            with self._connection.explained():
                yield self._connection.client
        except RefusalError:
            raise
        except SourceError:
            self.close()
            raise
