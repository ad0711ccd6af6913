"""When a model is given up: out of reach, loading, turned away or hung, each for too long.

Every one of these would otherwise keep a run waiting for ever, while each single call may yet go well. What
ends well sets the count back: a replica that is ready again, or a reply.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.dispatch import Effort
from orchestrator.dispatch.countdown import Countdown
from orchestrator.dispatch.faults import CallError
from orchestrator.dispatch.membership import Membership
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.replica import Replica


class Patience:
    """Watches one model's replicas, and gives the model up by calling `end` with the reason."""

    def __init__(self, members: Membership, effort: Effort, pace: Pace, end: Callable[[str], None]) -> None:
        self.refusal = ""
        """The latest "later" of any replica, and who said it."""
        self._members = members
        self._effort = effort
        self._pace = pace
        self._end = end
        self._unreached = Countdown(self._end_unreached)
        """Runs while no replica is in reach."""
        self._unreached_since = 0.0
        self._prolonged = False
        self._turned_away_seconds = (
            pace.turned_away_patiences * effort.patience_seconds + effort.timeout_seconds
        )
        self._turned_away = Countdown(self._end_turned_away)
        """Runs from the first "later" after the last reply of any replica."""

    def stop(self) -> None:
        """Watch no more."""
        self._unreached.stop()
        self._turned_away.stop()

    def look(self) -> None:
        """Take note of which replicas are on the bench: once all are, the patience runs."""
        in_reach = any(not replica.benched for replica in self._members.replicas)
        if not in_reach and not self._unreached.running:
            self._unreached_since, self._prolonged = time.monotonic(), False
            self._unreached.start(self._effort.patience_seconds)

    def reached(self) -> None:
        """Take note of a replica that is ready."""
        self._unreached.stop()

    def loading(self) -> None:
        """Take note of a replica that is loading: weights take their time, within bounds."""
        if self._unreached.running:
            longest = self._pace.loading_patiences * self._effort.patience_seconds
            left = self._unreached_since + longest - time.monotonic()
            self._prolonged = True
            self._unreached.start(min(self._effort.patience_seconds, max(left, 0.0)))

    def replied(self) -> None:
        """Take note of a reply."""
        self._turned_away.stop()

    def turned_away(self, replica: Replica, error: CallError) -> None:
        """Take note of a "later". Its wait may be longer than anyone's patience, hence a timer."""
        self.refusal = f"{replica.target}: {error}"
        if not self._turned_away.running:
            self._turned_away.start(self._turned_away_seconds)

    def timed_out(self) -> None:
        """Take note that a call has timed out: end the model if that is all that its replicas do."""
        number = self._pace.timeouts_in_a_row
        if any(r.silent_rounds < number and not r.trouble for r in self._members.replicas):
            return
        about = set().union(*(replica.silent_about for replica in self._members.replicas))
        if len(about) > 1:  # it is not one inspection's fault
            self._end(
                f"no answer within {self._effort.timeout_seconds:g} s, {number} times in a row or more: "
                "it hangs, or it needs longer. Restart the service, or raise --timeout"
            )

    def _end_unreached(self) -> None:
        seconds = self._effort.patience_seconds
        if self._prolonged:
            seconds = round(time.monotonic() - self._unreached_since, 1)
        reasons = [f"{r.target}: {r.trouble or 'no answer'}" for r in self._members.replicas]
        reasons = reasons or ["no address is left"]
        if self._members.trouble:
            reasons.append(self._members.trouble)
        self._end(f"out of reach for {seconds:g} s ({'; '.join(reasons)})")

    def _end_turned_away(self) -> None:
        self._end(
            f"turned away for {self._turned_away_seconds:.0f} s without one answer ({self.refusal}): "
            "others may be using it. Run again when it has room"
        )
