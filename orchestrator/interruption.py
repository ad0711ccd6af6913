"""Ctrl-C in good order: the first one stops, the second one stops at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interruptible(stop: asyncio.Event, note: Callable[[str], None]) -> Iterator[None]:
    """Turn the first Ctrl-C (or SIGTERM) into `stop`; the second one cancels what is under way."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    task = asyncio.current_task()

    def second() -> None:
        # Not a KeyboardInterrupt, which would strike whatever task runs just then, with a traceback.
        if task is not None:
            task.cancel()

    def first() -> None:
        stop.set()
        for number in signals:
            loop.add_signal_handler(number, second)
        note("Stopping: waiting for the answers that are under way. Ctrl-C again: at once.")

    try:
        for number in signals:
            loop.add_signal_handler(number, first)
    except (RuntimeError, ValueError):  # not the main thread: whoever owns it handles signals
        pass
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError, ValueError):
            for number in signals:
                loop.remove_signal_handler(number)
