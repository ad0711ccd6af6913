"""How a whole call is refused: a gRPC status with google.rpc details, as the contract lists them.

Raised anywhere on the way of a request, turned into a status in one place (`servicer.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status


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


def full(retry_seconds: float) -> RefusalError:
    """RESOURCE_EXHAUSTED with RetryInfo: the queue is full, wait that long."""
    fraction, seconds = math.modf(retry_seconds)
    delay = duration_pb2.Duration(seconds=int(seconds), nanos=int(fraction * 1e9))
    return RefusalError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"the queue is full: ask again in {retry_seconds:.1f} s",
        error_details_pb2.RetryInfo(retry_delay=delay),
    )
