"""What a source of markings is, whether it is a detector's maps or the ground truth.

A source says at once what makes it the same or another, and which markings are missing. Markings are read
when their turn comes, by a reader that belongs to one event loop. What determines a marking is told apart
from decoding it, so that a hint that is drawn already costs no more than reading its file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

from orchestrator.hints.drawing import Marking
from orchestrator.vocabulary import Sample


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A marking that is there."""

    key: str
    """Of all that determines it: another marking has another key."""
    decode: Callable[[], Marking | None]
    """Reads it, in a thread; None marks nothing. Raises HintError."""


class Reader(Protocol):
    """Reads markings, within one event loop."""

    async def find(self, sample: Sample) -> Found:
        """Return the marking of a query.

        Raises:
            HintError: it is missing, or its file cannot be read.
        """


class Source(Protocol):
    """Where markings come from."""

    @property
    def oracle(self) -> bool:
        """Whether it knows the right answers."""

    @property
    def identity(self) -> Mapping[str, object]:
        """What tells this source from another, as JSON."""

    def expects(self, sample: Sample) -> bool:
        """Whether there should be a file that marks this query."""

    def missing(self, sample: Sample) -> str:
        """Return where that file was looked for, if it is not there; "" if it is."""

    def reader(self) -> Reader:
        """Begin to read."""
