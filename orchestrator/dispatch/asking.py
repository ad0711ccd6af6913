"""One inspection put to one model, until each of its questions has a reply that is kept.

A reply is kept the moment it arrives, so a broken stream costs only the questions that had none yet. Images
are held no longer than an attempt: a second attempt reads them again, mostly from the cache, so that memory
is bounded by what is under way and not by what waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import tenacity

from orchestrator.dispatch import ConnectedModel, Effort, Observer, Prompting, Recorder
from orchestrator.dispatch.call import Call
from orchestrator.dispatch.faults import CallError, Verdict, one_line
from orchestrator.dispatch.images import ImageCache
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.replica import Replica
from orchestrator.dispatch.replicas import ModelOverError, Replicas
from orchestrator.dispatch.requests import UnsentError, megabytes, name, next_questions, serialised
from orchestrator.vocabulary import UNFINISHED, AskedQuestion, Attempt, Inspection, Reply

_IMAGE_FIELD = re.compile(r"images\[(\d+)\]")


@dataclasses.dataclass(slots=True)
class _Progress:
    """Where one inspection stands."""

    inspection: Inspection
    replies: dict[str, Reply]
    answered: set[str] = dataclasses.field(default_factory=set)
    """Questions that got a reply in this session."""
    broken: dict[str, str] = dataclasses.field(default_factory=dict)
    """Those of them that failed by the service's own fault, and how."""
    attempts: int = 0
    strays: int = 0
    """Calls since the last reply that broke at replicas which had gone by then."""
    incomplete: int = 0
    """Streams that ended well, but left questions out."""
    request_bytes: int = 0
    last: Replica | None = None


