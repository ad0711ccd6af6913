"""From difference maps to a verdict: how far is the query beyond what the templates are among themselves?

Every template is taken for a query in its turn, against the others. That gives, for each place, how unlike
normal pictures are there (edges differ more than plain areas), and, for the whole picture, how high a normal
picture's peak is. The query's score is the log of its own peak over the templates' (their geometric mean), at
the scale where that is largest. A picture is called defective from a ratio of about 1.8 on. Four peaks say
little about their own spread, so the ratio's spread over normal pictures is a constant; it, and the margins,
come from three drawings (seeds 1 to 3) of the sample data set.

With one or two templates there is nothing to compare among themselves. Then the query's peak is measured
against its own map's root mean square, averaged over the scales: a defect is what stands out from the
picture's other differences.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.ndimage
import scipy.special

from template_diff.picture import FloatArray

FEWEST_TEMPLATES: Final = 3
"""From so many on, they are compared among themselves."""

_SCALES_PIXELS: Final = (0.7, 1.5, 3.0, 6.0)
"""Of the Gaussians under which peaks are sought: from a hair to a stain."""
_PLACE_SIGMA_PIXELS: Final = 4.0
_NOISE: Final = 0.02
"""Distance in colour that any two pictures have."""
_MARGIN: Final = 0.6
_SPREAD: Final = 0.15
_CONTRAST_MARGINS: Final = {1: 1.78, 2: 1.93}
"""By the number of templates: where the nearer of two counts, a map is more uneven."""
_CONTRAST_SPREAD: Final = 0.2
_NOTHING: Final = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What became of one query."""

    probability: float
    """Of a defect."""
    heat: FloatArray
    """Height x width: the difference, in units of what is normal at each place."""


def judge(differences: Sequence[FloatArray]) -> Finding:
    """Judge the query by its map, the first one, and the templates' maps."""
    query, templates = differences[0], differences[1:]
    if len(templates) < FEWEST_TEMPLATES:
        heat = query / np.float32(_NOISE)
        margin = _CONTRAST_MARGINS[len(templates)]
        return Finding(_probability(_contrast(heat), margin, _CONTRAST_SPREAD), _smooth(heat))
    squares = [scipy.ndimage.gaussian_filter(each**2, _PLACE_SIGMA_PIXELS) for each in templates]
    heat = query / _level(squares)
    normal = [
        # A template is measured by the others' differences, as the query is.
        _peaks(each / _level([*squares[:i], *squares[i + 1 :]]))
        for i, each in enumerate(templates)
    ]
    score = float((_peaks(heat) - np.mean(normal, axis=0)).max())
    return Finding(_probability(score, _MARGIN, _SPREAD), _smooth(heat))


def _level(squares: Sequence[FloatArray]) -> FloatArray:
    """How large a normal difference is at each place."""
    return np.asarray(np.sqrt(sum(squares) / len(squares) + _NOISE**2), np.float32)


def _peaks(heat: FloatArray) -> FloatArray:
    """The log of the highest point at each scale, and 1: less than the noise is no multiple of anything."""
    return np.log1p([scipy.ndimage.gaussian_filter(heat, sigma).max() for sigma in _SCALES_PIXELS])


def _contrast(heat: FloatArray) -> float:
    logs = []
    for sigma in _SCALES_PIXELS:
        smooth = scipy.ndimage.gaussian_filter(heat, sigma)
        usual = math.sqrt(float(np.mean(smooth**2)))
        logs.append(math.log((float(smooth.max()) + _NOTHING) / (usual + _NOTHING)))
    return float(np.mean(logs))


def _probability(score: float, margin: float, spread: float) -> float:
    """Logistic; kept from 0 and 1, so that its logarithms are finite."""
    return float(np.clip(scipy.special.expit((score - margin) / spread), 1e-6, 1 - 1e-6))


def _smooth(heat: FloatArray) -> FloatArray:
    return scipy.ndimage.gaussian_filter(heat, 3.0)
