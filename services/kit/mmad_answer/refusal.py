"""How a whole call is refused: a gRPC status with google.rpc details, as the contract lists them.

Raised anywhere on the way of a request, turned into a status in one place (`servicer.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.model import BudgetSpentError, PassingFaultError, WholeCallError
from mmad_answer.wording import message as said

_DOMAIN: Final = pb.DESCRIPTOR.package
_LONGEST_TEXT: Final = 300
"""Characters of a status message. It travels in the trailers, twice, where 8 KiB are safe."""


class RefusalError(Exception):
    """A call that ends without an answer. `str(refusal)` is the status message."""

    def __init__(self, code: grpc.StatusCode, text: str, *details: message.Message) -> None:
        super().__init__(text)
        self.code = code
        self.details = details

    def status(self) -> grpc.Status:
        """The status with its details, ready for `context.abort`."""
        packed = []
        for detail in self.details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        number: int = self.code.value[0]
        return rpc_status.to_status(status_pb2.Status(code=number, message=str(self), details=packed))


def invalid(violations: Sequence[tuple[str, str]]) -> RefusalError:
    """INVALID_ARGUMENT with a BadRequest: (field, reason) for everything that is wrong with the request."""
    field, reason = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return RefusalError(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"{field}: {reason}{more}",
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=field, description=reason)
                for field, reason in violations
            ]
        ),
    )


def lacks(capability: str) -> RefusalError:
    """FAILED_PRECONDITION: the model cannot do what was asked."""
    return RefusalError(grpc.StatusCode.FAILED_PRECONDITION, f"this model has no {capability}")


def unavailable(reason: str) -> RefusalError:
    """UNAVAILABLE: ask again, perhaps another replica."""
    return RefusalError(grpc.StatusCode.UNAVAILABLE, reason)


def lost() -> RefusalError:
    """INTERNAL: a bug, by which a question has no outcome."""
    return RefusalError(grpc.StatusCode.INTERNAL, "the service lost this inspection: see its log")


def full(retry_seconds: float) -> RefusalError:
    """RESOURCE_EXHAUSTED with RetryInfo: the queue is full, wait that long."""
    return _later(f"the queue is full: ask again in {retry_seconds:.1f} s", retry_seconds)


def by_model(fault: WholeCallError) -> RefusalError:
    """What the model itself raised: UNAVAILABLE, RESOURCE_EXHAUSTED or FAILED_PRECONDITION."""
    text = " ".join(said(fault).split())[:_LONGEST_TEXT]  # a provider may send a whole page
    if isinstance(fault, BudgetSpentError):
        info = error_details_pb2.ErrorInfo(reason="BUDGET_SPENT", domain=_DOMAIN)
        return RefusalError(grpc.StatusCode.FAILED_PRECONDITION, text, info)
    if isinstance(fault, PassingFaultError):
        return unavailable(text) if fault.retry_seconds is None else _later(text, fault.retry_seconds)
    return RefusalError(grpc.StatusCode.FAILED_PRECONDITION, text)


def _later(text: str, retry_seconds: float) -> RefusalError:
    fraction, seconds = math.modf(retry_seconds)
    delay = duration_pb2.Duration(seconds=int(seconds), nanos=int(fraction * 1e9))
    return RefusalError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        text,
        error_details_pb2.RetryInfo(retry_delay=delay),
    )
