"""A process of this machine that may be stopped, by its number. Only Linux can wait for a stranger's end."""

from __future__ import annotations

import asyncio
import os
import signal

from orchestrator.errors import EndpointError


class LocalProcess:
    """A process that is not this one's child: that it ended can be seen, its exit code cannot.

    Raises:
        EndpointError: there is no such process, or it is somebody else's.
    """

    def __init__(self, number: int) -> None:
        try:
            os.kill(number, 0)
            self._descriptor = os.pidfd_open(number)
        except (OSError, AttributeError) as error:
            raise EndpointError(f"--pid {number}: it cannot be stopped from here: {error}.") from None

    def terminate(self) -> None:
        """Send SIGTERM, to this process even if its number has been given to another."""
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

    def close(self) -> None:
        """Give its descriptor back."""
        os.close(self._descriptor)
