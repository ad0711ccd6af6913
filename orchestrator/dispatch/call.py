"""One call of Answer, held to the contract: one response for each question that was asked, and no other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Collection

from orchestrator.dispatch import wire
from orchestrator.dispatch.client import Client
from orchestrator.vocabulary import Reply

_ODDITIES_TOLD = 5


class Call:
    """What was asked in one call, and what has come back so far."""

    def __init__(self, question_ids: Collection[str]) -> None:
        self.asked = frozenset(question_ids)
        self.answered: set[str] = set()
        """Questions whose reply is kept."""
        self.broken: dict[str, str] = {}
        """Those of them that failed by the service's own fault, and how."""
        self.oddities: list[str] = []
        """Responses that the contract does not allow, the first few. They were ignored."""
        self.request_bytes = 0

    async def make(
        self,
        client: Client,
        request: bytes,
        timeout_seconds: float,
        keep: Callable[[Reply], Awaitable[None]],
    ) -> None:
        """Send the serialised request, and keep each reply before the next is read.

        Raises:
            CallError: the call did not end with OK.
        """
        self.request_bytes = len(request)
        sent = time.monotonic()
        async with contextlib.aclosing(client.answer(request, timeout_seconds)) as responses:
            async for response in responses:
                question_id = response.question_id
                if question_id not in self.asked:
                    self._note(f"an answer to {question_id!r}, which was not asked")
                elif question_id in self.answered:
                    self._note(f"a second answer to {question_id!r}")
                else:
                    reply = wire.reply(response, time.monotonic() - sent)
                    await keep(reply)
                    self.answered.add(question_id)
                    if wire.service_failed(response):
                        self.broken[question_id] = reply.failure

    def _note(self, oddity: str) -> None:
        if len(self.oddities) < _ODDITIES_TOLD:
            self.oddities.append(oddity)

    def missing(self) -> str:
        """Return, for people, what a stream that ended well has left out; "" if it was whole."""
        left_out = len(self.asked) - len(self.answered)
        if not left_out:
            return ""
        return f"the stream ended without an answer to {left_out} of {len(self.asked)} questions"
