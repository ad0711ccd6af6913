"""A process of this machine that may be stopped, by its number. Only Linux can wait for a stranger's end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal

from orchestrator.errors import EndpointError


class LocalProcess:
    """A process that is not this one's child: that it ended can be seen, its exit code cannot.

    Raises:
        EndpointError: there is no such process, or it is somebody else's.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        try:
            os.kill(number, 0)
            self._descriptor = os.pidfd_open(number)
        except (OSError, AttributeError) as error:
            raise EndpointError(f"--pid {number}: it cannot be stopped from here: {error}.") from None

    def terminate(self) -> None:
        """Send SIGTERM, to this process even if its number has been given to another."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)

    async def exited(self) -> int | None:
        """Wait for its end."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return None

    def gone(self) -> str:
        """Return that it has ended, or ""."""
        ended, _, _ = select.select([self._descriptor], [], [], 0)
        return f"the process {self._number} has ended" if ended else ""

    def last_words(self) -> str:
        """Return "": where it writes to is known to whoever started it."""
        return ""

    def close(self) -> None:
        """Give its descriptor back."""
        os.close(self._descriptor)
