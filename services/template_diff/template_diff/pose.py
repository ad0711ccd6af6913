"""How a template lies relative to the query: a rotation, an enlargement and a shift in the plane."""

from __future__ import annotations

import dataclasses
import math
from typing import Final, Self

import numpy as np
import scipy.ndimage

from template_diff.picture import FloatArray


@dataclasses.dataclass(frozen=True, slots=True)
class Pose:
    """Where in the template the query's point p lies: (a, -b; b, a) p + (x, y).

    x to the right, y down, both pictures' origins in their middle. The shift is in shares of the template's
    long side, so that a pose is the same at every size.
    """

    a: float = 1.0
    b: float = 0.0
    x: float = 0.0
    y: float = 0.0

    @classmethod
    def turned(cls, angle: float, scale: float) -> Self:
        """Rotate by `angle` (radians) and enlarge by `scale`, without a shift."""
        return cls(scale * math.cos(angle), scale * math.sin(angle))

    @property
    def angle(self) -> float:
        """Radians, clockwise as seen, from the query's to the template's."""
        return math.atan2(self.b, self.a)

    @property
    def scale(self) -> float:
        """How much longer a line is in the template."""
        return math.hypot(self.a, self.b)


IDENTITY: Final = Pose()


def warp(plane: FloatArray, pose: Pose, shape: tuple[int, int], outside: float = math.nan) -> FloatArray:
    """Bring a template's plane (height x width) into the query's frame, of `shape` (height, width).

    Points that lie outside the template become `outside`.
    """
    matrix = np.array([[pose.a, pose.b], [-pose.b, pose.a]])  # for (y, x)
    middle, template_middle = (np.array(shape) - 1) / 2, (np.array(plane.shape) - 1) / 2
    shift = np.array([pose.y, pose.x]) * max(plane.shape)
    offset = template_middle + shift - matrix @ middle
    return np.asarray(scipy.ndimage.affine_transform(plane, matrix, offset, shape, order=1, cval=outside))
