"""What can go wrong at a provider, sorted by what is to be done about it."""

from __future__ import annotations

import enum
from typing import Final

import httpx


class Kind(enum.Enum):
    """What is to be done after a fault."""

    RATE_LIMITED = enum.auto()
    """Ask again, later and more slowly."""
    PASSING = enum.auto()
    """Ask again: an outage, a broken connection, a reply that is none."""
    NO_ANSWER = enum.auto()
    """Ask again: the provider is up, but its reply holds no answer; at last, this question has none."""
    BUDGET_SPENT = enum.auto()
    """Stop asking: the money or the quota is used up."""
    UNUSABLE = enum.auto()
    """Stop asking until the settings are mended: the key or the model is not accepted."""
    NO_ROUTE = enum.auto()
    """The address does not offer what was asked for, or not to this key: as UNUSABLE, or done without
    where that is possible."""
    CONTEXT_TOO_LONG = enum.auto()
    """This question is too long for the model."""
    REFUSED = enum.auto()
    """The provider does not want to answer this question; its words are the message."""
    REQUEST = enum.auto()
    """This request can never work; the next may."""


class ProviderError(Exception):
    """A request that brought no answer. Its message is one line for people, without the key.

    `retry_seconds` is how long the provider asks to be left alone, if it says so.
    """

    def __init__(self, kind: Kind, message: str, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_seconds = retry_seconds


_ASK_AGAIN: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.CONFLICT, httpx.codes.TOO_EARLY})
_NOT_HERE: Final = frozenset(
    {
        *(httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND),
        *(httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED),
    }
)


def kind_of_status(status: int) -> Kind:
    """What an HTTP status means where the provider does not say more."""
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Kind.RATE_LIMITED
    if status == httpx.codes.PAYMENT_REQUIRED:
        return Kind.BUDGET_SPENT
    if status in _NOT_HERE:
        return Kind.NO_ROUTE
    if status in _ASK_AGAIN or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Kind.PASSING
    # A redirection would carry key and images to an address that nobody has named.
    if status == httpx.codes.UNAUTHORIZED or httpx.codes.is_redirect(status):
        return Kind.UNUSABLE
    return Kind.REQUEST
