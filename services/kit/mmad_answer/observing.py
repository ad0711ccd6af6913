"""What becomes of the calls, told to whoever counts it. Nothing on their way knows of any monitoring system.

What happens is told as it happens; how things stand is asked for, when somebody looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Final

import grpc

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.model import Card
from mmad_answer.refusal import RefusalError

STATES: Final[Mapping[pb.State.ValueType, str]] = {
    pb.STATE_LOADING: "loading",
    pb.STATE_READY: "ready",
    pb.STATE_DRAINING: "draining",
}


class Observer:
    """Is told what happens, on the event loop, and must be quick. This one lets it pass."""

    def responded(self, response: pb.AnswerResponse) -> None:
        """One question's outcome is on its way to the caller."""

    def ended(self, call: Call) -> None:
        """A call of Answer is over. Comes once for each call, whatever has ended it."""

    def batch_begun(self, inspections: int) -> None:
        """The model has got a batch of so many."""


class Call:
    """One call of Answer, from the first moment that the service knows of it."""

    def __init__(self, observer: Observer) -> None:
        self.code = grpc.StatusCode.UNKNOWN
        """What gRPC makes of an exception that nobody foresaw; else how the call has ended."""
        self.responses = 0
        self.spent = pb.Timing()
        """The sums of what the responses told."""
        self._observer = observer
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def responded(self, response: pb.AnswerResponse) -> None:
        """Note a response that the caller has been sent."""
        self.responses += 1
        self.spent.queue_seconds += response.timing.queue_seconds
        self.spent.encode_seconds += response.timing.encode_seconds
        self.spent.generate_seconds += response.timing.generate_seconds
        self._observer.responded(response)


@contextlib.contextmanager
def observed(observer: Observer) -> Iterator[Call]:
    """Tell of one call's end, and with which status.

    A deadline that has passed is CANCELLED too: the caller's own clock ends the call first, most times, and
    from this side that looks the same.
    """
    call = Call(observer)
    try:
        yield call
        call.code = grpc.StatusCode.OK
    except RefusalError as refusal:
        call.code = refusal.code
        raise
    except asyncio.CancelledError:
        call.code = grpc.StatusCode.CANCELLED
        raise
    finally:
        observer.ended(call)


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """How things stand in one service."""

    card: Card
    state: str
    """One of `STATES`."""
    waiting: int
    """Inspections that have a place and are in no batch yet."""
    in_flight: int
    """Inspections that have a place, whether they wait or are worked on."""
    max_in_flight: int
    image_cache_bytes: int
    image_cache_hits: int
    image_cache_misses: int
