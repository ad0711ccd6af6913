"""How long to wait for what: every interval of the dispatcher in one place, so that tests can be quick.

The defaults suit services that take seconds for an inspection. A hung server is noticed within
`ping_seconds + ping_timeout_seconds`; shorter values would end calls to services that are merely busy.
"""

from __future__ import annotations

import dataclasses

import tenacity
from tenacity.wait import wait_base


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Intervals in seconds, and the counts after which something is given up."""

    ping_seconds: float = 2.0
    """Between HTTP/2 pings while a call is under way; the contract lets servers refuse shorter ones."""
    ping_timeout_seconds: float = 4.0
    connect_seconds: float = 5.0
    """For one attempt to connect; a stopped process accepts a connection, but never greets."""
    probe_seconds: float = 5.0
    """For one GetModel."""
    backoff_seconds: float = 0.5
    """Before the second attempt at an inspection, on average; doubles from there on."""
    backoff_max_seconds: float = 15.0
    cool_down_seconds: float = 0.5
    """Between the first and the second probe of a replica that is out of reach; doubles from there on."""
    cool_down_max_seconds: float = 15.0
    look_seconds: float = 5.0
    """Between looks at a directory of replicas; it is also looked at whenever one is out of reach."""
    look_apart_seconds: float = 1.0
    """Between two looks at the least, however many are out of reach."""
    drain_seconds: float = 20.0
    """For the work under way to finish once the run is to stop."""
    first_in_flight: int = 4
    """Inspections under way at a replica at the start, before its limit has adapted."""
    broken_in_a_row: int = 10
    """Inspections, of two products at least, that come to nothing by the service's own fault until its model
    is stopped.

    They, and those that are under way by then, are kept as failed: a run with `--retry-failed` asks them
    again. To hold their failures back instead would make a reply wait for other inspections.
    """
    useless_in_a_row: int = 3
    """Calls to one replica that come to nothing by its own fault, until it rests while others are well."""
    timeouts_in_a_row: int = 3
    """Rounds of calls at every replica that time out without one reply, until the model is given up.

    Each round has half as many calls as the one before, so that a model that merely had too much to do gets
    through; and they must be about more than one inspection, so that a single one that takes too long is
    failed after its attempts and the others are asked.
    """
    turned_away_patiences: float = 10.0
    """How often the patience may pass, beside one attempt's time, while a model says nothing but "later"."""
    loading_patiences: float = 60.0
    """How often the patience may pass while no replica is in reach, but one says that it is loading."""
    incomplete_streams: int = 2
    """How often a stream may end well without all answers before its inspection is failed."""

    def backoff(self) -> wait_base:
        """Return how to wait before another attempt at an inspection."""
        return tenacity.wait_random_exponential(2 * self.backoff_seconds, self.backoff_max_seconds)

    def cool_down(self, strikes: int, at_most_seconds: float) -> float:
        """Return the seconds until a replica is probed that has failed `strikes` times in a row.

        The first failure is followed up at once: most are passing faults of a replica that is well.
        """
        if strikes < 2:
            return 0.0
        longest = min(self.cool_down_max_seconds, at_most_seconds)
        return min(longest, self.cool_down_seconds * 2.0 ** min(strikes - 2, 30))
