"""`orchestrator check` in one call: what is to be checked, started if need be, and all promises about it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from orchestrator.check import Outcome, Promise, Result, Settings
from orchestrator.check.container import ContainerOptions, Started, engine, started
from orchestrator.check.local_process import LocalProcess
from orchestrator.check.registry import all_promises
from orchestrator.check.runner import Runner
from orchestrator.check.screen import CheckScreen
from orchestrator.check.service import Process, Service
from orchestrator.check.startup import become_ready
from orchestrator.endpoints.arguments import make_endpoint
from orchestrator.errors import EndpointError, Interrupted
from orchestrator.loop import run_loop
from orchestrator.vocabulary import Endpoint

_IMAGE_PREFIX = "image:"


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
    """
    if text.startswith(_IMAGE_PREFIX):
        return text.removeprefix(_IMAGE_PREFIX)
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
    gone: Callable[[], str] = lambda: "",
) -> Report:
    """Wait for a service to be ready, and try the promises (all of them, unless told otherwise) with it.

    Raises:
        EndpointError: it did not get ready.
    """
    started = time.monotonic()
    await become_ready(service, gone, screen.note)
    screen.note(
        f"{service.card.name} at {service.endpoint.target}: it is asked about {_about(service)} inspections "
        "(which the provider of a remote model bills)."
    )
    with screen.live():
        runner = Runner(service, screen.begin, screen.end)
        results = await runner.run(all_promises() if promises is None else promises)
    report = Report(
        service.image.name if service.image else service.endpoint.target,
        service.card.name,
        tuple(results),
        service.inspections,
        service.questions,
        time.monotonic() - started,
    )
    screen.verdict(results, report.inspections, report.questions, report.seconds)
    return report


def _about(service: Service) -> int:
    """Roughly how many inspections are answered: one or two for most promises, and as many as fit, thrice."""
    return 30 + 3 * min(service.card.limits.max_in_flight, 64)


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
    client = engine()
    with contextlib.closing(client), _ending_like_ctrl_c(), started(client, name, options) as container:
        screen.note(f"Started {name}; its container is removed at the end.")
        try:
            endpoint = Endpoint("check", container.target(), name)
            return run_loop(_check(endpoint, settings, screen, container))
        except EndpointError as error:
            if "last words" in str(error):
                raise
            raise EndpointError(f"{error}\nIts container's last words:\n{container.last_lines()}") from None
        except KeyboardInterrupt:
            raise Interrupted("Stopped; the container is removed.") from None


async def _check(
    endpoint: Endpoint, settings: Settings, screen: CheckScreen, process: Process | None
) -> Report:
    container = process if isinstance(process, Started) else None
    service = Service(endpoint, settings, process, container.image if container else None)
    try:
        return await check_service(service, screen, gone=container.gone if container else lambda: "")
    finally:
        await service.close()


@contextlib.contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a terminal that is closed, too, end the block in good order: the container must go."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
