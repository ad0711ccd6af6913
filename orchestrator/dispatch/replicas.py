"""The replicas of one model: who may take the next inspection, and who sits out.

A replica whose connection is lost, or that says UNAVAILABLE, sits on the bench: it gets no inspection until
GetModel has shown that it is well and still the same model. So a replica that is out of reach costs no
attempts, a restart with another checkpoint is noticed before anything is asked of it, and an inspection
that kills its service is given up after its attempts, since only what was sent to a replica in good health
is counted.

Where a model has a directory, an address that it lists newly sits on the bench first, too, and one that
answers as another model is left out and looked at now and then: it may be what a name points to by mistake,
or for a moment. Where all addresses are the user's own, there is nobody to turn to, and the model ends. When
else it ends is `dispatch.patience`'s to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from types import TracebackType
from typing import Self

from orchestrator.dispatch import ConnectedModel, Effort, Observer
from orchestrator.dispatch.cards import differences, shortfalls
from orchestrator.dispatch.faults import CallError, Verdict, one_line
from orchestrator.dispatch.membership import Membership
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.patience import Patience
from orchestrator.dispatch.replica import Replica, state
from orchestrator.dispatch.room import Room
from orchestrator.vocabulary import ModelCard

logger = logging.getLogger(__name__)

_SHORTEST_REST_SECONDS = 0.1
"""A service that asks for no time at all would be asked without end."""


class ModelOverError(Exception):
    """Nothing more is asked of this model. `Replicas.over` says why."""


class Replicas:
    """An async context manager; inside it, `slot` gives out places at the replicas."""

    def __init__(self, model: ConnectedModel, effort: Effort, pace: Pace, observer: Observer) -> None:
        self.over = ""
        """Why nothing more is asked of this model; "" while it goes on."""
        self.room = Room()
        """For the inspections that all replicas together can have under way, once their limits have grown."""
        self._model = model
        self._effort = effort
        self._pace = pace
        self._observer = observer
        self._shown = ""
        self._told: set[tuple[str, str]] = set()
        self._members = Membership(model, effort, pace)
        self._patience = Patience(self._members, effort, pace, self.end)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._over_event = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._members.open()
        self.room.resize(self._members.capacity())
        self._start(self._members.follow(self._moved, self._unreadable))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._members.close()

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
            if replica.gone:
                self._resize()
                await self._members.close_if_idle(replica)

    async def pause(self, seconds: float) -> None:
        """Sleep, but no longer than the model goes on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over_event.wait()

    def answered(self, replica: Replica) -> None:
        """Take note of a reply."""
        replica.heard()
        self._patience.replied()

    def succeeded(self, replica: Replica) -> None:
        """Take note of a call that ended well."""
        replica.strikes = 0
        replica.useless_calls = 0
        replica.limit.succeeded()

    def broke(self, replica: Replica, failure: str) -> None:
        """Take note of a call that brought nothing, by the service's own fault.

        It ends quickly, so the replica would be the least busy one, and attract what others could answer. It
        rests, longer each time, unless the others fail as well: then the fault lies in what is asked, or in
        the model.
        """
        replica.useless_calls += 1
        excess = replica.useless_calls - self._pace.useless_in_a_row
        others = [other for other in self._members.replicas if other is not replica]
        if excess < 0 or not any(not other.benched and not other.useless_calls for other in others):
            return
        replica.limit.congested(replica.limit.era)
        self._rest(replica, self._pace.cool_down(excess + 2, self._effort.patience_seconds / 4))
        self._tell(
            "broken",
            replica,
            f"fails on its own: {failure}. It is asked less as long as it does, and others are asked instead",
        )

    def failed(self, replica: Replica, era: int, error: CallError, inspection_id: str) -> None:
        """Take note of a call, started in the limit's `era`, that ended with a passing fault."""
        if replica.gone:
            return
        if error.code == "DEADLINE_EXCEEDED":
            replica.silent_about.add(inspection_id)
            replica.silent_rounds += era == replica.limit.era  # once for all the calls of a round
            self._patience.timed_out()
        if error.verdict is Verdict.LATER and not self.over:
            self._patience.turned_away(replica, error)
        replica.limit.congested(era)
        if error.wait_seconds is not None:
            self._rest(replica, error.wait_seconds)
        if error.code == "UNAVAILABLE" and not replica.benched:
            replica.strikes += 1
            self._lose(replica)

    def end(self, reason: str) -> None:
        """Ask nothing more of this model; what is under way goes on. The first reason stands."""
        if not self.over:
            self.over = reason
            self._over_event.set()
            self._patience.stop()
            self.room.open()
            self._wake()

    def end_by_fault(self, error: BaseException) -> None:
        """Ask nothing more of this model, because of a fault of this program; its traceback is logged."""
        logger.error("%s is given up", self._model.name, exc_info=error)
        self.end(f"internal error: {one_line(f'{type(error).__name__}: {error}')} - please report it")

    def _free(self, avoid: Replica | None) -> Replica | None:
        """Return the least busy replica that has a place; never `avoid` while another is well."""
        now = time.monotonic()
        well = [replica for replica in self._members.replicas if replica.well(now)]
        free = []
        for replica in [r for r in well if r is not avoid] or well:
            if replica.in_flight >= replica.limit.value:
                continue
            if replica.client.connected():
                free.append(replica)
            else:
                self._lose(replica)
        return min(free, key=lambda replica: replica.in_flight / replica.limit.value, default=None)

    def _rest(self, replica: Replica, seconds: float) -> None:
        seconds = max(seconds, _SHORTEST_REST_SECONDS)
        replica.resting_until = max(replica.resting_until, time.monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds, self._rested)
        self._show()

    def _rested(self) -> None:
        self._show()
        self._wake()

    def _lose(self, replica: Replica) -> None:
        self._bench(replica)
        self._members.look_soon()
        self._look_at_bench()

    def _bench(self, replica: Replica) -> None:
        replica.benched = True
        replica.probe = self._start(self._probe_until_well(replica))

    def _look_at_bench(self) -> None:
        if not self.over:
            self._patience.look()

    async def _probe_until_well(self, replica: Replica) -> None:
        while not self.over:
            wait = self._pace.cool_down(replica.strikes, self._effort.patience_seconds / 4)
            if wait:
                replica.next_probe_at = time.monotonic() + wait
                self._show()
                await self.pause(wait)
                self._members.look_soon()
            try:
                card = await replica.client.get_model(self._pace.probe_seconds)
            except CallError as error:
                replica.trouble = str(error)
            else:
                if card.state == "ready":
                    if self._is_the_model(replica, card):
                        self._welcome(replica, card)
                        return
                else:
                    self._wait_for(replica, card)
            replica.strikes = max(replica.strikes + 1, 2)

    def _wait_for(self, replica: Replica, card: ModelCard) -> None:
        replica.trouble = f"{card.state}: {card.state_detail}" if card.state_detail else card.state
        if card.state == "loading" and not replica.foreign:
            self._patience.loading()

    def _is_the_model(self, replica: Replica, card: ModelCard) -> bool:
        """Whether it is; if not, end the model, or leave the replica out where there may be others."""
        problem = ""
        if differing := differences(self._model.card.identity, card.identity):
            problem = f"answers as another model than at the start of the run: {'; '.join(differing)}"
        elif self._model.directory is not None and (short := shortfalls(self._model.card, card)):
            problem = f"cannot do what the run asks for: {'; '.join(short)}"
        replica.foreign = problem != ""
        if problem and self._model.directory is None:
            self.end(f"{replica.target} {problem}")
        elif problem:
            replica.accepted = False
            replica.trouble = problem
            self._resize()
            self._tell("foreign", replica, f"{problem}. It is left out")
        return not problem

    def _welcome(self, replica: Replica, card: ModelCard) -> None:
        if not replica.accepted:
            replica.accepted = True
            replica.limit = self._members.limit(card)
            self._resize()
            self._tell("joined", replica, "has joined")
        replica.benched = False
        replica.heard()
        replica.trouble = ""
        self._patience.reached()
        self._show()
        self._wake()

    def _moved(self, come: Sequence[Replica], gone: Sequence[Replica]) -> None:
        for replica in gone:
            if replica.probe is not None:
                replica.probe.cancel()
            if replica.accepted:
                self._tell("gone", replica, "is gone")
        for replica in come:
            self._bench(replica)
        self._resize()
        self._look_at_bench()
        self._show()

    def _unreadable(self, reason: str) -> None:
        if ("unreadable", reason) not in self._told:
            self._told.add(("unreadable", reason))
            self._observer.note(self._model.name, f"goes on with the replicas that it has: {reason}")

    def _tell(self, kind: str, replica: Replica, text: str) -> None:
        """Say it once for each address, as one may come and go all the time."""
        if (kind, replica.target) not in self._told:
            self._told.add((kind, replica.target))
            self._observer.note(
                self._model.name, one_line(f"{replica.target} ({replica.endpoint.origin}) {text}")
            )

    def _resize(self) -> None:
        if not self.over:
            self.room.resize(self._members.capacity())

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end_by_fault(error)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _show(self) -> None:
        text = state(self._members.replicas, self._patience.refusal, time.monotonic())
        if text != self._shown:
            self._shown = text
            self._observer.state(self._model.name, text)
