"""How unlike each pixel of a picture is to the same place in normal pictures of the part.

The distance in colour to the most alike pixel nearby, in any of the references: a slight misalignment, or
what only some of the references show, makes no difference. The price: what has moved by less than about a
pixel, or shows in one of the references too, is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from template_diff.picture import BoolArray, FloatArray

_NEIGHBOURHOOD: Final = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


def against_each_other(pictures: FloatArray, inside: BoolArray) -> list[FloatArray]:
    """Compare each picture with all but the first and itself.

    Args:
        pictures: n x 3 x height x width; the first is the query, the others are templates in its frame.
        inside: n x height x width, where each picture shows something.

    Returns:
        n maps, height x width: the distance in colour, 0 where there is nothing to compare with.
    """
    templates = range(1, len(pictures))
    return [
        _nearest(
            pictures[i],
            [pictures[j] for j in templates if j != i],
            [inside[i] & inside[j] for j in templates if j != i],
        )
        for i in range(len(pictures))
    ]


def _nearest(picture: FloatArray, references: Sequence[FloatArray], both: Sequence[BoolArray]) -> FloatArray:
    nearest = np.full(picture.shape[1:], np.inf, np.float32)
    for reference, comparable in zip(references, both, strict=True):
        square = _square_distance(picture, reference)
        np.minimum(nearest, square, out=nearest, where=comparable)
    return np.sqrt(np.where(np.isfinite(nearest), nearest, 0))


def _square_distance(picture: FloatArray, reference: FloatArray) -> FloatArray:
    height, width = picture.shape[1:]
    padded = np.pad(reference, ((0, 0), (1, 1), (1, 1)), mode="edge")
    best = np.full((height, width), np.inf, np.float32)
    total, part = np.empty_like(best), np.empty_like(best)
    for down, right in _NEIGHBOURHOOD:
        moved = padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
        total.fill(0)
        for plane, other in zip(picture, moved, strict=True):
            np.subtract(plane, other, out=part)  # in place: this loop is where the time goes
            np.multiply(part, part, out=part)
            np.add(total, part, out=total)
        np.minimum(best, total, out=best)
    return best
