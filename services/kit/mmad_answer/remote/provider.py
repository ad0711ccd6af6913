"""One provider: requests that are paced, retried within bounds, and answered from the cache where it can."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from mmad_answer.model import Answer
from mmad_answer.remote.dialect import Dialect, Json, Request, Wanted
from mmad_answer.remote.keys import Key
from mmad_answer.remote.options import RemoteOptions


class Provider:
    """A provider behind one key. Belongs to one event loop; enter it to open its connections."""

    def __init__(self, dialect: Dialect, key: Key | None, options: RemoteOptions) -> None:
        self._dialect, self._key, self._options = dialect, key, options

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    async def get(self, path: str) -> Json:
        """The JSON body of a GET below the base address (for `Dialect.check`).

        Raises:
            ProviderError: as the dialect reads it, after the retries that its kind allows.
        """
        raise NotImplementedError

    async def ask(self, request: Request, wanted: Wanted) -> Answer:
        """The answer to one request.

        Raises:
            ProviderError: CONTEXT_TOO_LONG or REQUEST: this question has no answer; PASSING: its retries are
                used up though others are answered.
            PassingFaultError, BudgetSpentError, UnusableError: the provider answers nothing for now.
        """
        raise NotImplementedError
