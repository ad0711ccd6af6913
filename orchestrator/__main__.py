"""The command `orchestrator`: what a person can mend is one line on standard error, and an exit code.

SIGTERM (`timeout`, an engine, a scheduler) is a first Ctrl-C, whatever the verb is doing.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

INTERRUPTED = 130


def main() -> None:
    """Run the command line and end the process."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _like_ctrl_c)
    try:
        # Here, so that Ctrl-C while Python is still loading is no traceback either.
        from orchestrator.cli import app
        from orchestrator.errors import Interrupted, UserError
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    try:
        app()
    except Interrupted as stop:
        sys.stderr.write(f"{stop}\n")
        sys.exit(INTERRUPTED)
    except UserError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(error.exit_code)


def _like_ctrl_c(number: int, frame: FrameType | None) -> None:
    """Do once what Ctrl-C does: `timeout` sends SIGTERM twice, and cleaning up must not be cut short."""
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a script's background
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
