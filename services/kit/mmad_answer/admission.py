"""Who may come in: at most `limit` inspections are held at once, whether they wait or are worked on.

Whoever is turned away is told how long to wait. Places become free a batch at a time, so the wait is one
batch's recent mean time, shared over the workers; an estimate, never a promise.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from mmad_answer.refusal import full

_FIRST_GUESS_SECONDS = 1.0
_SHORTEST_SECONDS = 0.05
_LONGEST_SECONDS = 60.0
_WEIGHT_OF_LATEST = 0.3


class Admission:
    """Counts the inspections under way. Belongs to one event loop."""

    def __init__(self, limit: int, workers: int) -> None:
        self.limit = limit
        self.under_way: list[str] = []
        """The ids of the inspections that have a place, as callers name them: for logs."""
        self.arriving = 0
        self.waiting = 0
        """How many of them are in no batch yet."""
        self._workers = workers
        self._batch_seconds: float | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def in_flight(self) -> int:
        """How many inspections have a place."""
        return len(self.under_way)

    @contextlib.contextmanager
    def arrival(self) -> Iterator[None]:
        """Keep a place free for an inspection whose message is being received.

        Raises:
            RefusalError: RESOURCE_EXHAUSTED with RetryInfo, when all places are taken or kept.
        """
        if self.in_flight + self.arriving >= self.limit:
            raise full(self.retry_seconds())
        self.arriving += 1
        try:
            yield
        finally:
            self.arriving -= 1

    @contextlib.contextmanager
    def place(self, inspection_id: str) -> Iterator[None]:
        """Hold a place.

        Raises:
            RefusalError: RESOURCE_EXHAUSTED with RetryInfo, when all places are taken.
        """
        if self.in_flight >= self.limit:
            raise full(self.retry_seconds())
        self.under_way.append(inspection_id)
        self._empty.clear()
        try:
            yield
        finally:
            self.under_way.remove(inspection_id)
            if not self.under_way:
                self._empty.set()

    @contextlib.contextmanager
    def queue(self) -> Iterator[None]:
        """Count one more that has a place and waits for its batch."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    def record(self, batch_seconds: float) -> None:
        """Learn from a batch that has just ended: an exponentially weighted mean."""
        if self._batch_seconds is None:
            self._batch_seconds = batch_seconds
        else:
            self._batch_seconds += _WEIGHT_OF_LATEST * (batch_seconds - self._batch_seconds)

    def retry_seconds(self) -> float:
        """After how long a place is likely to be free."""
        if self._batch_seconds is None:
            return _FIRST_GUESS_SECONDS
        return min(max(self._batch_seconds / self._workers, _SHORTEST_SECONDS), _LONGEST_SECONDS)

    async def empty(self) -> None:
        """Wait until no inspection is under way."""
        await self._empty.wait()
