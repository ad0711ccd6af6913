"""An image that is to be checked, in a container of its own, as hardened as compose.yaml runs it.

It is removed at the end, whatever happens but SIGKILL. Discovery must not find it meanwhile, or a run would
ask it: its contract's label is emptied.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import docker.errors
import docker.types
import requests.exceptions

from orchestrator.check.service import Image
from orchestrator.dispatch.faults import printable
from orchestrator.endpoints.discovery.containers import PORT_LABEL
from orchestrator.endpoints.discovery.engine import CONTRACT_LABEL
from orchestrator.errors import EndpointError

if TYPE_CHECKING:
    from docker.models.containers import Container

_PORT = "50051"
"""Of an image without the label, which will be told so."""
_LOG_LINES = 12
_PUBLISHED_SECONDS = 10.0
_POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What an image needs to run."""

    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mounts: Sequence[tuple[Path, str]] = ()
    """(here, in the container), read-only."""
    gpus: bool = False


def engine() -> docker.DockerClient:
    """Return a connection to the engine that the environment names.

    Raises:
        EndpointError: there is none.
    """
    try:
        client = docker.from_env()
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise EndpointError(
            f"No Docker engine answers, and an image needs one: {error}. Is it running, may you use it, "
            "is DOCKER_HOST right?"
        ) from None
    return client


@contextlib.contextmanager
def started(client: docker.DockerClient, name: str, options: ContainerOptions) -> Iterator[Started]:
    """Start a container of an image, and remove it at the end of the block.

    Raises:
        EndpointError: there is no such image, or it cannot be started.
    """
    try:
        image = client.images.get(name)
    except docker.errors.ImageNotFound:
        raise EndpointError(
            f"{name} is neither an address (host:port, unix:///path, dns:///name:port) nor an image that "
            "the engine has. Build or pull it first."
        ) from None
    labels: dict[str, str] = image.labels
    port = labels.get(PORT_LABEL, _PORT)
    container = None
    try:
        try:
            container = client.containers.create(
                image.id or name,
                list(options.arguments),
                name=f"orchestrator-check-{uuid.uuid4().hex[:8]}",
                labels={CONTRACT_LABEL: ""},
                environment=dict(options.environment),
                volumes=[f"{here.resolve()}:{there}:ro" for here, there in options.mounts],
                device_requests=[docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
                if options.gpus
                else [],
                ports={f"{port}/tcp": ("127.0.0.1", 0)},
                read_only=True,
                tmpfs={"/tmp": ""},  # noqa: S108 - in the container
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
            )
            container.start()
        except docker.errors.APIError as error:
            raise EndpointError(f"{name} cannot be started: {error.explanation or error}") from None
        yield Started(container, name, port, image.attrs["Config"], labels)
    finally:
        if container is not None:
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)


class Started:
    """A container that runs; its SIGTERM is ours to send."""

    def __init__(
        self,
        container: Container,
        name: str,
        port: str,
        config: Mapping[str, object],
        labels: Mapping[str, str],
    ) -> None:
        self._container = container
        self._name = name
        self._port = port
        check = config.get("Healthcheck") or {}
        assert isinstance(check, Mapping)  # noqa: S101 - the engine's own form
        words = tuple(check.get("Test") or ())
        self.image = Image(
            name,
            dict(labels),
            str(config.get("User") or ""),
            () if words == ("NONE",) else words,
            self._health,
        )

    def target(self) -> str:
        """Return the address at which it is published.

        Raises:
            EndpointError: it has exited before it had one.
        """
        until = time.monotonic() + _PUBLISHED_SECONDS
        while time.monotonic() < until:
            self._container.reload()
            if published := self._container.ports.get(f"{self._port}/tcp"):
                return f"127.0.0.1:{published[0]['HostPort']}"
            if reason := self.gone():
                raise EndpointError(reason)
            time.sleep(0.05)
        raise EndpointError(f"{self._name}: the engine has published no port of its container.")

    def gone(self) -> str:
        """Return why the container does not run any more, with its last words; "" if it does."""
        self._container.reload()
        if self._container.status not in ("exited", "dead"):
            return ""
        code = self._container.attrs["State"]["ExitCode"]
        return (
            f"{self._name}: its container has exited with code {code}. Its last words:\n{self.last_lines()}"
        )

    def last_lines(self) -> str:
        """Return the end of its log, indented."""
        text = self._container.logs(tail=_LOG_LINES).decode("utf-8", "replace")
        lines = [f"    {printable(line)}".rstrip() for line in text.splitlines()]
        return "\n".join(lines) if lines else "    (nothing)"

    def _health(self) -> str:
        self._container.reload()
        return str(self._container.attrs["State"].get("Health", {}).get("Status", ""))

    def terminate(self) -> None:
        """Send SIGTERM, as `docker stop` does first."""
        self._container.kill("SIGTERM")

    async def exited(self) -> int | None:
        """Wait for its end, and return its exit code."""
        # Not the engine's own `wait`: nobody could break its thread off, and the loop's end would wait.
        while not await asyncio.to_thread(self.gone):  # noqa: ASYNC110 - see above
            await asyncio.sleep(_POLL_SECONDS)
        return int(self._container.attrs["State"]["ExitCode"])
