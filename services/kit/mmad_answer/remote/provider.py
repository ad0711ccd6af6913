"""One provider: requests that are paced, retried within bounds, and answered from the cache where it can.

Asking again is safe, as a reply changes nothing at the provider; it may cost again, so it is bounded. When
the attempts are used up, it depends on the others: if the provider has answered any meanwhile, the fault is
this request's own and final; if not, it is an outage, and callers come again later.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import logging
import time
from types import TracebackType
from typing import Final, NoReturn, Self

import tenacity

from mmad_answer.model import (
    Answer,
    BudgetSpentError,
    FinishReason,
    PassingFaultError,
    UnusableError,
)
from mmad_answer.remote.cache import ReplyCache
from mmad_answer.remote.dialect import Dialect, Json, Request, Wanted
from mmad_answer.remote.faults import Kind, ProviderError
from mmad_answer.remote.keys import Key
from mmad_answer.remote.limits import rest_seconds
from mmad_answer.remote.options import RemoteOptions
from mmad_answer.remote.pace import Pace, RestingError
from mmad_answer.remote.transport import Received, Transport
from mmad_answer.wording import in_one_line

_AWAY: Final = frozenset({Kind.RATE_LIMITED, Kind.PASSING})
"""Turned away: a sign of congestion."""
_AGAIN: Final = _AWAY | {Kind.NO_ANSWER}
_UP: Final = frozenset({Kind.NO_ANSWER, Kind.CONTEXT_TOO_LONG, Kind.REFUSED, Kind.REQUEST})
"""One request's own fault: who tells of it is in order."""
_FIRST_BACKOFF_SECONDS: Final = 0.5
_LONGEST_BACKOFF_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 20.0
"""For a GET, which computes nothing."""
_log = logging.getLogger(__name__)


