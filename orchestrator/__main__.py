"""The command `orchestrator`: what a person can mend is one line on standard error, and an exit code."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and end the process."""
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


if __name__ == "__main__":
    main()
