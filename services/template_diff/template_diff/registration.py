"""Finds the pose of a template on the query.

First a search over some rotations and scales, each with all shifts at once, by half-whitened phase
correlation on small pictures; then Gauss-Newton from coarse to fine (Lucas and Kanade 1981, one pose for the
whole picture) with Cauchy weights, so that a defect does not pull. Both look at local contrast, which a lamp
hardly changes. The price: what lies turned by more than about 15 degrees is not found, and a view from
another side is no pose at all. Then, and for textures without a pose, the template stays as it lies.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal.windows

from template_diff.picture import FloatArray, reduce
from template_diff.pose import IDENTITY, Pose, warp

_SEARCH_SIZE: Final = 64
_REFINE_SIZES: Final = (96, 192)
_ANGLES: Final = tuple(math.radians(degrees) for degrees in range(-15, 16, 3))
_SCALES: Final = (0.95, 1.0, 1.05)
_ITERATIONS: Final = 12
_STEP_TOLERANCE: Final = 2e-4
"""Gauss-Newton ends when no parameter moves further: a thirtieth of a pixel at the finest size."""


@dataclasses.dataclass(frozen=True, slots=True)
class Levels:
    """A picture's local contrast from coarse to fine: all that registration looks at."""

    search: FloatArray
    refine: tuple[FloatArray, ...]


def levels(picture: FloatArray) -> Levels:
    """Prepare a picture (3 x height x width) for registration."""
    brightness = np.asarray(picture.mean(axis=0), np.float32)
    return Levels(
        _local_contrast(brightness, _SEARCH_SIZE),
        tuple(_local_contrast(brightness, size) for size in _REFINE_SIZES),
    )


class Registrar:
    """Registers templates with one query. What depends on the query alone is computed once."""

    def __init__(self, query: Levels) -> None:
        self._query = query
        self._spectrum_shape = (2 * _SEARCH_SIZE, 2 * _SEARCH_SIZE)
        self._turned = [
            (
                Pose.turned(-angle, 1 / scale),
                self._spectrum(warp(query.search, turn, query.search.shape, 0.0)),
            )
            for scale in _SCALES
            for angle in _ANGLES
            for turn in (Pose.turned(angle, scale),)
        ]

    def register(self, template: Levels) -> tuple[Pose, float]:
        """Find the template's pose.

        Returns:
            The pose, and how badly the template fits the query then: the mean difference of local contrast.
        """
        pose = self._search(template.search)
        for moving, fixed in zip(template.refine, self._query.refine, strict=True):
            pose = _refine(moving, fixed, pose)
        moving, fixed = template.refine[-1], self._query.refine[-1]
        misfits = {each: _misfit(moving, fixed, each) for each in (IDENTITY, pose)}
        best = min(misfits, key=misfits.__getitem__)
        return best, misfits[best]

    def _search(self, template: FloatArray) -> Pose:
        spectrum = self._spectrum(template)
        best, peak = IDENTITY, -math.inf
        for pose, turned in self._turned:
            cross = spectrum * np.conj(turned)
            # Whitened altogether, the noise would count as much as the part.
            correlation = scipy.fft.irfft2(cross / np.sqrt(np.abs(cross) + 1e-6), self._spectrum_shape)
            height = float(correlation.max())
            if height > peak:
                place = np.unravel_index(int(correlation.argmax()), correlation.shape)
                y, x = (_wrapped(int(i), n) for i, n in zip(place, correlation.shape, strict=True))
                long = max(template.shape)
                best, peak = dataclasses.replace(pose, x=x / long, y=y / long), height
        return best

    def _spectrum(self, plane: FloatArray) -> FloatArray:
        rows, columns = (scipy.signal.windows.tukey(n, 0.3).astype(np.float32) for n in plane.shape)
        return np.asarray(scipy.fft.rfft2(plane * rows[:, None] * columns, self._spectrum_shape))


def _local_contrast(brightness: FloatArray, size: int) -> FloatArray:
    """Brightness less its surroundings' mean, in units of its surroundings' spread."""
    reach = size // 5
    small = scipy.ndimage.gaussian_filter(reduce(brightness, size), 0.8)
    detail = small - scipy.ndimage.uniform_filter(small, reach)
    spread = np.sqrt(np.maximum(scipy.ndimage.uniform_filter(detail**2, 2 * reach), 0))
    return np.asarray(detail / (spread + 0.02), np.float32)


def _wrapped(index: int, length: int) -> int:
    return index - length if index > length // 2 else index


def _refine(template: FloatArray, query: FloatArray, pose: Pose) -> Pose:
    long = max(template.shape)
    shape = (query.shape[0], query.shape[1])
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y -= (shape[0] - 1) / 2
    x -= (shape[1] - 1) / 2
    for _ in range(_ITERATIONS):
        moved = warp(template, pose, shape)
        down, right = _template_slopes(moved, pose)
        off = query - moved
        inside = np.isfinite(off) & np.isfinite(down) & np.isfinite(right)
        if inside.sum() < query.size / 2:
            break
        residual, down, right, xs, ys = (each[inside] for each in (off, down, right, x, y))
        spread = 1.5 * float(np.median(np.abs(residual))) + 1e-6
        weight = 1 / (1 + (residual / spread) ** 2)
        jacobian = np.stack([right * xs + down * ys, down * xs - right * ys, right * long, down * long])
        weighted = jacobian * weight
        # einsum, not BLAS: its threads would fight with the service's other worker.
        normal = np.einsum("ik,jk->ij", weighted, jacobian)
        step = np.linalg.lstsq(normal, np.einsum("ik,k->i", weighted, residual), rcond=1e-9)[0]
        a, b, to_right, to_down = (float(each) for each in step)
        pose = Pose(pose.a + a, pose.b + b, pose.x + to_right, pose.y + to_down)
        if np.abs(step).max() < _STEP_TOLERANCE:
            break
    return pose


def _template_slopes(moved: FloatArray, pose: Pose) -> tuple[FloatArray, FloatArray]:
    """Down and right in the template's own frame, at the query's pixels."""
    down, right = np.gradient(moved)
    square = pose.scale**2
    return (
        np.asarray((pose.a * down - pose.b * right) / square),
        np.asarray((pose.a * right + pose.b * down) / square),
    )


def _misfit(template: FloatArray, query: FloatArray, pose: Pose) -> float:
    residual = np.abs(query - warp(template, pose, (query.shape[0], query.shape[1])))
    inside = np.isfinite(residual)
    return float(residual[inside].mean()) if inside.mean() > 0.5 else math.inf
