"""How many inspections a replica has under way: additive increase, multiplicative decrease.

Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer
Networks", 1989. It finds the rate that a replica can bear without being told, also when others use it too.
"""

from __future__ import annotations


class AdaptiveLimit:
    """A limit between 1 and `maximum`.

    A round is as many successes as the limit; each adds one. A sign of congestion halves it, but only once
    for all the calls that were under way at the time: they all tell of the same congestion.
    """

    def __init__(self, first: int, maximum: int) -> None:
        self.maximum = max(1, maximum)
        self.value = max(1, min(first, self.maximum))
        self.era = 0
        """Grows with each decrease. A call notes it at its start and gives it back at its end."""
        self._successes = 0

    def succeeded(self) -> None:
        """Take note of a call that ended well."""
        self._successes += 1
        if self._successes >= self.value:
            self._successes = 0
            self.value = min(self.value + 1, self.maximum)

    def congested(self, era: int) -> None:
        """Take note of a call, started in `era`, that was turned away, timed out or broke."""
        if era == self.era:
            self.era += 1
            self._successes = 0
            self.value = max(1, self.value // 2)
