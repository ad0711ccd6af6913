"""One promise after the other; those that only wait, beside the others.

A service that has died fails one promise and not all that follow: these are not tried.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence

from orchestrator.check import BrokenError, DoubtError, NotTriedError, Outcome, Promise, Result
from orchestrator.check.service import Service
from orchestrator.dispatch.faults import CallError, one_line

_REVIVAL_SECONDS = 5.0
"""For a service that does not answer to do so again."""


class Runner:
    """Tries promises with a service that is ready.

    Args:
        service: who is checked.
        begin: is told of each promise that begins, `end` of each result.
        end: see there.
    """

    def __init__(
        self, service: Service, begin: Callable[[Promise], None], end: Callable[[Result], None]
    ) -> None:
        self._service = service
        self._begin = begin
        self._end = end
        self._outcomes: dict[str, Outcome] = {}
        self._dead = ""
        """Why the rest is not tried: after which promise the service stopped answering."""

    async def run(self, promises: Sequence[Promise]) -> list[Result]:
        """Try all, and return their results in the same order."""
        beside = {
            promise: asyncio.create_task(self._try(promise))
            for promise in promises
            if promise.beside and not self._reason(promise)
        }
        try:
            return [await self._result(promise, beside.get(promise)) for promise in promises]
        finally:
            for task in beside.values():
                task.cancel()
            await asyncio.gather(*beside.values(), return_exceptions=True)

    async def _result(self, promise: Promise, task: asyncio.Task[Result] | None) -> Result:
        self._begin(promise)
        if reason := self._reason(promise):
            result = Result(promise, Outcome.NOT_TRIED, reason, 0.0)
        else:
            result = await (task or self._try(promise))
        self._outcomes[promise.id] = result.outcome
        if result.outcome is Outcome.FAILED and promise.group != "stopping" and not await self._revived():
            self._dead = f"the service does not answer since {promise.id!r}"
            result = await self._of_death(result)
        self._end(result)
        return result

    def _reason(self, promise: Promise) -> str:
        if promise.long and self._service.settings.quick:
            return "left out with --quick"
        failed = next((each for each in promise.needs if self._outcomes.get(each) is Outcome.FAILED), "")
        return self._dead or (f"it needs {failed!r}, which failed" if failed else "")

    async def _try(self, promise: Promise) -> Result:
        started = time.monotonic()

        def result(outcome: Outcome, detail: str, error: BrokenError | None = None) -> Result:
            seconds = time.monotonic() - started
            if error is None:
                return Result(promise, outcome, detail, seconds)
            return Result(promise, outcome, error.came, seconds, error.expected, error.advice)

        try:
            return result(Outcome.OK, await promise.check(self._service))
        except NotTriedError as reason:
            return result(Outcome.NOT_TRIED, str(reason))
        except DoubtError as error:
            return result(Outcome.WARNING, "", error)
        except BrokenError as error:
            return result(Outcome.FAILED, "", error)
        except CallError as error:
            broken = BrokenError("an answer to GetModel", str(error), "see the service's log")
            return result(Outcome.FAILED, "", broken)
        except Exception as error:  # nothing that a service may do shall cost the rest of the report
            came = f"the check itself broke: {type(error).__name__}: {one_line(str(error))}"
            advice = "this is a fault of the check, and perhaps one of the service too: report it"
            return result(Outcome.FAILED, "", BrokenError("what the check knows how to read", came, advice))

    async def _of_death(self, result: Result) -> Result:
        """Say that the service has died, and how: what its promise would have advised is beside the point."""
        process = self._service.process
        ended = await asyncio.to_thread(process.gone) if process is not None else ""
        return dataclasses.replace(
            result,
            expected="a service that goes on, whatever it is asked",
            detail=f"{ended or 'it does not answer any more'}, after: {result.detail}",
            advice="find out what ended it: "
            + ("its last words are below" if self._service.image else "see the service's log"),
        )

    async def _revived(self) -> bool:
        until = time.monotonic() + _REVIVAL_SECONDS
        while not await self._service.alive():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.2)
        return True
