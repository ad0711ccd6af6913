"""A number of bytes that all inspections together may take up; who wants more than is left waits.

First come, first served, so that many small ones never starve a large one. The price: while a large one
waits, small ones behind it wait too.
"""

from __future__ import annotations

import asyncio


class ByteBudget:
    """Belongs to one event loop."""

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._free = total_bytes
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def taken_bytes(self) -> int:
        """How much is taken up now."""
        return self._total - self._free

    async def take(self, wanted_bytes: int) -> int:
        """Wait for so many bytes; returns what is to be given back.

        Who wants more than there is at all gets everything, and is alone then.
        """
        share = min(wanted_bytes, self._total)
        async with self._turn:
            while self._free < share:
                self._freed.clear()
                await self._freed.wait()
            self._free -= share
        return share

    def give_back(self, taken_bytes: int) -> None:
        """Let others have them."""
        self._free += taken_bytes
        self._freed.set()
