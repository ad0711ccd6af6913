"""One scale for all the maps of a product: what is nothing, where a defect begins, what is the strongest.

Detectors write any range, often another for each product, so a scale has to come from the maps themselves.
Taken from one map, it would make the noise of every flawless part look like a defect. So it is taken over all
of a product's maps, whatever their labels, and from two numbers of each, so that nothing large is held:

- nothing is the median of the maps' medians: what most of a picture shows;
- the strongest is the 95th percentile of the maps' highest points: what a few freaks exceed;
- a defect begins at the geometric mean, above nothing, of the 10th and the 95th percentile of the highest
  points: as many times above what a flawless picture reaches as it is below a strong defect.

Levels are 0, 0.5 and 1 there, and a power of the map's own values in between; a flawless picture reaches
about 0.25. The price: where a product has no defect at all, its strangest pictures are marked, and a
product's only map is stretched.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from orchestrator.hints.formats import FloatArray

BEGINS: Final = 0.5
"""The level at which a defect begins."""
_FLAWLESS_PERCENT: Final = 10.0
_STRONGEST_PERCENT: Final = 95.0
_FIRST_SHARE, _LAST_SHARE = 0.1, 0.9
"""Of the way from nothing to the strongest: where a defect begins at the earliest and at the latest."""


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """What is kept of one map."""

    median: float
    peak: float


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """From the maps' own values to levels."""

    nothing: float
    strongest: float
    power: float

    def level(self, value: float) -> float:
        """Return the level of one value of the maps' own range."""
        return float(self.levels(np.array([value], np.float32))[0])

    def levels(self, values: FloatArray) -> FloatArray:
        """Return the levels of a map, from 0 up; a few are above 1."""
        above = np.maximum(values - np.float32(self.nothing), np.float32(0))
        # Maps that show nothing at all have no span; whatever is no 0 keeps their levels at 0.
        return np.asarray(
            (above / np.float32(self.strongest - self.nothing or 1.0)) ** np.float32(self.power)
        )


def extent(values: FloatArray) -> Extent:
    """Return what a scale needs of one map."""
    return Extent(float(np.median(values)), float(values.max()))


def scale_over(extents: Sequence[Extent]) -> Scale:
    """Return the scale of a product's maps; without any, one on which nothing is marked."""
    if not extents:
        return Scale(0.0, 0.0, 1.0)
    nothing = float(np.median([each.median for each in extents]))
    peaks = [max(each.peak, nothing) for each in extents]
    flawless, strongest = (float(p) for p in np.percentile(peaks, [_FLAWLESS_PERCENT, _STRONGEST_PERCENT]))
    if strongest <= nothing:
        return Scale(nothing, nothing, 1.0)
    begins = math.sqrt((flawless - nothing) / (strongest - nothing))
    share = min(max(begins, _FIRST_SHARE), _LAST_SHARE)
    return Scale(nothing, strongest, math.log(BEGINS) / math.log(share))
