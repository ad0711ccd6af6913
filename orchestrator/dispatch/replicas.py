"""The replicas of one model: who may take the next inspection, who sits out, and when the model is over.

A replica whose connection is lost, or that says UNAVAILABLE, sits on the bench: it gets no inspection until
GetModel has shown that it is well and still the same model. So a replica that is out of reach costs no
attempts, a restart with another checkpoint is noticed before anything is asked of it, and an inspection
that kills its service is given up after its attempts, since only what was sent to a replica in good health
is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from orchestrator.dispatch import ConnectedModel, Effort, Observer
from orchestrator.dispatch.cards import differences
from orchestrator.dispatch.client import Client
from orchestrator.dispatch.faults import CallError, Verdict, one_line
from orchestrator.dispatch.limit import AdaptiveLimit
from orchestrator.dispatch.pace import Pace
from orchestrator.vocabulary import Endpoint

logger = logging.getLogger(__name__)

_SHORTEST_REST_SECONDS = 0.1
"""A service that asks for no time at all would be asked without end."""
_REST_TO_TELL_SECONDS = 1.0


class ModelOverError(Exception):
    """Nothing more is asked of this model. `Replicas.over` says why."""


class Replica:
    """One address of a model, and how it is doing."""

    def __init__(self, endpoint: Endpoint, client: Client, limit: AdaptiveLimit) -> None:
        self.endpoint = endpoint
        self.client = client
        self.limit = limit
        self.in_flight = 0
        self.strikes = 0
        """Failed calls and probes since the last call that ended well."""
        self.silent_rounds = 0
        """Rounds of calls since its last reply that have timed out."""
        self.silent_about: set[str] = set()
        """The inspections of those calls."""
        self.benched = False
        self.trouble = ""
        """Why a probe found it unfit; "" on the bench means that the probe is still under way."""
        self.next_probe_at = 0.0
        self.resting_until = 0.0
        """It has asked to be left alone until then (monotonic clock)."""


class Replicas:
    """An async context manager; inside it, `slot` gives out places at the replicas."""

    def __init__(self, model: ConnectedModel, effort: Effort, pace: Pace, observer: Observer) -> None:
        self.over = ""
        """Why nothing more is asked of this model; "" while it goes on."""
        self.capacity = 0
        """Inspections that all replicas together can have under way, once their limits have grown."""
        self._model = model
        self._effort = effort
        self._pace = pace
        self._observer = observer
        self._shown = ""
        self._replicas: list[Replica] = []
        self._probes: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._over_event = asyncio.Event()
        self._turned_away: asyncio.TimerHandle | None = None
        """Runs from the first "later" after the last reply of any replica."""
        self._latest_refusal = ""
        self._patience: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        card = self._model.card
        most = min(card.max_in_flight, self._effort.concurrency or card.max_in_flight)
        self._replicas = [
            Replica(
                endpoint,
                Client(endpoint, self._pace),
                AdaptiveLimit(self._pace.first_in_flight, most),
            )
            for endpoint in self._model.endpoints
        ]
        self.capacity = sum(replica.limit.maximum for replica in self._replicas)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_timers()
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await asyncio.gather(*(replica.client.close() for replica in self._replicas))

    @contextlib.asynccontextmanager
    async def slot(self, avoid: Replica | None = None) -> AsyncIterator[Replica]:
        """Wait for a place at a replica that is well, at another than `avoid` if there is one.

        Raises:
            ModelOverError: nothing more is asked of this model.
        """
        while not self.over:
            if (replica := self._free(avoid)) is not None:
                break
            await self._changed.wait()
        else:
            raise ModelOverError
        replica.in_flight += 1
        try:
            yield replica
        finally:
            replica.in_flight -= 1
            self._wake()

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than the model goes on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over_event.wait(), seconds)

    def answered(self, replica: Replica) -> None:
        """Take note of a reply."""
        self._heard(replica)
        if self._turned_away is not None:
            self._turned_away.cancel()
            self._turned_away = None

    def succeeded(self, replica: Replica) -> None:
        """Take note of a call that ended well."""
        replica.strikes = 0
        replica.limit.succeeded()

    def failed(self, replica: Replica, era: int, error: CallError, inspection_id: str) -> None:
        """Take note of a call, started in the limit's `era`, that ended with a passing fault."""
        if error.code == "DEADLINE_EXCEEDED":
            replica.silent_about.add(inspection_id)
            replica.silent_rounds += era == replica.limit.era  # once for all the calls of a round
            self._give_up_if_hung()
        if error.verdict is Verdict.LATER:
            self._note_refusal(replica, error)
        replica.limit.congested(era)
        if error.wait_seconds is not None:
            self._rest(replica, error.wait_seconds)
        if error.code == "UNAVAILABLE" and not replica.benched:
            replica.strikes += 1
            self._bench(replica)

    def end(self, reason: str) -> None:
        """Ask nothing more of this model; what is under way goes on. The first reason stands."""
        if not self.over:
            self.over = reason
            self._over_event.set()
            self._stop_timers()
            self._wake()

    def end_by_fault(self, error: BaseException) -> None:
        """Ask nothing more of this model, because of a fault of this program; its traceback is logged."""
        logger.error("%s is given up", self._model.name, exc_info=error)
        self.end(f"internal error: {one_line(f'{type(error).__name__}: {error}')} - please report it")

    def _free(self, avoid: Replica | None) -> Replica | None:
        """Return the least busy replica that has a place; never `avoid` while another is well."""
        now = time.monotonic()
        well = [r for r in self._replicas if not r.benched and r.resting_until <= now]
        free = []
        for replica in [r for r in well if r is not avoid] or well:
            if replica.in_flight >= replica.limit.value:
                continue
            if replica.client.connected():
                free.append(replica)
            else:
                self._bench(replica)
        return min(free, key=lambda replica: replica.in_flight / replica.limit.value, default=None)

    def _give_up_if_hung(self) -> None:
        number = self._pace.timeouts_in_a_row
        if any(r.silent_rounds < number and not r.trouble for r in self._replicas):
            return
        about = set().union(*(replica.silent_about for replica in self._replicas))
        if len(about) > 1:  # it is not one inspection's fault
            self.end(
                f"no answer within {self._effort.timeout_seconds:g} s, {number} times in a row or more: "
                "it hangs, or it needs longer. Restart the service, or raise --timeout"
            )

    @staticmethod
    def _heard(replica: Replica) -> None:
        replica.silent_rounds = 0
        replica.silent_about.clear()

    def _note_refusal(self, replica: Replica, error: CallError) -> None:
        """A timer, as the waits that a replica asks for may be longer than anyone's patience."""
        self._latest_refusal = f"{replica.endpoint.target}: {error}"
        if self._turned_away is None and not self.over:
            seconds = (
                self._pace.turned_away_patiences * self._effort.patience_seconds
                + self._effort.timeout_seconds
            )
            self._turned_away = asyncio.get_running_loop().call_later(
                seconds, self._give_up_turned_away, seconds
            )

    def _give_up_turned_away(self, seconds: float) -> None:
        self.end(
            f"turned away for {seconds:.0f} s without one answer ({self._latest_refusal}): others may be "
            "using it. Run again when it has room"
        )

    def _rest(self, replica: Replica, seconds: float) -> None:
        seconds = max(seconds, _SHORTEST_REST_SECONDS)
        replica.resting_until = max(replica.resting_until, time.monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds, self._rested)
        self._show()

    def _rested(self) -> None:
        self._show()
        self._wake()

    def _bench(self, replica: Replica) -> None:
        replica.benched = True
        task = asyncio.create_task(self._probe_until_well(replica))
        self._probes.add(task)
        task.add_done_callback(self._probed)
        if all(other.benched for other in self._replicas) and self._patience is None:
            self._start_patience_timer()

    def _probed(self, task: asyncio.Task[None]) -> None:
        self._probes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end_by_fault(error)

    async def _probe_until_well(self, replica: Replica) -> None:
        while not self.over:
            wait = self._pace.cool_down(replica.strikes, self._effort.patience_seconds / 4)
            if wait:
                replica.next_probe_at = time.monotonic() + wait
                self._show()
                await self.pause(wait)
            try:
                card = await replica.client.get_model(self._pace.probe_seconds)
            except CallError as error:
                replica.trouble = str(error)
            else:
                if card.state == "ready":
                    self._welcome(replica, differences(self._model.card.identity, card.identity))
                    return
                replica.trouble = f"{card.state}: {card.state_detail}" if card.state_detail else card.state
                if card.state == "loading" and self._patience is not None:
                    self._start_patience_timer()  # weights take their time: the replica is in reach
            replica.strikes = max(replica.strikes + 1, 2)

    def _welcome(self, replica: Replica, differing: list[str]) -> None:
        if differing:
            self.end(
                f"{replica.endpoint.target} answers as another model than at the start of the run: "
                + "; ".join(differing)
            )
            return
        replica.benched = False
        self._heard(replica)
        replica.trouble = ""
        self._stop_patience_timer()
        self._show()
        self._wake()

    def _start_patience_timer(self) -> None:
        self._stop_patience_timer()
        if not self.over:
            self._patience = asyncio.get_running_loop().call_later(
                self._effort.patience_seconds, self._lose_patience
            )

    def _stop_timers(self) -> None:
        self._stop_patience_timer()
        if self._turned_away is not None:
            self._turned_away.cancel()

    def _stop_patience_timer(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        troubles = "; ".join(f"{r.endpoint.target}: {r.trouble or 'no answer'}" for r in self._replicas)
        self.end(f"out of reach for {self._effort.patience_seconds:g} s ({troubles})")

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _show(self) -> None:
        text = self._state()
        if text != self._shown:
            self._shown = text
            self._observer.state(self._model.name, text)

    def _state(self) -> str:
        now = time.monotonic()
        number = len(self._replicas)
        if out := [replica for replica in self._replicas if replica.trouble]:
            wait = max(0.0, min(replica.next_probe_at for replica in out) - now)
            return (
                f"{len(out)} of {number} replicas out of reach, next try in {wait:.0f} s "
                f"({out[0].endpoint.target}: {out[0].trouble})"
            )
        wait = min(replica.resting_until for replica in self._replicas) - now
        if wait >= _REST_TO_TELL_SECONDS:
            said = f" ({self._latest_refusal})" if self._latest_refusal else ""
            return f"{number} of {number} replicas say to come later, next try in {wait:.0f} s{said}"
        return ""
