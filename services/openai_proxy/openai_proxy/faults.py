"""What an error of a server of this protocol means.

OpenAI's own has the form {"error": {"message", "type", "param", "code"}}. Others have a string there, or
FastAPI's {"detail": ...}, or the message at the top; few set the code, so what only the words tell is read
from the words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from mmad_answer.remote.faults import Kind, ProviderError, kind_of_status
from openai_proxy import remedies
from openai_proxy.options import OpenAiOptions

_SPENT: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
)
_REFUSED: Final = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked", "data_inspection_failed"}
)
_NO_SUCH_KEY: Final = frozenset({"invalid_api_key", "invalid_authentication_error"})
_NO_SUCH_MODEL: Final = frozenset({"model_not_found"})
_TOO_LONG: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_SAYS_TOO_LONG: Final = re.compile(
    r"context (length|size|window)|maximum model length|max_model_len|prompt is too long", re.IGNORECASE
)
_NEVER_FITS: Final = re.compile(r"request too large", re.IGNORECASE)
_SAYS_NO_SUCH_MODEL: Final = re.compile(r"server is pinned to", re.IGNORECASE)
"""transformers' own, where it serves another one."""


def fault(status: int, body: Any, options: OpenAiOptions) -> ProviderError:
    """Sort an error by what it says of itself, and by its status where that is not enough."""
    error = _error(body)
    message = _message(error)
    codes = {str(error.get(name)) for name in ("code", "type")} | _inner_codes(error)
    if codes & _SPENT:
        return ProviderError(Kind.BUDGET_SPENT, message)
    if codes & _REFUSED or _is_moderated(error):
        return ProviderError(Kind.REFUSED, message)
    if codes & (_NO_SUCH_KEY | _NO_SUCH_MODEL) or _SAYS_NO_SUCH_MODEL.search(message):
        return ProviderError(Kind.UNUSABLE, message)
    kind = kind_of_status(status)
    # Named in a path, as in "Cannot GET /v1/models/m", it is the route that is not there.
    if kind is Kind.NO_ROUTE and re.search(rf"(?<![\w/]){re.escape(options.model)}(?!\w)", message):
        return ProviderError(Kind.UNUSABLE, message)
    if kind is Kind.RATE_LIMITED and _NEVER_FITS.search(message):
        return ProviderError(Kind.REQUEST, message)  # larger than the whole allowance of a minute
    if kind is not Kind.REQUEST:
        return ProviderError(kind, message)
    if codes & _TOO_LONG or _SAYS_TOO_LONG.search(message):
        return ProviderError(Kind.CONTEXT_TOO_LONG, message)
    if remedy := remedies.remedy(message, str(error.get("param") or ""), options):
        # Left out silently, answers would be other ones than the model card says.
        return ProviderError(Kind.UNUSABLE, f"{message} Start the service with {remedy}.")
    return ProviderError(Kind.REQUEST, message)


def status_within(body: Mapping[str, Any]) -> int:
    """The status that an error tells of itself, where HTTP's was one of success; 500 if it tells none."""
    code = _error(body).get("code")
    return code if isinstance(code, int) and code >= 400 else httpx.codes.INTERNAL_SERVER_ERROR


def _error(body: Any) -> Mapping[str, Any]:
    """The part of the body that describes the error."""
    if isinstance(body, list) and body:  # Google's, of this protocol too
        body = body[0]
    if not isinstance(body, Mapping):
        return {}
    error = body.get("error", body)
    return error if isinstance(error, Mapping) else {"message": error}


def _message(error: Mapping[str, Any]) -> str:
    for name in ("message", "detail"):
        if said := error.get(name):
            return str(said)
    return ""


def _inner_codes(error: Mapping[str, Any]) -> set[str]:
    """Azure's: the reason lies one level deeper."""
    inner = error.get("innererror")
    return {"content_filter"} if isinstance(inner, Mapping) and "content_filter_result" in inner else set()


def _is_moderated(error: Mapping[str, Any]) -> bool:
    """OpenRouter's: a status 403 that is about this input, and not about the key."""
    metadata = error.get("metadata")
    return isinstance(metadata, Mapping) and "flagged_input" in metadata
