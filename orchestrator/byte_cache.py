"""Results in memory, the most recently used of them, up to a number of bytes; each made once at a time.

Models that go through a data set side by side want the same within moments: who asks for what is being made
already waits for it. A result larger than the whole cache is given out and not kept, and so is nothing that
failed: it is tried again the next time.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Coroutine, Hashable
from typing import Any


class ByteCache:
    """A cache of bytes, for one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: collections.OrderedDict[Hashable, bytes] = collections.OrderedDict()
        self._kept_bytes = 0
        self._making: dict[Hashable, asyncio.Task[bytes]] = {}

    async def get(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        """Return what is kept for `key`, or what `make` returns or raises.

        What is begun comes to its end, even if all who wait for it are cancelled.
        """
        if (content := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return content
        if (task := self._making.get(key)) is None:
            task = self._making[key] = asyncio.create_task(make())
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)  # others may wait for the same

    def _finish(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        del self._making[key]
        if task.cancelled() or task.exception() is not None:
            return
        content = task.result()
        if len(content) > self._max_bytes:
            return
        self._kept[key] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest)
