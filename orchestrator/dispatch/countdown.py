"""A timer that calls back once, unless it is stopped before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Countdown:
    """Runs on the event loop's monotonic clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether it has been started, and neither stopped nor run down."""
        return self._handle is not None

    def start(self, seconds: float) -> None:
        """Begin, or begin anew."""
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._end)

    def stop(self) -> None:
        """Never call back, unless started again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _end(self) -> None:
        self._handle = None
        self._callback()
