"""A place where a model may be, as far as it is known without asking the model."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from orchestrator.vocabulary import ReplicaState


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A container, or an address behind a name."""

    key: str
    """What stays the same for as long as the same model must be there; another after a restart."""
    id: str
    """What stays the same over restarts."""
    origin: str
    """For messages: "container mmad-chance-1"."""
    name: str = ""
    """What the user calls whoever is there; "" where that is for the model to say."""
    targets: tuple[str, ...] = ()
    """Where it may be reached; the first that takes a connection counts, or else the first."""
    state: ReplicaState | None = None
    """Why there is no need to ask; None: who is there is to be asked."""
    reason: str = ""
    may_change: bool = False
    """Another model may be there under the same key: it is asked at every look."""
    starting: bool = False
    """If nothing answers, that is because it has only just begun."""
    failing: str = ""
    """If it is not ready, that is because it has ended and was started anew: how often, its last words."""
    unhealthy: str | None = None
    """What its health check says, where it fails."""
    advice: str = ""
    """For the person, if nothing answers at its address though it runs; a sentence without a stop."""


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """What one look at a source has brought."""

    places: tuple[Place, ...] = ()
    left_out: int = 0
    """Containers that ended long ago, or whose successor is among the places."""


class Source(Protocol):
    """Something that knows places."""

    def look(self) -> Places:
        """Return the places that there are now, in a fixed order. Blocks, for some seconds at most.

        Raises:
            SourceError: it cannot be read now.
        """

    def close(self) -> None:
        """Let go of what it holds."""


class SourceError(Exception):
    """A source that cannot be read now, in one line without a full stop.

    Args:
        problem: the line.
        remedy: what to do, likewise.
        passing: whether it is worth waiting for.
    """

    def __init__(self, problem: str, remedy: str = "", *, passing: bool = False) -> None:
        super().__init__(problem)
        self.remedy = remedy
        self.passing = passing

    def sentences(self) -> str:
        """Return the problem and the remedy."""
        return " ".join(
            part if part.endswith("?") else f"{part}." for part in (str(self), self.remedy) if part
        )


class RefusalError(SourceError):
    """A source that answers, and will not do this one thing."""
