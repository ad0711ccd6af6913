"""AUROC, average precision and calibration error of weighted samples, for many sets of weights at once.

A resample is a set of weights, so a bootstrap of these figures is one call for many resamples.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from orchestrator.scoring.cells import Array

BINS: Final = 15


def auroc(scores: Array, positive: Array, weights: Array) -> Array:
    """Return P(a positive scores above a negative), ties counting half (Mann-Whitney), as fractions.

    Args:
        scores: (n,)
        positive: 0 or 1, (n,)
        weights: (resamples, n)

    Returns:
        (resamples,); NaN where a class has no weight.
    """
    up, down = _by_tie(scores, positive, weights, descending=False)
    below = np.cumsum(down, axis=1) - down
    pairs = up.sum(axis=1) * down.sum(axis=1)
    wins = (up * (below + down / 2)).sum(axis=1)
    return np.where(pairs == 0, np.nan, wins / np.where(pairs == 0, 1.0, pairs))


def average_precision(scores: Array, positive: Array, weights: Array) -> Array:
    """Return the sum of precision x step in recall over falling thresholds, as fractions.

    Not interpolated; equal scores are one threshold. Shapes as in `auroc`; NaN without weight on positives.
    """
    up, down = _by_tie(scores, positive, weights, descending=True)
    hits, alarms = np.cumsum(up, axis=1), np.cumsum(up + down, axis=1)
    total = up.sum(axis=1)
    area = (up * hits / np.where(alarms == 0, 1.0, alarms)).sum(axis=1)
    return np.where(total == 0, np.nan, area / np.where(total == 0, 1.0, total))


def calibration_error(confidence: Array, right: Array, weights: Array, bins: int = BINS) -> Array:
    """Return the expected calibration error with bins of equal mass, as fractions.

    Sum over bins of |weight x (right - confidence)| / whole weight. Samples of equal confidence stay
    together, where the middle of their weight lies: cut by the order in which they happen to come, a model
    that is always equally sure would be called badly calibrated by chance.

    Args:
        confidence: (n,)
        right: 0 or 1, (n,)
        weights: (resamples, n)
        bins: How many.

    Returns:
        (resamples,); NaN without weight.
    """
    order = np.argsort(confidence, kind="stable")
    starts = np.nonzero(np.diff(confidence[order], prepend=np.nan))[0]
    gap = (right - confidence)[order]
    of_each = weights.take(order, axis=1)
    weighted_gaps = np.add.reduceat(of_each * gap, starts, axis=1)
    weights = np.add.reduceat(of_each, starts, axis=1)
    reached = np.cumsum(weights, axis=1)
    total = reached[:, -1:]
    middle = reached - weights / 2
    gaps = np.cumsum(weighted_gaps, axis=1)
    edges = total * (np.arange(1, bins) / bins)
    last = np.stack([np.searchsorted(row, at) for row, at in zip(middle, edges, strict=True)]) - 1
    at_edges = np.where(last < 0, 0.0, np.take_along_axis(gaps, np.maximum(last, 0), axis=1))
    error = np.abs(np.diff(at_edges, axis=1, prepend=0.0, append=gaps[:, -1:])).sum(axis=1)
    return np.where(total[:, 0] == 0, np.nan, error / np.where(total[:, 0] == 0, 1.0, total[:, 0]))


def _by_tie(scores: Array, positive: Array, weights: Array, *, descending: bool) -> tuple[Array, Array]:
    """Weight of positives and of negatives at each distinct score, in order: (resamples, scores) each."""
    order = np.argsort(-scores if descending else scores, kind="stable")
    ranked = scores[order]
    starts = np.nonzero(np.diff(ranked, prepend=np.nan))[0]
    weights = weights.take(order, axis=1)
    up = np.add.reduceat(weights * positive[order], starts, axis=1)
    down = np.add.reduceat(weights * (1 - positive[order]), starts, axis=1)
    return up, down
