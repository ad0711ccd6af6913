"""The places that a map marks: where they are, and the lines around them.

Lines stand outside what they surround, so that they hide nothing of it; only along the picture's own border,
where there is no outside, do they lie within.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels, all inclusive."""


def boxes(marked: BoolArray, gap: int) -> list[Box]:
    """Return a box around each region, from the top down; parts up to `gap` pixels apart are one region."""
    labels, _ = scipy.ndimage.label(grown(marked, (gap + 1) // 2), np.ones((3, 3), bool))
    found = scipy.ndimage.find_objects(np.where(marked, labels, 0))
    return [
        (columns.start, rows.start, columns.stop - 1, rows.stop - 1)
        for rows, columns in (place for place in found if place is not None)
    ]


def bands(marked: BoolArray, *widths: int) -> list[BoolArray]:
    """Return bands around the regions, each of its width in pixels, the innermost first."""
    total = sum(widths)
    depth = _depth(marked.shape, total)
    found, start, before = [], 0, marked
    for width in widths:
        after = grown(marked, start + width)
        along_border = marked & (depth >= total - start - width) & (depth < total - start)
        found.append((after & ~before) | along_border)
        start, before = start + width, after
    return found


def grown(marked: BoolArray, pixels: int) -> BoolArray:
    """Return the regions with all that is up to so many pixels away from them."""
    if pixels < 1 or not marked.any():
        return marked
    near = scipy.ndimage.maximum_filter(marked.view(np.uint8), 2 * pixels + 1, mode="constant")
    return np.asarray(near, bool)


def _depth(shape: tuple[int, ...], most: int) -> NDArray[Any]:
    """How many pixels lie between each pixel and the picture's border, up to `most`."""
    rows, columns = (
        np.minimum(np.minimum(np.arange(length), np.arange(length)[::-1]), most) for length in shape
    )
    return np.minimum(rows[:, None], columns[None, :])
