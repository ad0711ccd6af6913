"""One address of a model, how it is doing, and what people are told of several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import brief
from orchestrator.dispatch.limit import AdaptiveLimit
from orchestrator.vocabulary import Endpoint

_REST_TO_TELL_SECONDS = 1.0


class Replica:
    """One address of a model. All times are on the monotonic clock."""

    def __init__(self, endpoint: Endpoint, client: Client, limit: AdaptiveLimit, *, accepted: bool) -> None:
        self.endpoint = endpoint
        self.client = client
        self.limit = limit
        self.accepted = accepted
        """It has said that it is this run's model, at the start of the run or since."""
        self.foreign = False
        """It has said that it is another one."""
        self.gone = False
        """Its directory has it no more: it gets nothing new."""
        self.in_flight = 0
        self.strikes = 0
        """Failed calls and probes since the last call that ended well."""
        self.useless_calls = 0
        """Calls in a row that brought nothing, by the service's own fault."""
        self.silent_rounds = 0
        """Rounds of calls since its last reply that have timed out."""
        self.silent_about: set[str] = set()
        """The inspections of those calls."""
        self.benched = False
        self.probe: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why a probe found it unfit; "" on the bench means that the probe is still under way."""
        self.next_probe_at = 0.0
        self.resting_until = 0.0
        """It has asked to be left alone until then, or has to be."""

    @property
    def target(self) -> str:
        """Its address."""
        return self.endpoint.target

    def well(self, now: float) -> bool:
        """Whether it may be asked, if it has room."""
        return not self.benched and self.resting_until <= now

    def heard(self) -> None:
        """Take note of a sign of life."""
        self.silent_rounds = 0
        self.silent_about.clear()


def state(replicas: Sequence[Replica], refusal: str, now: float) -> str:
    """Return one line for people on how a model's replicas are doing; "" when all is well.

    Args:
        replicas: those that there are at present.
        refusal: the latest "later" of any of them, and who said it.
        now: on the monotonic clock.
    """
    own = [replica for replica in replicas if not replica.foreign] or replicas
    number = len(own)
    if not own:
        return "no replica is left; looking for others"
    if out := [replica for replica in own if replica.trouble]:
        wait = max(0.0, min(replica.next_probe_at for replica in out) - now)
        return (
            f"{len(out)} of {number} replicas out of reach, next try in {wait:.0f} s "
            f"({out[0].target}: {brief(out[0].trouble)})"
        )
    wait = min(replica.resting_until for replica in own) - now
    if wait >= _REST_TO_TELL_SECONDS:
        said = f" ({refusal})" if refusal else ""
        return f"{number} of {number} replicas say to come later, next try in {wait:.0f} s{said}"
    return ""
