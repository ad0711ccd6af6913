"""Errors for the person at the terminal: what was wrong, where, and what to do.

The verbs print them in one line and exit with `exit_code`; anything else that escapes is a bug, and keeps
its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something that the user can mend. `str(error)` is the whole message."""

    exit_code = 2


class DataError(UserError):
    """The data set is missing, broken, or lacks what was asked for."""


class EndpointError(UserError):
    """A model's address cannot be used: down, another contract, another identity."""


class RunError(UserError):
    """The run's folder cannot be used: another identity, another process, a full disk."""


class NotSetUpError(RunError):
    """A run's folder whose setting up was cut short: there is no question in it yet."""


class DiskFullError(RunError):
    """The disk is full. What was answered is kept; the same command goes on once there is room."""

    exit_code = 1


class Interrupted(Exception):  # noqa: N818 - not an error
    """The person stopped the run; what was answered is kept. The message says how to go on."""


def near_matches(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x' or 'y'?" for the known words near to `word`, or ""."""
    lowered = {k.lower(): str(k) for k in known}
    close = [lowered[m] for m in difflib.get_close_matches(word.lower(), lowered, n=3, cutoff=0.5)]
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def alternatives(word: str, known: Iterable[str]) -> str:
    """Return the near matches, or else " There are: a, b.", or "" where nothing is known."""
    names = list(known)
    return near_matches(word, names) or (f" There are: {', '.join(names)}." if names else "")
