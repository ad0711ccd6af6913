"""`orchestrator check` in one call: what is to be checked, started if need be, and all promises about it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import time
from collections.abc import Iterator, Sequence

from orchestrator.check import Outcome, Promise, Result, Settings
from orchestrator.check.container import ENDING, ContainerOptions, engine, started
from orchestrator.check.load import most_inspections
from orchestrator.check.local_process import LocalProcess
from orchestrator.check.registry import all_promises
from orchestrator.check.runner import Runner
from orchestrator.check.screen import CheckScreen
from orchestrator.check.service import Image, Process, Service
from orchestrator.check.startup import become_ready
from orchestrator.dispatch import DirectoryError
from orchestrator.dispatch.faults import one_line
from orchestrator.endpoints.arguments import make_endpoint
from orchestrator.endpoints.dns import resolve
from orchestrator.errors import EndpointError, Interrupted
from orchestrator.loop import run_loop
from orchestrator.vocabulary import Endpoint

_IMAGE_PREFIX = "image:"
_ONE_BY_ONE = 30
"""Inspections of all groups but `load`, at most: one or two for a promise, and what SIGTERM meets."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a check has found."""

    checked: str
    model: str
    """What the service calls itself."""
    results: tuple[Result, ...]
    inspections: int
    questions: int
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether a promise does not hold."""
        return any(result.outcome is Outcome.FAILED for result in self.results)

    def json_text(self) -> str:
        """Return it for programs."""
        return json.dumps(
            {
                "checked": self.checked,
                "model": self.model,
                "failed": self.failed,
                "inspections": self.inspections,
                "questions": self.questions,
                "seconds": round(self.seconds, 3),
                "promises": [
                    {
                        "id": result.promise.id,
                        "group": result.promise.group,
                        "title": result.promise.title,
                        "outcome": result.outcome.value,
                        "detail": result.detail,
                        "expected": result.expected,
                        "advice": result.advice,
                        "seconds": round(result.seconds, 3),
                    }
                    for result in self.results
                ],
            },
            indent=1,
        )


def parse_target(text: str) -> Endpoint | str:
    """Tell an address from an image's name: `image:` before a name says what it is.

    Returns:
        The endpoint, or the image's name.

    Raises:
        EndpointError: it is neither.
    """
    if text.startswith(_IMAGE_PREFIX):
        if name := text.removeprefix(_IMAGE_PREFIX):
            return name
        raise EndpointError("image: and no name: which image?")
    try:
        return make_endpoint("check", text, "the command line", "")
    except EndpointError:
        if "://" in text or text.startswith("unix:"):
            raise
        return text


async def check_service(
    service: Service,
    screen: CheckScreen,
    *,
    promises: Sequence[Promise] | None = None,
) -> Report:
    """Wait for a service to be ready, and try the promises (all of them, unless told otherwise) with it.

    Raises:
        EndpointError: it did not get ready.
    """
    started = time.monotonic()
    await become_ready(service, screen.note)
    most = _ONE_BY_ONE + most_inspections(service)
    screen.note(
        f"{one_line(service.card.name)} at {service.endpoint.target}: it is asked at most {most:,} "
        "inspections (which the provider of a remote model bills)."
    )
    with screen.live():
        runner = Runner(service, screen.begin, screen.end)
        results = await runner.run(all_promises() if promises is None else promises)
    report = Report(
        service.checked,
        service.card.name,
        tuple(results),
        service.inspections,
        service.questions,
        time.monotonic() - started,
    )
    if report.failed and service.process is not None:
        # Before the container, and with it its log, is removed.
        screen.last_words(await asyncio.to_thread(service.process.last_words))
    screen.verdict(results, report.inspections, report.questions, report.seconds)
    return report


def check_address(endpoint: Endpoint, settings: Settings, screen: CheckScreen, pid: int | None) -> Report:
    """Check a service that runs already; with its process number, also how it stops.

    Raises:
        EndpointError: it does not answer as a service does, or is not ready in time.
    """
    with contextlib.ExitStack() as stack:
        process = None
        if pid is not None:
            process = LocalProcess(pid)
            stack.callback(process.close)
        return run_loop(_check(endpoint, settings, screen, process))


def check_image(name: str, options: ContainerOptions, settings: Settings, screen: CheckScreen) -> Report:
    """Start a container of the image, check it, and remove it.

    Raises:
        EndpointError: there is no engine or no such image, or it does not come up.
    """
    with engine() as connection, _ending_like_ctrl_c(), started(connection, name, options) as container:
        screen.note(f"Started {name}; its container is removed at the end.")
        if container.assumption:
            screen.note(container.assumption)
        try:
            endpoint = Endpoint("check", container.target(), name)
            return run_loop(_check(endpoint, settings, screen, container, container.image))
        except EndpointError as error:
            raise EndpointError(f"{error}\n{container.last_words()}".rstrip()) from None
        except KeyboardInterrupt:
            raise Interrupted("Stopped; the container is removed.") from None


async def _check(
    endpoint: Endpoint,
    settings: Settings,
    screen: CheckScreen,
    process: Process | None,
    image: Image | None = None,
) -> Report:
    service = Service(await _one_address(endpoint, screen), settings, process, image)
    try:
        return await check_service(service, screen)
    finally:
        await service.close()


async def _one_address(endpoint: Endpoint, screen: CheckScreen) -> Endpoint:
    """Look a name up once: gRPC would, for each connection anew, and meet another replica each time."""
    try:
        first, *others = await asyncio.to_thread(resolve, endpoint)
    except DirectoryError as error:
        raise EndpointError(f"{endpoint.target}: {error}.") from None
    if others:
        screen.note(f"{endpoint.target} has {1 + len(others)} addresses; {first.target} is checked.")
    return first


@contextlib.contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a terminal that is closed, too, end the block in good order: the container must go."""
    heeded = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, signal.default_int_handler) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
