"""All models at once, each at its own pace.

Each model walks through its own inspections, and takes the next one only when it has room: what is in
memory is bounded by what the replicas can have under way, however large the data set. Models share nothing
but the image cache and the recorder, so one that is slow, hangs or dies costs the others nothing. The same
holds for a fault of this program that one model's service brings out: it ends that model's part. Only what
the recorder and the plan raise ends the run, since it concerns everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.dispatch import ConnectedModel, Effort, Ending, Observer, Prompting, Recorder
from orchestrator.dispatch.asking import Asker
from orchestrator.dispatch.images import ImageCache
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.replicas import ModelOverError, Replicas
from orchestrator.dispatch.requests import next_questions
from orchestrator.hints.images import Hints
from orchestrator.vocabulary import Attempt, Inspection, ModelCard, Reply


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
    hints: Hints | None = None,
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
        hints: where the inspections' hints come from, if they show any.

    Raises:
        DiskFullError: from the recorder, as anything else that `recorder` or `inspections` raise; all
            calls under way are cancelled.
    """
    pace = pace or Pace()
    images = ImageCache(root, effort.image_cache_bytes, hints)
    parts = []
    for model in models:
        replicas = Replicas(model, effort, pace, observer)
        shared = _SharedRecorder(recorder)
        asker = Asker(model, replicas, images, prompting, effort, shared, observer, pace)
        parts.append(_Part(model, replicas, asker, shared))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run(inspections(part.model.card))) for part in parts]
            stopper = group.create_task(_stop_when_asked(stop, parts, pace.drain_seconds))
            if tasks:
                await asyncio.wait(tasks)
            stopper.cancel()
    except BaseExceptionGroup as errors:
        first = _first(errors)
        raise (first.error if isinstance(first, _SharedError) else first) from None
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
        self._stopped = False

    async def run(self, inspections: Iterator[Inspection]) -> Ending:
        """Put all the inspections.

        Raises:
            _SharedError: and nothing else: what concerns this model alone is the reason of its ending.
        """
        try:
            await self._run(inspections)
        except Exception as error:
            first = _first(error)
            if isinstance(first, _SharedError):
                raise first from None
            self._give_up(first)
        return Ending(self.model.name, self.replicas.over if self._cut_short else "")

    async def _run(self, inspections: Iterator[Inspection]) -> None:
        async with self.replicas, asyncio.TaskGroup() as group:
            for inspection in _taken(inspections):
                kept = self._recorder.kept(self.model.name, inspection)
                if not next_questions(inspection, kept, history=False):
                    await asyncio.sleep(0)  # thousands may be answered already: let the others work
                    if self._stopped:
                        self._cut_short = True
                        break
                    continue
                await self.replicas.room.take()
                if self.replicas.over:
                    self._cut_short = True
                    break
                task = group.create_task(self._ask(inspection, dict(kept)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _ask(self, inspection: Inspection, kept: dict[str, Reply]) -> None:
        try:
            await self._asker.ask(inspection, kept)
        except (ModelOverError, asyncio.CancelledError) as error:
            self._cut_short = True
            if isinstance(error, asyncio.CancelledError):
                raise
        except _SharedError:
            raise
        except Exception as error:
            self._give_up(error)
        finally:
            self.replicas.room.give_back()

    def _give_up(self, error: BaseException) -> None:
        self._cut_short = True
        self.replicas.end_by_fault(error)

    def stop(self) -> None:
        """Ask nothing new, nor look for it among what is answered already."""
        self._stopped = True
        self.replicas.end("stopped as asked")

    def abandon(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()


async def _stop_when_asked(stop: asyncio.Event, parts: Sequence[_Part], drain_seconds: float) -> None:
    await stop.wait()
    for part in parts:
        part.stop()
    await asyncio.sleep(drain_seconds)
    for part in parts:
        part.abandon()


def _first(error: BaseException) -> BaseException:
    """Return, of a group, the error that concerns everybody, or else the one that came first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_first(one) for one in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, _SharedError)), leaves[0])


class _SharedError(Exception):
    """What the recorder or the plan has raised, which concerns everybody."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def _shared() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _SharedError(error) from error


def _taken(inspections: Iterator[Inspection]) -> Iterator[Inspection]:
    with _shared():
        yield from inspections


class _SharedRecorder:
    """The recorder, whose errors can be told from those of a model's part."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def kept(self, model: str, inspection: Inspection) -> Mapping[str, Reply]:
        with _shared():
            return self._recorder.kept(model, inspection)

    async def keep(self, model: str, inspection: Inspection, reply: Reply) -> None:
        with _shared():
            await self._recorder.keep(model, inspection, reply)

    def attempting(self, attempt: Attempt) -> None:
        with _shared():
            self._recorder.attempting(attempt)

    async def attempted(self, attempt: Attempt) -> None:
        with _shared():
            await self._recorder.attempted(attempt)