class Asker:
    """Puts inspections to one model. Any number of `ask` may run at once."""

    def __init__(
        self,
        model: ConnectedModel,
        replicas: Replicas,
        images: ImageCache,
        prompting: Prompting,
        effort: Effort,
        recorder: Recorder,
        observer: Observer,
        pace: Pace,
    ) -> None:
        self._model = model
        self._replicas = replicas
        self._images = images
        self._prompting = prompting
        self._effort = effort
        self._recorder = recorder
        self._observer = observer
        self._pace = pace
        self._broken: list[tuple[str, str]] = []
        """(data set, product) of each inspection that came to nothing since the last answer."""
        self._told_of_oddities = False

    async def ask(self, inspection: Inspection, kept: Mapping[str, Reply]) -> None:
        """Put every question that has no reply in `kept`, and keep a reply to each, if only a failure.

        Raises:
            ModelOverError: nothing more is asked of this model; questions without a reply stay missing.
        """
        progress = _Progress(inspection, dict(kept))
        try:
            await self._insist(progress)
        except UnsentError as error:
            await self._fail(progress, str(error))
        except CallError as error:
            failure = self._explain(progress, error)
            await self._fail(progress, failure)
            if error.verdict is not Verdict.REFUSED:
                self._count_broken(inspection, failure)
        else:
            if progress.broken and progress.answered == progress.broken.keys():
                self._count_broken(inspection, next(reversed(progress.broken.values())))

    async def _insist(self, progress: _Progress) -> None:
        """Call until each question has a reply. Attempts are counted anew after each that brought one."""
        while questions := next_questions(progress.inspection, progress.replies, self._prompting.history):
            progress.strays = 0
            attempts = tenacity.AsyncRetrying(
                stop=tenacity.stop_after_attempt(self._effort.attempts),
                wait=self._pace.backoff(),
                retry=tenacity.retry_if_exception(
                    lambda error: isinstance(error, CallError) and error.verdict is Verdict.AGAIN
                ),
                sleep=self._replicas.pause,
                reraise=True,
            )
            async for attempt in attempts:
                with attempt:
                    while not await self._attempt(progress, questions):
                        pass  # the next slot waits as long as the replica wants to be left alone

    async def _attempt(self, progress: _Progress, questions: Sequence[AskedQuestion]) -> bool:
        """Make one call. Return whether it brought a reply; False, without an error: it does not count."""
        answered = len(progress.answered)
        async with self._replicas.slot(avoid=progress.last) as replica:
            era = replica.limit.era
            try:
                call = await self._call(progress, questions, replica)
            except CallError as error:
                if error.verdict is Verdict.MODEL:
                    self._replicas.end(f"{replica.endpoint.target} says {error}")
                    raise ModelOverError from None
                if error.verdict in (Verdict.AGAIN, Verdict.LATER):
                    self._replicas.failed(replica, era, error, progress.inspection.inspection_id)
                    if self._replicas.over:
                        raise ModelOverError from None
                    came = len(progress.answered) > answered
                    if came or error.verdict is Verdict.LATER or self._excused(progress, replica):
                        return came
                elif error.verdict is Verdict.BROKEN:
                    self._replicas.broke(replica, str(error))
                raise
            if call.answered == call.broken.keys():
                self._replicas.broke(replica, next(reversed(call.broken.values())))
            else:
                self._replicas.succeeded(replica)
        return True

    def _excused(self, progress: _Progress, replica: Replica) -> bool:
        """Whether a passing fault is the replica's, which has gone, and not that of the inspection."""
        progress.strays += replica.gone
        return replica.gone and progress.strays <= self._effort.attempts

    async def _call(self, progress: _Progress, questions: Sequence[AskedQuestion], replica: Replica) -> Call:
        async def keep(reply: Reply) -> None:
            await self._keep(progress, reply)
            self._replicas.answered(replica)
            if not reply.failure:
                self._broken.clear()

        progress.attempts += 1
        progress.last = replica
        call = Call([question.question_id for question in questions])
        async with self._recorded(progress, call, replica.endpoint.target):
            request = await serialised(
                progress.inspection,
                questions,
                progress.replies,
                self._prompting,
                self._images,
                self._model.card.max_request_bytes,
            )
            progress.request_bytes = len(request)
            try:
                await call.make(replica.client, request, self._effort.timeout_seconds, keep)
            finally:
                progress.answered |= call.answered
                progress.broken |= call.broken
            if missing := call.missing():
                progress.incomplete += 1
                again = progress.incomplete <= self._pace.incomplete_streams
                raise CallError(Verdict.AGAIN if again else Verdict.BROKEN, "OK", missing)
        return call

    @contextlib.asynccontextmanager
    async def _recorded(self, progress: _Progress, call: Call, target: str) -> AsyncIterator[None]:
        """Record an attempt as it begins, and once more as it ends, however that is."""
        started_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        started = time.monotonic()
        begun = Attempt(
            model=self._model.name,
            inspection_id=progress.inspection.inspection_id,
            target=target,
            number=progress.attempts,
            started_at=started_at,
            seconds=0.0,
            code=UNFINISHED,
            detail="",
            asked=len(call.asked),
            answered=0,
            request_bytes=0,
        )
        self._recorder.attempting(begun)
        code, detail = "OK", ""
        try:
            yield
        except (CallError, UnsentError) as error:
            code, detail = error.code, error.detail
            raise
        except asyncio.CancelledError:
            code, detail = "CANCELLED", "stopped while under way"
            raise
        except Exception as error:
            code, detail = "INTERNAL", one_line(str(error))
            raise
        finally:
            if call.oddities:
                self._tell_of(call.oddities[0], target)
            ended = dataclasses.replace(
                begun,
                seconds=time.monotonic() - started,
                code=code,
                detail=one_line("; ".join(part for part in (detail, *call.oddities) if part)),
                answered=len(call.answered),
                request_bytes=call.request_bytes,
            )
            await self._recorder.attempted(ended)

    async def _keep(self, progress: _Progress, reply: Reply) -> None:
        await self._recorder.keep(self._model.name, progress.inspection, reply)
        progress.replies[reply.question_id] = reply

    async def _fail(self, progress: _Progress, failure: str) -> None:
        for question in progress.inspection.questions:
            if question.question_id not in progress.replies:
                await self._keep(progress, Reply(question.question_id, failure=failure))

    def _explain(self, progress: _Progress, error: CallError) -> str:
        if error.code == "OK":
            return f"the service broke the contract: {error.detail}"
        if error.verdict is Verdict.AGAIN:
            number = self._effort.attempts
            return f"gave up after {number} attempt{'s' if number > 1 else ''}: {error}"
        if error.verdict is Verdict.BROKEN:
            return f"the service failed: {error}"
        if error.code == "RESOURCE_EXHAUSTED":
            return f"too large for the service: {megabytes(progress.request_bytes)}: {error}"
        if not error.violations:
            return f"the service refused the request: {error}"
        images = progress.inspection.images
        parts = []
        for field, description in error.violations:
            match = _IMAGE_FIELD.match(field)
            index = int(match[1]) if match else len(images)
            parts.append(f"{name(images[index]) if index < len(images) else field}: {description}")
        return f"the service refused the request: {error.code}: {'; '.join(parts)}"

    def _count_broken(self, inspection: Inspection, failure: str) -> None:
        self._broken.append((inspection.sample.dataset, inspection.sample.product))
        # A product's images come together, and may have in common what the model cannot take: only a row that
        # goes on into the next product says that the service is broken.
        if len(self._broken) >= self._pace.broken_in_a_row and len(set(self._broken)) > 1:
            self._replicas.end(f"{len(self._broken)} inspections in a row failed, the last: {failure}")

    def _tell_of(self, oddity: str, target: str) -> None:
        if not self._told_of_oddities:
            self._told_of_oddities = True
            self._observer.note(
                self._model.name, one_line(f"{target} broke the contract (told once): {oddity}")
            )
