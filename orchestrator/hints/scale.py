"""One scale for all the maps of a product: what is nothing, what is the strongest, where a defect begins.

Detectors write any range, often another for each product, so a scale has to come from the maps themselves.
Taken from one map, it would make the noise of every flawless part look like a defect. So it is taken over all
of a product's maps, whatever their labels, and from two numbers of each, so that nothing large is held:

- 0 is the median of the maps' medians: what most of a normal picture shows;
- 1 is the 95th percentile of the maps' highest points: what strong defects reach; a few freaks lie above it.

A region is marked from 0.5 on, unless a threshold is given in the maps' own range. The price: where a product
has no defect at all, its strangest pictures are marked, and where it has a single map, that map is stretched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from orchestrator.hints.formats import FloatArray

_STRONGEST_PERCENT: Final = 95.0
MARKED: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """What is kept of one map."""

    median: float
    peak: float


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """What is nothing and what is the strongest, in the maps' own range."""

    nothing: float
    strongest: float

    def level(self, value: float) -> float:
        """Place a value of the maps' own range on the scale: 0 is nothing, 1 the strongest."""
        return (value - self.nothing) / self._span

    def levels(self, values: FloatArray) -> FloatArray:
        """Place a map on the scale; what lies beyond either end stays beyond it."""
        return np.asarray((values - np.float32(self.nothing)) / np.float32(self._span), np.float32)

    @property
    def _span(self) -> float:
        # Maps that show nothing at all have no span; whatever is no 0 keeps their levels at 0.
        return self.strongest - self.nothing or 1.0


def extent(values: FloatArray) -> Extent:
    """Return what a scale needs of one map."""
    return Extent(float(np.median(values)), float(values.max()))


def scale_over(extents: Sequence[Extent]) -> Scale:
    """Return the scale of a product's maps; without any, one on which nothing is marked."""
    if not extents:
        return Scale(0.0, 0.0)
    nothing = float(np.median([each.median for each in extents]))
    strongest = float(np.percentile([each.peak for each in extents], _STRONGEST_PERCENT))
    return Scale(nothing, max(nothing, strongest))
