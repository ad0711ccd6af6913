"""How many requests are under way at a provider, and when none may go out.

Additive increase, multiplicative decrease (Chiu and Jain 1989, "Analysis of the Increase and Decrease
Algorithms for Congestion Avoidance in Computer Networks"), with TCP's slow start until the first sign of
congestion: it finds what the provider bears without being told, also when others use the same key.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

_FIRST: Final = 4
_LONGEST_REST_SECONDS: Final = 3600.0
"""After that one request finds out whether the provider still wants to be left alone."""


class RestingError(Exception):
    """The provider wants to be left alone for longer than anyone waits here. `seconds` is what remains."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


class Pace:
    """Places for requests, `most` at most. Belongs to one event loop."""

    def __init__(
        self,
        most: int,
        max_wait_seconds: float,
        first_backoff_seconds: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = min(_FIRST, most)
        self._most = most
        self._max_wait_seconds = max_wait_seconds
        self._first_backoff_seconds = first_backoff_seconds
        self._clock = clock
        self._under_way = 0
        self._successes = 0
        self._era = 0
        """Grows with each decrease: requests of one era tell of the same congestion, which counts once."""
        self._congestions = 0
        """Since the last reply."""
        self._rests_until = clock()
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[int]:
        """Wait for a place and for the end of a rest; gives the era, for `congested`.

        Raises:
            RestingError: the rest is longer than `max_wait_seconds`.
        """
        await self._enter()
        try:
            yield self._era
        finally:
            self._under_way -= 1
            self._wake()

    def succeeded(self) -> None:
        """Take note of a reply."""
        self._successes += 1
        self._congestions = 0
        if self._era == 0 or self._successes >= self.limit:
            self._successes = 0
            self.limit = min(self.limit + 1, self._most)
            self._wake()

    def congested(self, era: int) -> None:
        """Take note that a request of that era was turned away or came to nothing."""
        if era == self._era:
            self._era += 1
            self._congestions += 1
            self._successes = 0
            self.limit = max(1, self.limit // 2)

    def rest(self, seconds: float) -> None:
        """Let no request out for so long, an hour at most. The latest end of all rests counts."""
        seconds = min(seconds, _LONGEST_REST_SECONDS)
        self._rests_until = max(self._rests_until, self._clock() + seconds)

    def back_off(self) -> None:
        """Rest after a congestion of which nobody says how long it takes: twice as long each time in a row.

        Until it is longer than anyone waits here: then callers are told, and come again.
        """
        doubled = self._first_backoff_seconds * 2.0 ** min(self._congestions - 1, 20)
        self.rest(min(doubled, 2 * self._max_wait_seconds))

    async def _enter(self) -> None:
        while True:
            rest = self._rests_until - self._clock()
            if rest > self._max_wait_seconds:
                raise RestingError(rest)
            if rest > 0:
                await asyncio.sleep(rest)
            elif self._under_way >= self.limit:
                await self._changed.wait()
            else:
                self._under_way += 1
                return

    def _wake(self) -> None:
        self._changed.set()  # whoever waits longest is woken first
        self._changed = asyncio.Event()
