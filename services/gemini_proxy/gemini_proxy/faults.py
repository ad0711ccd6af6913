"""What the API's errors mean: each is a `google.rpc.Status`, and its details say more than HTTP's status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import httpx

from gemini_proxy.messages import ErrorReply, Status
from mmad_answer.remote.faults import Kind, ProviderError, kind_of_status

# Only their words tell these two from any other INVALID_ARGUMENT.
_TOO_LONG: Final = "exceeds the maximum number of tokens"
_TOO_LARGE: Final = "payload size exceeds the limit"
_SETUP: Final = ("FAILED_PRECONDITION", "NOT_FOUND", "PERMISSION_DENIED")
"""No billing account or a country in which the API is not offered; no such model; not for this key."""
_PER_DAY: Final = "PerDay"
"""In the name of a quota: "GenerateRequestsPerDayPerProjectPerModel-FreeTier"."""
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)s")
"""A `google.protobuf.Duration` in JSON, "34.074824224s"."""


def fault(status: int, body: Any) -> ProviderError:
    """Read an error's HTTP status and body; `body` may be of any shape."""
    error = _error(body)
    if error is None:
        return ProviderError(kind_of_status(status), "")
    message = error.message
    if _TOO_LARGE in message:
        message += " (--max-image-bytes or --max-image-side make the images smaller)"
    return ProviderError(_kind(status, error), message, _retry_seconds(error))


def fault_within(body: Any) -> ProviderError | None:
    """The error in a body that came with a status of success; None if it holds none."""
    error = _error(body)
    if error is None:
        return None
    is_fault = httpx.codes.is_error(error.code)
    return fault(error.code if is_fault else httpx.codes.INTERNAL_SERVER_ERROR, body)


def _error(body: Any) -> Status | None:
    # Some of Google's front ends wrap it into a list.
    try:
        return ErrorReply.read(body[0] if isinstance(body, list) and body else body).error
    except ValueError:
        return None


def _kind(status: int, error: Status) -> Kind:
    if any(_PER_DAY in name for name in _exceeded_quotas(error)):
        return Kind.BUDGET_SPENT
    if error.status in _SETUP or "API_KEY_INVALID" in _reasons(error):
        return Kind.UNUSABLE
    if _TOO_LONG in error.message:
        return Kind.CONTEXT_TOO_LONG
    return kind_of_status(status)


def _reasons(error: Status) -> set[str]:
    return {str(each.get("reason")) for each in _details(error, "ErrorInfo")}


def _exceeded_quotas(error: Status) -> Iterator[str]:
    for each in _details(error, "QuotaFailure"):
        violations = each.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            yield str(violation.get("quotaId") if isinstance(violation, dict) else violation)


def _retry_seconds(error: Status) -> float | None:
    for each in _details(error, "RetryInfo"):
        if found := _DURATION.fullmatch(str(each.get("retryDelay"))):
            return float(found[1])
    return None


def _details(error: Status, kind: str) -> Iterator[dict[str, Any]]:
    for each in error.details:
        if isinstance(each, dict) and each.get("@type") == f"type.googleapis.com/google.rpc.{kind}":
            yield each
