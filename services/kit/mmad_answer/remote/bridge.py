"""Between the kit's worker threads and the event loop in which a provider is asked.

One loop for all workers, so that a request under way can be cancelled: no thread can be. The price is that a
worker looks every tenth of a second whether its inspection is stopped, as nothing can wait for a thread's
event and a queue at once.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar, TypeVarTuple, Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

_LOOK_SECONDS: Final = 0.1

T = TypeVar("T")
ArgumentsT = TypeVarTuple("ArgumentsT")


class Bridge:
    """An event loop in a thread of its own. Enter it to start that."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal(name="provider"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        self._stack.__exit__(kind, error, trace)

    def open(self, manager: contextlib.AbstractAsyncContextManager[T]) -> T:
        """Enter an asynchronous context manager in the loop; it is left with the bridge."""
        return self._stack.enter_context(self._loop.wrap_async_context_manager(manager))

    def call(self, function: Callable[[Unpack[ArgumentsT]], Awaitable[T]], *arguments: *ArgumentsT) -> T:
        """Run a coroutine in the loop, and wait for what it returns or raises."""
        return self._loop.call(function, *arguments)

    def draw(self, source: Callable[[], AsyncGenerator[T, None]], stopped: threading.Event) -> Iterator[T]:
        """What an asynchronous generator gives, each item as soon as it is there.

        Ends, and cancels what the generator is waiting for, as soon as `stopped` is set or nobody draws any
        more.
        """
        items: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()

        async def pump() -> None:
            async with contextlib.aclosing(source()) as drawn:
                async for item in drawn:
                    items.put((item,))

        pumping = self._loop.start_task_soon(pump)
        pumping.add_done_callback(lambda _: items.put(None))
        try:
            while not stopped.is_set():
                with contextlib.suppress(queue.Empty):
                    if (item := items.get(timeout=_LOOK_SECONDS)) is None:
                        pumping.result()  # raises what the generator raised
                        return
                    yield item[0]
        finally:
            pumping.cancel()

    @property
    def _loop(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("the bridge is not open")
        return self._portal
