"""An image that is to be checked, in a container of its own, as hardened as compose.yaml runs it.

It is removed at the end, whatever happens but SIGKILL. Discovery must not find it meanwhile, or a run would
ask it: its contract's label is emptied.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors
import docker.types

from orchestrator.check.service import Image
from orchestrator.endpoints.discovery.connection import Connection, connect
from orchestrator.endpoints.discovery.labels import CONTRACT_LABEL, PORT_LABEL, port_of
from orchestrator.endpoints.discovery.log_lines import log_lines
from orchestrator.endpoints.discovery.place import RefusalError, SourceError
from orchestrator.errors import EndpointError

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.images import Image as EngineImage

_PORT = 50051
"""Of an image without a label that says it, which will be told so."""
_ENGINE_SECONDS = 60
"""For one call: to make a container takes longer than to look at one."""
_LOG_LINES = 12
_PUBLISHED_SECONDS = 10.0
_POLL_SECONDS = 0.1
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which people, `timeout` and closed terminals end a check."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What an image needs to run."""

    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mounts: Sequence[tuple[Path, str]] = ()
    """(here, in the container), read-only."""
    gpus: bool = False


@contextlib.contextmanager
def engine() -> Iterator[Connection]:
    """Connect to the engine that the environment names, until the end of the block.

    Raises:
        EndpointError: there is none.
    """
    with _told("An image needs a Docker engine"):
        connection = connect(timeout_seconds=_ENGINE_SECONDS)
    with contextlib.closing(connection):
        yield connection


@contextlib.contextmanager
def _told(what: str, connection: Connection | None = None) -> Iterator[None]:
    """Say of the engine's errors in the block what could not be done."""
    try:
        with connection.explained() if connection else contextlib.nullcontext():
            yield
    except SourceError as error:
        raise EndpointError(f"{what}: {error.sentences()}") from None


@contextlib.contextmanager
def started(connection: Connection, name: str, options: ContainerOptions) -> Iterator[Started]:
    """Start a container of an image, and remove it at the end of the block.

    Raises:
        EndpointError: there is no such image, it cannot be started, or its container cannot be removed.
    """
    image = _image(connection, name)
    port = port_of(image.labels) or _PORT
    container_name = f"orchestrator-check-{uuid.uuid4().hex[:8]}"
    # A port that a distant engine published on its own loopback could not be reached.
    published = ("127.0.0.1", 0) if connection.host in _LOOPBACK else 0
    containers = connection.client.containers
    try:
        with _told(f"{name} cannot be started", connection):
            container = containers.create(
                image.id or name,
                list(options.arguments),
                name=container_name,
                labels={CONTRACT_LABEL: ""},
                environment=dict(options.environment),
                volumes=[f"{here.resolve()}:{there}:ro" for here, there in options.mounts],
                device_requests=[docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
                if options.gpus
                else [],
                ports={f"{port}/tcp": published},
                read_only=True,
                tmpfs={"/tmp": ""},  # noqa: S108 - in the container
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
            )
            container.start()
        yield Started(connection, container, name, port, image)
    finally:
        # By its name: a call that was broken off, too, may have made it.
        with (
            _undisturbed(),
            _told(f"the container {container_name} is left, as it cannot be removed", connection),
            contextlib.suppress(docker.errors.NotFound),
        ):
            connection.client.api.remove_container(container_name, force=True, v=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore signals that end a process. `timeout` sends its own twice, and people press Ctrl-C twice."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _image(connection: Connection, name: str) -> EngineImage:
    try:
        with connection.explained():
            return connection.client.images.get(name)
    except RefusalError as error:
        raise EndpointError(
            f"{name} is neither an address (host:port, unix:///path, dns:///name:port) nor an image that the "
            f"engine has: {error.sentences()} Build or pull it first."
        ) from None
    except SourceError as error:
        raise EndpointError(f"{name} cannot be looked for: {error.sentences()}") from None


class Started:
    """A container that runs; its SIGTERM is ours to send."""

    def __init__(
        self, connection: Connection, container: Container, name: str, port: int, image: EngineImage
    ) -> None:
        self._connection = connection
        self._container = container
        self._name = name
        self._port = port
        self.assumption = _assumption(image.labels)
        """What is done for want of a label, in a sentence; "" where nothing is."""
        config: Mapping[str, Any] = image.attrs["Config"]
        words = tuple((config.get("Healthcheck") or {}).get("Test") or ())
        self.image = Image(
            name,
            dict(image.labels),
            str(config.get("User") or ""),
            () if words == ("NONE",) else words,
            self._health,
        )

    def target(self) -> str:
        """Return the address at which it is published. It may take some seconds.

        Raises:
            EndpointError: it has exited before it had one, or the engine cannot be asked.
        """
        until = time.monotonic() + _PUBLISHED_SECONDS
        host = self._connection.host
        while time.monotonic() < until:
            state = self._state()
            if published := self._container.ports.get(f"{self._port}/tcp"):
                return f"{f'[{host}]' if ':' in host else host}:{published[0]['HostPort']}"
            if ended := _ended(state):
                raise EndpointError(f"{self._name}: {ended}.")
            time.sleep(0.05)
        raise EndpointError(f"{self._name}: the engine has published no port of its container.")

    def gone(self) -> str:
        """Return that the container has ended, with what code, or that nobody can tell; "" while it runs."""
        try:
            return _ended(self._state())
        except EndpointError as error:
            return str(error).removesuffix(".")

    def last_words(self) -> str:
        """Return the end of its log, indented, under a heading; "" if the engine does not give it."""
        try:
            with self._connection.explained():
                log = self._container.logs(tail=_LOG_LINES)
        except SourceError:
            return ""
        lines = [f"    {line}".rstrip() for line in log_lines(log)]
        return "\n".join(["Its container's last words:", *(lines or ["    (nothing)"])])

    def _health(self) -> str:
        return str((self._state().get("Health") or {}).get("Status", ""))

    def terminate(self) -> None:
        """Send SIGTERM, as `docker stop` does first; to one that has ended by itself, none.

        Raises:
            EndpointError: the engine cannot be asked.
        """
        try:
            with self._connection.explained():
                self._container.kill("SIGTERM")
        except RefusalError:  # it does not run
            return
        except SourceError as error:
            raise EndpointError(f"{self._name} cannot be stopped: {error.sentences()}") from None

    async def exited(self) -> int | None:
        """Wait for its end, and return its exit code; None if it is removed, or the engine ends first."""
        # Not the engine's own `wait`: nobody could break its thread off, and the loop's end would wait.
        try:
            while not _ended(state := await asyncio.to_thread(self._state)):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
        except EndpointError:
            return None
        return int(state["ExitCode"])

    def _state(self) -> Mapping[str, Any]:
        with _told(f"the container of {self._name}", self._connection):
            self._container.reload()
        state: Mapping[str, Any] = self._container.attrs["State"]
        return state


def _assumption(labels: Mapping[str, str]) -> str:
    if port_of(labels) is not None:
        return ""
    said = f"is {labels[PORT_LABEL]!r}, which is no port" if PORT_LABEL in labels else "is missing"
    return f"Its label {PORT_LABEL} {said}; {_PORT} is tried."


def _ended(state: Mapping[str, Any]) -> str:
    if state["Status"] not in ("exited", "dead"):
        return ""
    memory = " for lack of memory" if state.get("OOMKilled") else ""
    return f"its container has exited with code {state['ExitCode']}{memory}"
