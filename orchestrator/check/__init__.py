"""The conformance kit: a service in any language, asked as a client asks it, one line for each promise.

This file holds the nouns and imports no gRPC. A promise is one function in its group's file (`health.py`,
`card.py`, ...); `registry.py` lists the groups. A function returns a few words on what it saw, or raises
`BrokenError`, `DoubtError` or `NotTriedError`; so adding a promise is writing one function.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.check.service import Service


class Outcome(enum.StrEnum):
    """What became of a promise."""

    OK = "ok"
    WARNING = "warning"
    """It works here, and may not elsewhere. Does not count as failed."""
    FAILED = "failed"
    NOT_TRIED = "not_tried"
    """With the reason: it does not apply, could not be provoked, or was left out."""


class BrokenError(Exception):
    """A promise that does not hold."""

    def __init__(self, expected: str, came: str, advice: str) -> None:
        super().__init__(came)
        self.expected = expected
        self.came = came
        self.advice = advice
        """What the service's author can do."""


class DoubtError(BrokenError):
    """Something that works here and now, and may not elsewhere or later."""


class NotTriedError(Exception):
    """A promise that was not tried. `str(error)` is the reason."""


@dataclasses.dataclass(frozen=True, slots=True)
class Promise:
    """One line of the check."""

    group: str
    name: str
    title: str
    """For people, at most 60 characters: it has one line of the terminal."""
    check: Callable[[Service], Awaitable[str]]
    needs: tuple[str, ...]
    """The ids without which this one would only repeat their failure."""
    long: bool
    """Left out with `--quick`."""
    beside: bool
    """Tried while the others are, on a connection of its own."""

    @property
    def id(self) -> str:
        """What the JSON report calls it."""
        return f"{self.group}.{self.name}"


class Promises:
    """The promises of one group, in the order of their functions."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._promises: list[Promise] = []

    def __iter__(self) -> Iterator[Promise]:
        return iter(self._promises)

    def add(
        self, name: str, title: str, *, needs: tuple[str, ...] = (), long: bool = False, beside: bool = False
    ) -> Callable[[Callable[[Service], Awaitable[str]]], Callable[[Service], Awaitable[str]]]:
        """Make a function a promise."""

        def register(check: Callable[[Service], Awaitable[str]]) -> Callable[[Service], Awaitable[str]]:
            self._promises.append(Promise(self._group, name, title, check, needs, long, beside))
            return check

        return register


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """How it went with one promise."""

    promise: Promise
    outcome: Outcome
    detail: str
    """What was seen, or why it was not tried; of what failed, what came."""
    seconds: float
    expected: str = ""
    advice: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How long to wait for what."""

    timeout_seconds: float = 120.0
    """For one inspection."""
    wait_seconds: float = 300.0
    """For the service to be ready."""
    silence_seconds: float = 60.0
    ping_seconds: float = 2.0
    """Between HTTP/2 pings while a call is under way, as the orchestrator sends them."""
    work_seconds: float = 3.0
    """How long the work should last that is under way when SIGTERM comes, to be seen draining."""
    stop_seconds: float = 60.0
    """From SIGTERM to the process's end."""
    quick: bool = False
