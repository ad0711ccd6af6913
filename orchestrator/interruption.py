"""Ctrl-C in good order: the first one stops, the second one stops at once. SIGTERM is a first one.

In a notebook it comes to another thread than the loop's, at any time, and is kept until there is something to
stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
from collections.abc import Callable, Iterator


class Interruption:
    """Somebody's wish to stop, from wherever it comes."""

    def __init__(self) -> None:
        self._wished = False
        self._tell: Callable[[], object] = lambda: None

    def wish(self) -> None:
        """Stop in good order, from any thread: what is under way comes to its end, and nothing new begins."""
        self._wished = True
        self._tell()

    @contextlib.contextmanager
    def stopping(self, note: Callable[[str], None]) -> Iterator[asyncio.Event]:
        """Give what is set once somebody wishes to stop, or has wished it before, or presses Ctrl-C."""
        stop = asyncio.Event()
        # First this and then the question: a wish between them is heard twice rather than lost.
        self._tell = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        try:
            if self._wished:
                stop.set()
            with _signals(stop, note):
                yield stop
        finally:
            self._tell = lambda: None


@contextlib.contextmanager
def _signals(stop: asyncio.Event, note: Callable[[str], None]) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into `stop`; another Ctrl-C cancels what is under way.

    Another SIGTERM does nothing: `timeout` sends it twice. Whoever sends it has SIGKILL for a second word.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def second() -> None:
        # Not a KeyboardInterrupt, which would strike whatever task runs just then, with a traceback.
        if task is not None:
            task.cancel()

    def first() -> None:
        stop.set()
        for number in heeded:
            loop.add_signal_handler(number, second if number == signal.SIGINT else lambda: None)
        note("Stopping: waiting for the answers that are under way. Ctrl-C again: at once.")

    try:
        for number in heeded:
            loop.add_signal_handler(number, first)
    except (RuntimeError, ValueError):  # not the main thread: whoever owns it handles signals
        pass
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError, ValueError):
            for number in heeded:
                loop.remove_signal_handler(number)
            # Not SIGINT's, which was the loop's: Ctrl-C shall reach what does not go back to the loop, too.
            signal.signal(signal.SIGTERM, before[signal.SIGTERM])
