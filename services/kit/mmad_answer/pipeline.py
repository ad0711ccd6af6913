"""The way of an inspection through the service: a place, its turn, decoding, a batch, its replies.

Each call walks this way itself, as one coroutine, and gRPC cancels that coroutine when its caller cancels or
its deadline passes: leaving, at any step, means leaving the queue. Turns are taken in the order of arrival,
and there are as many as the workers hold plus one batch: the next batch is decoded while the model works, and
a long queue holds encoded files only. Besides, pictures wait for room in one budget of bytes. What has
reached the model keeps its turn, its place and its room until its batch ends, though nobody may wait any
more: its pixels are still there.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import convert, images
from mmad_answer.admission import Admission
from mmad_answer.answering import answer_batch
from mmad_answer.batching import Batcher
from mmad_answer.budget import ByteBudget
from mmad_answer.model import Image, Inspection, Model, Reply, WholeCallError
from mmad_answer.observing import Observer
from mmad_answer.preparation import PixelCache, prepare
from mmad_answer.refusal import RefusalError, by_model, lost


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    """A decoded inspection on its way to the model, and the replies that its caller has not taken yet."""

    inspection: Inspection
    arrived: float
    decode_seconds: float
    queued: contextlib.ExitStack
    """Closed when its batch begins."""
    replies: asyncio.Queue[pb.AnswerResponse | RefusalError | None] = dataclasses.field(
        default_factory=asyncio.Queue
    )
    """None after the last one, which may be long before the batch ends."""


class Pipeline:
    """All inspections under way in this process. Belongs to one event loop."""

    def __init__(
        self,
        model: Model[Any],
        *,
        max_queue: int,
        batch_size: int,
        batch_wait_seconds: float,
        image_cache_bytes: int,
        pixel_bytes: int,
        observer: Observer,
    ) -> None:
        workers = model.workers
        self.admission = Admission(max_queue + workers * batch_size, workers)
        self._model = model
        self._observer = observer
        self._turns = asyncio.Semaphore((workers + 1) * batch_size)
        self.cache = PixelCache(image_cache_bytes)
        self._pixels = ByteBudget(pixel_bytes)
        # One thread, so that inspections keep the order of their arrival.
        self._checking = ThreadPoolExecutor(1, "check")
        self._decoding = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self.model_threads = ThreadPoolExecutor(workers, "model")
        self._batcher = Batcher(self._run, size=batch_size, wait_seconds=batch_wait_seconds, workers=workers)

    async def answer(self, request: pb.AnswerRequest) -> AsyncGenerator[pb.AnswerResponse, None]:
        """Answer a checked request; each response comes as soon as it is known.

        Raises:
            RefusalError: the images are broken, the queue is full, or the model refuses.
        """
        arrived = time.monotonic()
        stopped = threading.Event()
        with contextlib.ExitStack() as held:
            held.enter_context(self.admission.place(request.inspection_id))
            queued = held.enter_context(contextlib.ExitStack())
            queued.enter_context(self.admission.queue())
            try:
                headers = await self._check(request)
                await self._turns.acquire()
                held.callback(self._turns.release)
                async with self._room(headers, held):
                    pictures, decode_seconds = await self._decode(request, headers, stopped)
                job = _Job(convert.inspection(request, pictures, stopped), arrived, decode_seconds, queued)
                ticket = self._batcher.put(job)
                try:
                    while (response := await job.replies.get()) is not None:
                        if isinstance(response, RefusalError):
                            raise response
                        yield response
                finally:
                    if not self._batcher.withdraw(ticket):
                        rest = held.pop_all()
                        ticket.add_done_callback(lambda _: rest.close())
            finally:
                stopped.set()

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait for what is under way; whether all of it ended in time."""
        try:
            await asyncio.wait_for(self.admission.empty(), timeout_seconds)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop the batcher and let the threads go; what a model still works on is not waited for."""
        await self._batcher.close()
        self._checking.shutdown(wait=False, cancel_futures=True)
        self._decoding.shutdown(wait=False, cancel_futures=True)
        self.model_threads.shutdown(wait=False, cancel_futures=True)

    async def _check(self, request: pb.AnswerRequest) -> tuple[images.Header, ...]:
        # In a thread, as a header may be made to take long.
        contents = [image.content for image in request.images]
        return await asyncio.get_running_loop().run_in_executor(self._checking, images.inspect, contents)

    @contextlib.asynccontextmanager
    async def _room(
        self, headers: Sequence[images.Header], held: contextlib.ExitStack
    ) -> AsyncIterator[None]:
        """What decoding needs meanwhile and, as long as the inspection is `held`, what its pixels need."""
        sizes = [header.pixel_bytes for header in headers]
        taken = await self._pixels.take(sum(sizes) + images.COPIES_WHEN_DECODING * max(sizes, default=0))
        kept = min(sum(sizes), taken)
        held.callback(self._pixels.give_back, kept)
        try:
            yield
        finally:
            self._pixels.give_back(taken - kept)

    async def _decode(
        self, request: pb.AnswerRequest, headers: Sequence[images.Header], stopped: threading.Event
    ) -> tuple[tuple[Image, ...], float]:
        """The images, and the seconds of work on them: waiting for a thread is not among these."""

        def work() -> tuple[tuple[Image, ...], float]:
            began = time.monotonic()
            pictures = prepare(request.images, headers, self.cache, stopped)
            return pictures, time.monotonic() - began

        return await asyncio.get_running_loop().run_in_executor(self._decoding, work)

    async def _run(self, batch: Sequence[_Job]) -> None:
        jobs = {job.inspection: job for job in batch}
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        self._observer.batch_begun(len(batch))
        for job in batch:
            job.queued.close()
        untold = {
            job.inspection: (began - job.arrived - job.decode_seconds, job.decode_seconds) for job in batch
        }

        open_questions = {job.inspection: len(job.inspection.questions) for job in batch}

        def tell(inspection: Inspection, told: pb.AnswerResponse | RefusalError | None) -> None:
            loop.call_soon_threadsafe(jobs[inspection].replies.put_nowait, told)

        def deliver(reply: Reply) -> None:
            inspection = reply.inspection
            waited, decoded = untold.pop(inspection, (0.0, 0.0))
            tell(inspection, convert.response(reply, waited, decoded))
            open_questions[inspection] -= 1
            if not open_questions[inspection]:
                tell(inspection, None)

        def refuse(inspection: Inspection, fault: WholeCallError) -> None:
            tell(inspection, by_model(fault))

        try:
            await loop.run_in_executor(
                self.model_threads, answer_batch, self._model, tuple(jobs), deliver, refuse
            )
            self.admission.record(time.monotonic() - began)
        finally:
            for job in batch:
                job.replies.put_nowait(lost())  # whoever has all outcomes has left, and does not read it
