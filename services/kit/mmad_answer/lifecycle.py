"""A service's life in its process: from the first line on stdout to the exit code.

The first SIGTERM or SIGINT drains, the second exits at once. Work that does not end within the drain time
is left behind by exiting without Python's clean-up, which would wait for its thread; processes that the
model has started are killed then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn

from mmad_answer import process_group
from mmad_answer.loading import own_code
from mmad_answer.model import Model
from mmad_answer.server import AnswerServer, Settings

_PARENT_CHECK_SECONDS = 0.5
_NAMED_AT_MOST = 10
_log = logging.getLogger(__name__)


async def run(
    model: Model[Any], settings: Settings, environment: Mapping[str, str], parent: int | None
) -> None:
    """Serve until a signal, or until `parent` (a process id) is no longer this process's parent.

    Raises:
        ListenError: the address cannot be had.
        LoadError: from the model.
        ServiceError: the model's own code raises something else.
    """
    with own_code(type(model)):
        name = model.describe().name
    stopping = _stop_on_signals()
    server = AnswerServer(model, settings, environment)
    address = await server.start()
    print(f"{name} listening on {address}", flush=True)  # noqa: T201
    async with _watching(parent):
        loading = asyncio.create_task(server.load())
        await _first(loading, stopping)
        if not loading.done():
            _exit_now(0)  # loading cannot be interrupted, and nobody waits for it
        try:
            loading.result()
        except BaseException:
            await server.abandon()
            raise
        _log.info("ready")
        await stopping.wait()
        _log.info("draining for at most %g s", settings.drain_seconds)
        if not await server.drain():
            left = server.under_way
            some = ", ".join(map(repr, left[:_NAMED_AT_MOST])) + (
                ", ..." if len(left) > _NAMED_AT_MOST else ""
            )
            _log.error("the drain time is over: cut off %d inspections: %s", len(left), some)
            _exit_now(1)
        await server.close()


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            _exit_now(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stopping


async def _first(task: asyncio.Task[None], event: asyncio.Event) -> None:
    waiter = asyncio.create_task(event.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()


@contextlib.asynccontextmanager
async def _watching(parent: int | None) -> AsyncIterator[None]:
    watch = asyncio.create_task(_exit_with(parent)) if parent is not None else None
    try:
        yield
    finally:
        if watch is not None:
            watch.cancel()


async def _exit_with(parent: int) -> None:
    # Not prctl(PR_SET_PDEATHSIG): it fires when the thread that started us ends, though its process lives.
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells us, so we look
        await asyncio.sleep(_PARENT_CHECK_SECONDS)
    _log.warning("the parent process %d is gone", parent)
    _exit_now(1)


def _exit_now(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    process_group.kill_own()
    os._exit(code)
