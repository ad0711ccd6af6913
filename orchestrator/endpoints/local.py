"""Services of this checkout as child processes: started for a run, and ended whatever happens.

Each prints one line with its address on stdout, and its log goes to a file. They are in process groups of
their own, so that Ctrl-C reaches the orchestrator alone, which drains and then ends them. If the
orchestrator is killed, they see their parent gone and end by themselves (`--exit-with-parent`). What a
service has started itself is ended with it: whatever is left of its group when it exits is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import CallError, one_line
from orchestrator.dispatch.pace import Pace
from orchestrator.endpoints.arguments import LocalService
from orchestrator.endpoints.checkout import find_checkout, interpreter, service_folder
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint

_ADDRESS = re.compile(r"listening on (\S+)\s*$")
_POLL_SECONDS = 0.1
_CLOSE_SECONDS = 2.0
"""For stdout to close after the group's end; a daemon that has left the group may hold it."""
START_SECONDS = 30.0
"""What a service gets to come up, however little the user would wait: it begins from nothing."""


@dataclasses.dataclass(slots=True)
class _Child:
    name: str
    process: asyncio.subprocess.Process
    log: Path
    ended: asyncio.Task[None]
    """Is done when neither the service nor anything that it has started is there any more."""
    drain: asyncio.Task[None] | None = None
    """Reads on after the address, so that a service that prints more does not block."""


class LocalServices:
    """An async context manager that gives the endpoints of the services that it has started.

    Args:
        services: what to start, one process each.
        log_folder: gets one file for each service, NAME.log; made when needed.
        wait_seconds: how long a service may take until it is ready; `start_seconds` if that is longer.
        on_wait: is given a line for people when what a service says of its loading changes.
        checkout: the folder that holds `services/`; found when left out.
        grace_seconds: from SIGTERM to SIGKILL.

    Raises (on entry):
        EndpointError: one line for each service that is unknown, cannot be run, or did not get ready. Those
            that had started are ended.
    """

    def __init__(
        self,
        services: Sequence[LocalService],
        log_folder: Path,
        wait_seconds: float,
        on_wait: Callable[[str], None],
        *,
        checkout: Path | None = None,
        grace_seconds: float = 10.0,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._services = services
        self._log_folder = log_folder
        self._wait_seconds = max(wait_seconds, start_seconds)
        self._on_wait = on_wait
        self._checkout = checkout
        self._grace_seconds = grace_seconds
        self._children: list[_Child] = []

    @property
    def process_ids(self) -> dict[str, int]:
        """The process of each service, by name."""
        return {child.name: child.process.pid for child in self._children}

    async def __aenter__(self) -> list[Endpoint]:
        if not self._services:
            return []
        commands = self._commands(self._checkout or find_checkout())
        try:
            async with asyncio.TaskGroup() as group:
                starting = [
                    group.create_task(self._start(name, command)) for name, command in commands.items()
                ]
        except BaseExceptionGroup as errors:
            await self._end()
            known, bugs = errors.split(EndpointError)
            if bugs is not None or known is None:
                raise
            raise EndpointError("\n".join(str(error) for error in known.exceptions)) from None
        except BaseException:
            await self._end()
            raise
        return [task.result() for task in starting]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    def _commands(self, checkout: Path) -> dict[str, list[str]]:
        commands: dict[str, list[str]] = {}
        problems = []
        for each in self._services:
            try:
                folder = service_folder(checkout, each.service)
                python = interpreter(folder)
            except EndpointError as error:
                problems.append(str(error))
            else:
                commands[each.name] = [
                    *(python, "-P", "-m", "mmad_answer", "serve", str(folder), *each.options),
                    *("--host", "127.0.0.1", "--port", "0", f"--exit-with-parent={os.getpid()}"),
                ]
        if problems:
            raise EndpointError("\n".join(problems))
        return commands

    async def _start(self, name: str, command: Sequence[str]) -> Endpoint:
        log = self._log_folder / f"{name}.log"
        try:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as stderr:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    start_new_session=True,
                )
        except OSError as error:
            raise EndpointError(f"--local {name}: it cannot be started: {error}") from None
        child = _Child(name, process, log, asyncio.create_task(_end_with_group(process)))
        self._children.append(child)
        try:
            async with asyncio.timeout(self._wait_seconds):
                endpoint = Endpoint(name, await self._address(child), f"--local {name}")
                await self._ready(child, endpoint)
                return endpoint
        except TimeoutError:
            raise EndpointError(
                f"--local {name}: not ready after {self._wait_seconds:g} s. Its log: {log}"
            ) from None

    async def _address(self, child: _Child) -> str:
        stdout = child.process.stdout
        assert stdout is not None  # noqa: S101 - it was asked for as a pipe
        while line := await stdout.readline():
            if match := _ADDRESS.search(line.decode(errors="replace")):
                child.drain = asyncio.create_task(_read_on(stdout))
                return match[1]
        raise await self._failed_start(child)

    async def _ready(self, child: _Child, endpoint: Endpoint) -> None:
        client = Client(endpoint, Pace())
        said = ""
        try:
            while child.process.returncode is None:
                with contextlib.suppress(CallError):
                    card = await client.get_model(self._wait_seconds)
                    if card.state == "ready":
                        return
                    if card.state_detail != said:
                        said = card.state_detail
                        self._on_wait(f"{child.name}: {said}")
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await client.close()
        raise await self._failed_start(child)

    @staticmethod
    async def _failed_start(child: _Child) -> EndpointError:
        code = await child.process.wait()
        lines = child.log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return EndpointError(
            f"--local {child.name}: it did not start (exit {code}): {one_line(last)}. Its log: {child.log}"
        )

    async def _end(self) -> None:
        """End every child, politely at first. Runs to its end even when it is cancelled meanwhile."""
        ending = asyncio.gather(*(self._end_one(child) for child in self._children))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            for child in self._children:
                if child.process.returncode is None:
                    _kill_group(child.process.pid)
            await ending
            raise

    async def _end_one(self, child: _Child) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.process.terminate()
        done, _ = await asyncio.wait([child.ended], timeout=self._grace_seconds)
        if not done:
            _kill_group(child.process.pid)
            await child.ended
        if child.drain is not None:
            child.drain.cancel()


async def _read_on(stdout: asyncio.StreamReader) -> None:
    while await stdout.read(65536):
        pass


async def _end_with_group(process: asyncio.subprocess.Process) -> None:
    """Wait for the process to exit, then kill at once what is left of its group.

    Later its number may be another's. `Process.wait` would not do: it waits for the end of stdout, too, which
    a child that has inherited it holds open.
    """
    closed = asyncio.create_task(process.wait())
    try:
        while process.returncode is None:  # noqa: ASYNC110 - see above
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        _kill_group(process.pid)  # and the process, if it is the event loop that ends
    await asyncio.wait([closed], timeout=_CLOSE_SECONDS)
    closed.cancel()


def _kill_group(process_id: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)
