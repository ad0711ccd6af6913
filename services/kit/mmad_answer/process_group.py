"""What a model has started (servers, workers) must not outlive a service that exits without its clean-up.

A helper that is left behind hears of nothing, and may hold a GPU's memory for ever. Who has been started by
the service is told by its process group, and only where the group is its own: a service that leads its
session (the orchestrator and container engines start it so) shares its group with nobody else, while one
from a shell may share it with a pipe's other commands. The price: what has left the group on purpose stays,
and so does everything where there is no /proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def kill_own() -> None:
    """Kill the other members of this process's group, if this process leads its session."""
    own, processes = os.getpid(), Path("/proc")
    if os.getsid(0) != own or not processes.is_dir():
        return
    for number in (int(entry.name) for entry in processes.iterdir() if entry.name.isdigit()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if number != own and os.getpgid(number) == own:
                os.kill(number, signal.SIGKILL)
