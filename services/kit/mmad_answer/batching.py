"""Micro-batching: items that arrive one by one are worked on together, in the order of their arrival.

A batch goes when it is full, or when `wait_seconds` have passed since its first item arrived and a worker is
free. Nothing here knows of models, images or gRPC.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Batcher(Generic[T]):
    """Gathers items into batches for `run`, which is called at most `workers` times at once.

    What goes wrong with an item is for `run` to tell to whoever waits for that item; an exception of `run`
    itself is logged, and the next batch goes on. Belongs to one event loop.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[None]],
        *,
        size: int,
        wait_seconds: float,
        workers: int,
    ) -> None:
        self._run = run
        self._size = size
        self._wait_seconds = wait_seconds
        self._pending: dict[asyncio.Future[None], tuple[T, float]] = {}
        self._arrived = asyncio.Event()
        self._workers = [asyncio.create_task(self._work()) for _ in range(workers)]

    def put(self, item: T) -> asyncio.Future[None]:
        """Add an item to the next batch with room. The ticket is done when that batch has ended."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[ticket] = (item, time.monotonic())
        self._arrived.set()
        return ticket

    def withdraw(self, ticket: asyncio.Future[None]) -> bool:
        """Take an item back. False if its batch has begun, or ended, already."""
        if self._pending.pop(ticket, None) is None:
            return False
        ticket.cancel()
        return True

    async def close(self) -> None:
        """Stop forming batches, whatever is still pending."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            # In a frame of its own, so that nothing of a batch is held while the next one is awaited.
            await self._work_on(await self._next_batch())

    async def _work_on(self, batch: Sequence[tuple[asyncio.Future[None], T]]) -> None:
        try:
            await self._run([item for _, item in batch])
        except Exception:
            _log.exception("a batch of %d was lost", len(batch))
        finally:
            for ticket, _ in batch:
                if not ticket.done():
                    ticket.set_result(None)

    async def _next_batch(self) -> list[tuple[asyncio.Future[None], T]]:
        while (remaining := self._until_due()) > 0:
            self._arrived.clear()
            timeout = None if remaining == float("inf") else remaining
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout)
            except TimeoutError:
                continue
        tickets = list(self._pending)[: self._size]
        return [(ticket, self._pending.pop(ticket)[0]) for ticket in tickets]

    def _until_due(self) -> float:
        if not self._pending:
            return float("inf")
        if len(self._pending) >= self._size:
            return 0.0
        _, first_arrived = next(iter(self._pending.values()))
        return first_arrived + self._wait_seconds - time.monotonic()
