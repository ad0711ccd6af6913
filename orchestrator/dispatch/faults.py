"""What a failed call means: which statuses are worth another attempt, and which end an inspection or a model.

The contract's comments are the rule. C-core reports a stream that a proxy or a dying server resets as
INTERNAL or RESOURCE_EXHAUSTED too, with details that begin as `_RESET` says; those are passing faults.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import TypeVar

import google.protobuf.message
import grpc
import grpc_status.rpc_status
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]

_RESET = "Received RST_STREAM"
_LONGEST_WAIT_SECONDS = 3600.0


class Verdict(enum.Enum):
    """What is to be done after a failed call."""

    AGAIN = enum.auto()
    """A passing fault: another attempt, perhaps at another replica."""
    LATER = enum.auto()
    """The replica has too much to do: wait as long as it says. Not an attempt."""
    REFUSED = enum.auto()
    """This inspection can never work; the next may."""
    BROKEN = enum.auto()
    """The service's own fault: this inspection is failed; after many in a row the model is stopped."""
    MODEL = enum.auto()
    """Nothing can be asked of this model."""


_VERDICTS = {
    grpc.StatusCode.UNAVAILABLE: Verdict.AGAIN,
    grpc.StatusCode.DEADLINE_EXCEEDED: Verdict.AGAIN,
    grpc.StatusCode.ABORTED: Verdict.AGAIN,
    grpc.StatusCode.CANCELLED: Verdict.AGAIN,
    grpc.StatusCode.INVALID_ARGUMENT: Verdict.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Verdict.REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: Verdict.MODEL,
    grpc.StatusCode.UNAUTHENTICATED: Verdict.MODEL,
    grpc.StatusCode.PERMISSION_DENIED: Verdict.MODEL,
    grpc.StatusCode.UNIMPLEMENTED: Verdict.MODEL,
}
_CANNOT_CONNECT = f"{grpc.StatusCode.UNAVAILABLE.name}: failed to connect to all addresses"
_CONNECTION_LOST = re.compile(
    rf"{grpc.StatusCode.UNAVAILABLE.name}: .*"
    r"(Socket closed|Connection reset|Broken pipe|End of TCP stream|ping timeout|keepalive|GOAWAY)"
)
_BRIEF_CHARACTERS = 100
_SILENT = {grpc.StatusCode.UNAVAILABLE.name, grpc.StatusCode.DEADLINE_EXCEEDED.name}


class CallError(Exception):
    """A call that failed. `str(error)` is one line: the status and what the service said."""

    def __init__(
        self,
        verdict: Verdict,
        code: str,
        detail: str,
        wait_seconds: float | None = None,
        violations: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.verdict = verdict
        self.code = code
        self.detail = detail
        self.wait_seconds = wait_seconds
        """How long the service asks to be left alone, from 0 to an hour."""
        self.violations = violations
        """(field, description) of each part of the request that is wrong, as the service names them."""

    @property
    def silent(self) -> bool:
        """Whether nobody has said anything: nothing is there, or it does not answer (yet)."""
        return self.code in _SILENT


def call_error(error: grpc.aio.AioRpcError) -> CallError:
    """Return what gRPC's error means."""
    code = error.code()
    detail = one_line(error.details() or "")
    details = list(_details(error))
    wait_seconds = next((_wait_seconds(info) for info in _of(error_details_pb2.RetryInfo, details)), None)
    verdict = _VERDICTS.get(code, Verdict.BROKEN)
    if detail.startswith(_RESET):
        verdict = Verdict.AGAIN
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait_seconds is not None:
        verdict = Verdict.LATER
    if any(info.reason == "BUDGET_SPENT" for info in _of(error_details_pb2.ErrorInfo, details)):
        detail = f"the budget is spent: {detail}"
    violations = tuple(
        (one_line(violation.field), one_line(violation.description))
        for request in _of(error_details_pb2.BadRequest, details)
        for violation in request.field_violations
    )
    return CallError(verdict, code.name, detail, wait_seconds, violations)


def _wait_seconds(info: error_details_pb2.RetryInfo) -> float:
    """Return the delay by its fields, within an hour: nothing bounds what a service writes into them."""
    seconds = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return float(min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS))


def one_line(text: str) -> str:
    """Return the text in one line of at most 500 characters, without what could command a terminal."""
    line = " ".join(printable(text).split())
    return line if len(line) <= 500 else line[:497] + "..."


def brief(trouble: str) -> str:
    """Return what a person needs to know of a failed call's line, in at most 100 characters.

    gRPC's own words for a lost or refused connection fill three lines of a terminal and differ between its
    versions; what is not known as such is cut after its first clause.
    """
    if trouble.startswith(_CANNOT_CONNECT) and "Connection refused" in trouble:
        return "nothing listens there"
    if _CONNECTION_LOST.match(trouble):
        return "the connection is lost"
    first = trouble.split("; ")[0]
    return first if len(first) <= _BRIEF_CHARACTERS else f"{first[: _BRIEF_CHARACTERS - 3]}..."


def printable(text: str) -> str:
    """Return the text with a space for each control character, line break or mark of direction.

    Nothing is cut: two texts that differ in what can be seen still do.
    """
    return "".join(c if c.isprintable() else " " for c in text)


def _details(error: grpc.aio.AioRpcError) -> Iterable[Message]:
    """Yield the google.rpc messages that came with the status; a malformed one is as good as none."""
    try:
        status = grpc_status.rpc_status.from_call(error)  # type: ignore[arg-type]  # asks for what both kinds have
    except (ValueError, google.protobuf.message.DecodeError):
        return
    for packed in status.details if status else ():
        for kind in (error_details_pb2.RetryInfo, error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
            message = kind()
            try:
                if packed.Unpack(message):
                    yield message
            except google.protobuf.message.DecodeError:
                continue


MessageT = TypeVar("MessageT", bound=Message)


def _of(kind: type[MessageT], details: Iterable[Message]) -> Iterable[MessageT]:
    return (message for message in details if isinstance(message, kind))
