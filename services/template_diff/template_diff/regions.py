"""Reads which part of a picture an option's words name, and how much of a map lies there.

A picture is a grid of cells over the unit square, so that regions and maps of any size meet. Directions are
those of the picture as it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import PIL.Image
import scipy.ndimage

from template_diff.picture import BoolArray, FloatArray, resize

_CELLS: Final = 48
_REACH: Final = 0.05
"""How fast a region fades outside its border, in shares of the picture: parts end at no exact line."""
_LEAST: Final = 1e-4

_TOP = re.compile(r"\b(top|upper|uppermost|above)\b")
_BOTTOM = re.compile(r"\b(bottom|lower|lowermost|below)\b")
_LEFT = re.compile(r"\b(left|leftmost|left-hand)\b")
_RIGHT = re.compile(r"\b(right|rightmost|right-hand)\b")
_CENTER = re.compile(r"\b(cent(er|re|ral)|middle)\b")
_HALF = re.compile(r"\bhalf\b")
_CORNER = re.compile(r"\bcorners?\b")
_EDGE = re.compile(r"\b(edges?|borders?|rim|margins?|periphery|perimeter|outskirts)\b")
_OPENING = re.compile(
    r"\W*(the|in|on|at|near|along|around|about|across|from|to|towards?|over|under|within|inside|by|close|all"
    r"|top|upper\w*|above|bottom|lower\w*|below|left\w*|right\w*|cent(er|re|ral)|middle|half|corners?|edges?"
    r"|borders?|rim|margins?|periphery|perimeter|everywhere|throughout|entire|whole)\b"
)
"""How a phrase of place begins; "A hair lies on top" is a sentence about something else."""
_MOST_WORDS: Final = 10
_ALL = re.compile(r"\b(everywhere|throughout|entire|whole|all over)\b")


def read_region(text: str) -> BoolArray | None:
    """The cells that an option's words name, or None where they are no short phrase of place."""
    words = text.lower()
    if not _OPENING.match(words) or len(words.split()) > _MOST_WORDS:
        return None
    top, bottom, left, right, center = (
        bool(pattern.search(words)) for pattern in (_TOP, _BOTTOM, _LEFT, _RIGHT, _CENTER)
    )
    rows, columns = _thirds(top, bottom), _thirds(left, right)
    if _HALF.search(words) and top + bottom + left + right == 1:
        return _halves(top, bottom)[:, None] & _halves(left, right)[None, :]
    if rows is not None or columns is not None:
        # "top center" and "middle left" name a ninth, "bottom edge" and "left side" a whole band.
        other = _middle() if center else np.ones(_CELLS, bool)
        return (rows if rows is not None else other)[:, None] & (columns if columns is not None else other)[
            None, :
        ]
    if center:
        return _middle()[:, None] & _middle()[None, :]
    if _CORNER.search(words):
        ends = ~_middle()
        return ends[:, None] & ends[None, :]
    if _EDGE.search(words):
        inner = _between(1 / 6, 5 / 6)
        return ~(inner[:, None] & inner[None, :])
    return np.ones((_CELLS, _CELLS), bool) if _ALL.search(words) else None


def shares(heat: FloatArray, regions: Sequence[BoolArray | None]) -> FloatArray:
    """How well each region holds the map's peak: positive, adding up to one.

    What counts is the map above half its height; it fades with the distance from the region. Of two regions
    that hold the same, the smaller one is better: it says more. An option without a region gets next to
    nothing.
    """
    peak = np.clip(heat - heat.max() / 2, 0, None)
    cells = resize(peak, (_CELLS, _CELLS), PIL.Image.Resampling.BOX)
    cells = cells / max(float(cells.sum()), 1e-12)
    held = np.array([0.0 if region is None else _held(cells, region) for region in regions]) + _LEAST
    return np.asarray(held / held.sum())


def _held(cells: FloatArray, region: BoolArray) -> float:
    away = scipy.ndimage.distance_transform_edt(~region) / _CELLS
    return float((cells * np.exp(-away / _REACH)).sum() / np.sqrt(region.mean()))


def _thirds(low: bool, high: bool) -> BoolArray | None:
    """None where neither end is named, or both ("from left to right")."""
    if low == high:
        return None
    return _between(0, 1 / 3) if low else _between(2 / 3, 1)


def _halves(low: bool, high: bool) -> BoolArray:
    return _between(0, 0.5) if low else _between(0.5, 1) if high else _between(0, 1)


def _middle() -> BoolArray:
    return _between(1 / 3, 2 / 3)


def _between(start: float, end: float) -> BoolArray:
    middles = (np.arange(_CELLS) + 0.5) / _CELLS
    return np.asarray((middles >= start) & (middles < end))
