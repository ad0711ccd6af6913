"""The camera and the lamp: turns a surface into a picture, a little differently each time.

What varies from image to image varies among the templates too; otherwise a model could tell an abnormal
image by its lighting.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from orchestrator.dataset.sample.surface import FloatArray, Pose, Surface, cloud


@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """One picture's circumstances."""

    pose: Pose
    azimuth: float
    """Where the lamp stands, radians, 0 is to the right and positive is down."""
    elevation: float
    exposure: float
    warmth: float
    """Positive is redder."""

    @classmethod
    def at_random(cls, rng: np.random.Generator, freedom: float) -> Setup:
        """Draw a setup. `freedom` scales how far the pose may stray: 1 is about 5 degrees and 4 %."""
        return cls(
            pose=Pose(
                angle=math.radians(rng.uniform(-5, 5) * freedom),
                x=rng.uniform(-0.05, 0.05) * freedom,
                y=rng.uniform(-0.05, 0.05) * freedom,
                scale=1 + rng.uniform(-0.03, 0.03) * freedom,
            ),
            azimuth=math.radians(-125 + rng.uniform(-25, 25)),
            elevation=math.radians(rng.uniform(48, 62)),
            exposure=rng.uniform(0.9, 1.1),
            warmth=rng.uniform(-0.03, 0.03),
        )

    def distance(self, other: Setup) -> float:
        """How unlike two pictures' circumstances are, in units that make each contribution about equal."""
        mine, theirs = self.pose, other.pose
        return math.sqrt(
            ((mine.angle - theirs.angle) / 0.05) ** 2
            + ((mine.x - theirs.x) / 0.03) ** 2
            + ((mine.y - theirs.y) / 0.03) ** 2
            + ((mine.scale - theirs.scale) / 0.02) ** 2
            + ((self.azimuth - other.azimuth) / 0.25) ** 2
            + ((self.exposure - other.exposure) / 0.06) ** 2
        )


def develop(surface: Surface, setup: Setup, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light the surface and take its picture: height x width x 3.

    Diffuse and Blinn-Phong highlights on the normals of the height field, a soft shadow, vignetting, a wide
    uneven patch of light, sensor noise, gamma 2.2.
    """
    lamp = (
        math.cos(setup.elevation) * math.cos(setup.azimuth),
        math.cos(setup.elevation) * math.sin(setup.azimuth),
        math.sin(setup.elevation),
    )
    slope_down, slope_right = np.gradient(surface.height / np.float32(surface.pixel))
    length = np.sqrt(slope_right**2 + slope_down**2 + 1)
    facing = (lamp[2] - slope_right * lamp[0] - slope_down * lamp[1]) / length
    half = np.array([lamp[0], lamp[1], lamp[2] + 1])
    half /= np.linalg.norm(half)
    mirror = np.clip((half[2] - slope_right * half[0] - slope_down * half[1]) / length, 0, 1)
    light = 0.35 + 0.75 * np.clip(facing, 0, 1)
    light *= 1 - 0.45 * _shadow(surface, setup)
    light *= _unevenness(surface, rng)
    picture = surface.colour * light[..., None] + (surface.gloss * mirror**24 * 0.55)[..., None]
    tint = np.array([1 + setup.warmth, 1.0, 1 - setup.warmth], np.float32)
    picture = np.clip(picture * tint * setup.exposure, 0, 1) ** (1 / 2.2)
    picture += rng.standard_normal(picture.shape[:2], dtype=np.float32)[..., None] * 0.008
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)


def _shadow(surface: Surface, setup: Setup) -> FloatArray:
    """0..1, where something higher stands between the pixel and the lamp."""
    reach = 0.035 / surface.pixel
    across = round(-math.cos(setup.azimuth) * reach)
    down = round(-math.sin(setup.azimuth) * reach)
    blurred = scipy.ndimage.uniform_filter(surface.height, max(3, round(reach * 0.8)))
    cast = np.roll(blurred, (down, across), axis=(0, 1))
    return np.clip((cast - surface.height) / 0.05, 0, 1)


def _unevenness(surface: Surface, rng: np.random.Generator) -> FloatArray:
    height, width = surface.height.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    vignette = 1 - 0.07 * (x * x + y * y)
    patch = 1 + 0.025 * cloud(rng, surface.height.shape, 3)
    return np.asarray(vignette * patch, np.float32)
