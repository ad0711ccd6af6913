"""All models at once, each at its own pace.

Each model walks through its own inspections, and takes the next one only when it has room: what is in
memory is bounded by what the replicas can have under way, however large the data set. Models share nothing
but the image cache and the recorder, so one that is slow, hangs or dies costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator.dispatch import ConnectedModel, Effort, Ending, Observer, Prompting, Recorder
from orchestrator.dispatch.asking import Asker
from orchestrator.dispatch.images import ImageCache
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.replicas import ModelOverError, Replicas
from orchestrator.dispatch.requests import next_questions
from orchestrator.vocabulary import Inspection, ModelCard, Reply


async def fan_out(
    root: Path,
    inspections: Callable[[ModelCard], Iterator[Inspection]],
    models: Sequence[ConnectedModel],
    prompting: Prompting,
    effort: Effort,
    recorder: Recorder,
    observer: Observer,
    stop: asyncio.Event,
    pace: Pace | None = None,
) -> list[Ending]:
    """Put each model's inspections to it, and return how each model's part ended, in the models' order.

    Args:
        root: the data set's folder; the inspections' image paths are relative to it.
        inspections: yields, lazily and in a fixed order, the inspections as such a model takes them.
        models: who is asked.
        prompting: how questions are put.
        effort: how hard to work.
        recorder: says what is answered already, and keeps what comes.
        observer: is told how the models are doing.
        stop: once it is set nothing new is asked; what is under way may finish for `pace.drain_seconds`.
        pace: the intervals; the defaults when left out.

    Raises:
        JournalFullError: from the recorder, as anything else that `recorder` or `inspections` raise; all
            calls under way are cancelled.
    """
    pace = pace or Pace()
    images = ImageCache(root, effort.image_cache_bytes)
    parts = []
    for model in models:
        replicas = Replicas(model, effort, pace, observer)
        asker = Asker(model, replicas, images, prompting, effort, recorder, pace)
        parts.append(_Part(model, replicas, asker, recorder))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run(inspections(part.model.card))) for part in parts]
            stopper = group.create_task(_stop_when_asked(stop, parts, pace.drain_seconds))
            if tasks:
                await asyncio.wait(tasks)
            stopper.cancel()
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


class _Part:
    """One model's part of the run."""

    def __init__(self, model: ConnectedModel, replicas: Replicas, asker: Asker, recorder: Recorder) -> None:
        self.model = model
        self.replicas = replicas
        self._asker = asker
        self._recorder = recorder
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut_short = False

    async def run(self, inspections: Iterator[Inspection]) -> Ending:
        async with self.replicas, asyncio.TaskGroup() as group:
            room = asyncio.Semaphore(self.replicas.capacity)
            for inspection in inspections:
                kept = self._recorder.kept(self.model.name, inspection)
                if not next_questions(inspection, kept, history=False):
                    await asyncio.sleep(0)  # thousands may be answered already: let the others work
                    continue
                await room.acquire()
                if self.replicas.over:
                    self._cut_short = True
                    break
                task = group.create_task(self._ask(inspection, dict(kept), room))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return Ending(self.model.name, self.replicas.over if self._cut_short else "")

    async def _ask(self, inspection: Inspection, kept: dict[str, Reply], room: asyncio.Semaphore) -> None:
        try:
            await self._asker.ask(inspection, kept)
        except (ModelOverError, asyncio.CancelledError) as error:
            self._cut_short = True
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            room.release()

    def abandon(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()


async def _stop_when_asked(stop: asyncio.Event, parts: Sequence[_Part], drain_seconds: float) -> None:
    await stop.wait()
    for part in parts:
        part.replicas.end("stopped as asked")
    await asyncio.sleep(drain_seconds)
    for part in parts:
        part.abandon()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that came first: the others are what it set off."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