class Provider:
    """A provider behind one key. Belongs to one event loop; enter it to open its connections."""

    def __init__(
        self,
        dialect: Dialect,
        key: Key | None,
        options: RemoteOptions,
        first_backoff_seconds: float = _FIRST_BACKOFF_SECONDS,
    ) -> None:
        self._dialect, self._options = dialect, options
        self._transport = Transport(options.base_url, dialect, key, options.concurrency)
        self._pace = Pace(options.concurrency, options.max_wait_seconds, first_backoff_seconds)
        self._cache = ReplyCache(options.reply_cache) if options.reply_cache else None
        # Random, so that those who were turned away together do not come again together.
        self._backoff = tenacity.wait_random_exponential(first_backoff_seconds, _LONGEST_BACKOFF_SECONDS)
        self._replies = 0
        """That show that the provider is in order, refusals of single requests among them."""
        self._most_tokens = 1
        """Of one request so far, its reply included: what the next may take of the provider's allowance."""

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def get(self, path: str) -> Json:
        """The JSON body of a GET below the base address (for `Dialect.check`).

        Raises:
            ProviderError: as the dialect reads it, after the retries that its kind allows.
        """
        timeout_seconds = min(_CHECK_SECONDS, self._options.timeout_seconds)
        received: Received = await self._retrying()(
            self._transport.exchange, "GET", path, None, timeout_seconds
        )
        return received.body

    async def ask(self, request: Request, wanted: Wanted) -> Answer:
        """The answer to one request.

        Raises:
            ProviderError: CONTEXT_TOO_LONG or REQUEST: this question has no answer; NO_ANSWER: in no attempt;
                PASSING: its attempts are used up, though others are answered.
            PassingFaultError, BudgetSpentError, UnusableError: the provider answers nothing for now.
        """
        if self._cache is None:
            return (await self._insist(request, wanted))[1]
        digest = await asyncio.to_thread(self._digest, request, wanted)
        body = await asyncio.to_thread(self._cache.get, digest)
        if body is not None:
            with contextlib.suppress(ProviderError):  # kept by a version that read it otherwise
                return self._read(body, wanted)
        body, answer = await self._insist(request, wanted)
        if body is not None:
            await asyncio.to_thread(self._cache.put, digest, body)
        return answer

    async def _insist(self, request: Request, wanted: Wanted) -> tuple[Json, Answer]:
        """The reply's body (None: it was refused with an error) and what it says."""
        replies = self._replies
        try:
            received: tuple[Json, Answer] = await self._retrying()(self._attempt, request, wanted)
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                return None, Answer(str(error), FinishReason.REFUSED)
            self._give_up(error, others_were_answered=self._replies > replies)
        except RestingError as error:
            message = f"{self._options.base_url} wants no request for {error}"
            raise PassingFaultError(message, error.seconds) from None
        return received

    async def _attempt(self, request: Request, wanted: Wanted) -> tuple[Json, Answer]:
        async with self._pace.place() as era:
            # Not before: it holds the images, and many may wait.
            content = json.dumps(request.body).encode()
            began = time.monotonic()
            try:
                received = await self._transport.exchange(
                    "POST", request.path, content, self._options.timeout_seconds, self._most_tokens
                )
                answer = self._read(received.body, wanted)
            except ProviderError as error:
                if error.kind in _AWAY:
                    self._pace.congested(era)
                    if error.kind is Kind.RATE_LIMITED and not error.retry_seconds:
                        self._pace.back_off()
                    self._pace.rest(error.retry_seconds or 0.0)
                elif error.kind in _UP:
                    self._replies += 1
                raise
            self._replies += 1
            self._pace.succeeded()
            usage = answer.usage
            self._most_tokens = max(self._most_tokens, usage.prompt_tokens + usage.completion_tokens)
            self._pace.rest(rest_seconds(received.headers, self._most_tokens))
            return received.body, dataclasses.replace(answer, generate_seconds=time.monotonic() - began)

    def _read(self, body: Json, wanted: Wanted) -> Answer:
        try:
            return self._dialect.read(body, wanted)
        except ProviderError as error:
            raise self._transport.told(error) from None
        except Exception as error:  # a reply may be of any shape, and reading stays plain
            raise self._transport.malformed(in_one_line(error)) from None

    def _retrying(self) -> tenacity.AsyncRetrying:
        return tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._options.attempts),
            retry=tenacity.retry_if_exception(self._worth_another),
            wait=self._wait_seconds,
            before_sleep=_tell,
            reraise=True,
        )

    def _worth_another(self, error: BaseException) -> bool:
        if not isinstance(error, ProviderError) or error.kind not in _AGAIN:
            return False
        return (error.retry_seconds or 0.0) <= self._options.max_wait_seconds

    def _wait_seconds(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_seconds if isinstance(error, ProviderError) else None
        return (asked or 0.0) + self._backoff(state)

    def _give_up(self, error: ProviderError, others_were_answered: bool) -> NoReturn:
        match error.kind:
            case Kind.BUDGET_SPENT:
                raise BudgetSpentError(str(error)) from None
            case Kind.UNUSABLE | Kind.NO_ROUTE:
                raise UnusableError(str(error)) from None
            case Kind.RATE_LIMITED:
                wait = _LONGEST_BACKOFF_SECONDS if error.retry_seconds is None else error.retry_seconds
                raise PassingFaultError(str(error), wait) from None
            case Kind.PASSING if not others_were_answered or not self._worth_another(error):
                raise PassingFaultError(str(error), error.retry_seconds) from None
        raise error

    def _digest(self, request: Request, wanted: Wanted) -> str:
        """Of all that a reply depends on, whether or not the provider is told of it."""
        how, options = wanted.generation, self._options
        sampling = [how.temperature, how.top_p, how.seed]
        bounds = [wanted.max_tokens, wanted.max_hidden_tokens]
        model = [options.base_url, options.model, self._dialect.version]
        digest = hashlib.sha256()
        # Piece by piece, as the images are large.
        for piece in json.JSONEncoder().iterencode([model, sampling, bounds, request.path, request.body]):
            digest.update(piece.encode())
        return digest.hexdigest()


def _tell(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.info("attempt %d: %s; the next in %.1f s", state.attempt_number, error, state.upcoming_sleep)
