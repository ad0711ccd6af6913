"""What a part looks like before light falls on it: colour, height and gloss of every pixel.

Parts are drawn by distance fields in their own coordinates (x to the right, y down, the part within about
-1..1), so that a pose is only another set of coordinates and edges are anti-aliased by themselves.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, Self

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
"""float32 wherever whole pictures are concerned."""
Colour = tuple[float, float, float]
"""Red, green, blue, each 0..1."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pose:
    """How the part lies under the camera: radians, shift and scale in part coordinates."""

    angle: float = 0.0
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0


@dataclasses.dataclass(slots=True)
class Surface:
    """Layers of one picture, all height x width. Painting works in place, through `near` too."""

    u: FloatArray
    v: FloatArray
    """Part coordinates of each pixel."""
    pixel: float
    """Side of a pixel in part coordinates."""
    colour: FloatArray
    """height x width x 3, linear reflectance."""
    height: FloatArray
    """In part coordinates, towards the camera."""
    gloss: FloatArray
    body: FloatArray
    """1 where the part is, 0 where the background is."""

    @classmethod
    def blank(cls, size: tuple[int, int], pose: Pose) -> Self:
        """Return an empty surface of (width, height) pixels, seen in a pose."""
        width, height = size
        unit = min(size) / 2
        x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / unit - pose.x)[None, :]
        y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / unit - pose.y)[:, None]
        cos, sin = math.cos(pose.angle) / pose.scale, math.sin(pose.angle) / pose.scale
        flat = np.zeros((height, width), np.float32)
        return cls(
            u=(x * cos + y * sin).astype(np.float32),
            v=(y * cos - x * sin).astype(np.float32),
            pixel=1 / (unit * pose.scale),
            colour=np.zeros((height, width, 3), np.float32),
            height=flat,
            gloss=flat.copy(),
            body=flat.copy(),
        )

    def copy(self) -> Surface:
        """Return a surface that can be painted without changing this one."""
        return dataclasses.replace(
            self,
            colour=self.colour.copy(),
            height=self.height.copy(),
            gloss=self.gloss.copy(),
            body=self.body.copy(),
        )

    def near(self, x: float, y: float, radius: float) -> Surface:
        """Return the window around a point: views, so that painting it paints this surface."""
        inside = (np.abs(self.u - x) <= radius) & (np.abs(self.v - y) <= radius)
        window = (_extent(inside.any(axis=1)), _extent(inside.any(axis=0)))
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[window] for name in ("u", "v", "colour", "height", "gloss", "body")},
        )

    def cover(self, distance: FloatArray, softness: float = 1.0) -> FloatArray:
        """Return how much of each pixel lies inside (distance < 0), with an edge of `softness` pixels."""
        return np.asarray(np.clip(0.5 - distance / (self.pixel * softness), 0, 1))

    def paint(
        self,
        coverage: FloatArray,
        colour: Colour | FloatArray | None = None,
        *,
        height: float | FloatArray | None = None,
        gloss: float | None = None,
        body: float | None = None,
    ) -> None:
        """Blend the given layers in where `coverage` is above zero."""
        if colour is not None:
            paint = np.asarray(colour, np.float32)
            self.colour += coverage[..., None] * (paint - self.colour)
        if height is not None:
            self.height += coverage * (height - self.height)
        if gloss is not None:
            self.gloss += coverage * (gloss - self.gloss)
        if body is not None:
            self.body += coverage * (body - self.body)


def _extent(hits: NDArray[np.bool_]) -> slice:
    indices = np.flatnonzero(hits)
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 0)


# ----------------------------------------------------------------------- distances: negative is inside


def circle(s: Surface, x: float, y: float, radius: float) -> FloatArray:
    """Distance to a circle."""
    return np.asarray(np.hypot(s.u - x, s.v - y) - np.float32(radius))


def box(
    s: Surface,
    x: float,
    y: float,
    half_width: float,
    half_height: float,
    angle: float = 0.0,
    rounding: float = 0.0,
) -> FloatArray:
    """Distance to a box, turned about its centre by `angle` radians, its corners rounded."""
    cos, sin = math.cos(angle), math.sin(angle)
    du, dv = s.u - x, s.v - y
    dx = np.abs(du * cos + dv * sin) - (half_width - rounding)
    dy = np.abs(dv * cos - du * sin) - (half_height - rounding)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return outside + np.minimum(np.maximum(dx, dy), 0) - np.float32(rounding)


def line(s: Surface, points: list[tuple[float, float]]) -> FloatArray:
    """Distance to a polyline, which has no inside: subtract half a width."""
    nearest = np.full(s.u.shape, np.inf, np.float32)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        along = np.clip(((s.u - ax) * dx + (s.v - ay) * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
        np.minimum(nearest, np.hypot(s.u - ax - along * dx, s.v - ay - along * dy), out=nearest)
    return nearest


def blob(s: Surface, x: float, y: float, radius: float, rng: np.random.Generator) -> FloatArray:
    """Distance to an irregular spot whose outline wanders by about a quarter of its radius."""
    angle = np.arctan2(s.v - y, s.u - x)
    outline = np.full(s.u.shape, radius, np.float32)
    for harmonic in (2, 3, 5, 8):
        amplitude = radius * rng.uniform(0.05, 0.35) / harmonic**0.7
        outline += np.float32(amplitude) * np.cos(harmonic * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    return np.asarray(np.hypot(s.u - x, s.v - y) - outline)


def cloud(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> FloatArray:
    """Return smooth noise, mean about 0 and deviation about 1, with `cells` bumps along the longer side."""
    height, width = shape[:2]
    step = max(height, width) / cells
    coarse = rng.standard_normal((int(height / step) + 3, int(width / step) + 3), dtype=np.float32)
    rows = np.linspace(0, coarse.shape[0] - 2, height, dtype=np.float32)
    columns = np.linspace(0, coarse.shape[1] - 2, width, dtype=np.float32)
    fine = scipy.ndimage.zoom(coarse, 4, order=3)
    scale_rows = (fine.shape[0] - 1) / (coarse.shape[0] - 1)
    scale_columns = (fine.shape[1] - 1) / (coarse.shape[1] - 1)
    return _bilinear(fine, rows * scale_rows, columns * scale_columns)


def _bilinear(image: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = (rows - top)[:, None], (columns - left)[None, :]
    upper = image[top] + (image[np.minimum(top + 1, image.shape[0] - 1)] - image[top]) * down
    lower = upper[:, np.minimum(left + 1, image.shape[1] - 1)]
    start = upper[:, left]
    return np.asarray(start + (lower - start) * right, np.float32)
