"""How many inspections of a model may be in memory: a semaphore whose size follows the replicas.

Where it shrinks, what is under way goes on; nothing is taken until so much of it has ended.
"""

from __future__ import annotations

import asyncio
import sys


class Room:
    """Places, none at first."""

    def __init__(self) -> None:
        self.size = 0
        self._taken = 0
        self._changed = asyncio.Event()

    def resize(self, size: int) -> None:
        """Set how many places there are."""
        self.size = size
        self._changed.set()

    def open(self) -> None:
        """Let everybody in, for good: nobody has to wait for a model that is over."""
        self.resize(sys.maxsize)

    async def take(self) -> None:
        """Wait for a place, and take it."""
        while self._taken >= self.size:
            self._changed.clear()
            await self._changed.wait()
        self._taken += 1

    def give_back(self) -> None:
        """Leave a place to others."""
        self._taken -= 1
        self._changed.set()
