"""An event loop of one's own, in scripts and in notebooks, with Ctrl-C in either."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run_loop(work: Coroutine[Any, Any, _Result], interrupt: Callable[[], None] = lambda: None) -> _Result:
    """Run `work` in a loop of its own, even where one runs already, as in a notebook.

    There it has a thread, which Ctrl-C does not reach: `interrupt` is called instead, and its end waited for.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with concurrent.futures.ThreadPoolExecutor(1) as thread, _interruptions():
        done = thread.submit(asyncio.run, work)
        try:
            return done.result()
        except KeyboardInterrupt:
            interrupt()
            return done.result()


@contextlib.contextmanager
def _interruptions() -> Iterator[None]:
    """Let Ctrl-C reach this thread, if it is the main one: the loop that runs in it would wait to be told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
