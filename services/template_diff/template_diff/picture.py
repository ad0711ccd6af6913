"""A picture as this service works on it: small, as planes of colour.

Everything is computed on `WORKING_SIZE` pixels along the long side. The price: what is thinner than a pixel
there (a third of a percent of the picture) fades into its surroundings.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import PIL.Image
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
"""float32 wherever whole pictures are concerned."""
BoolArray = NDArray[np.bool_]

WORKING_SIZE: Final = 320
_SMALLEST_SIDE: Final = 16


def planes(picture: PIL.Image.Image) -> FloatArray:
    """Reduce an RGB picture (never enlarging it): 3 x height x width, 0..1."""
    pixels = picture.resize(reduced_size(*picture.size, WORKING_SIZE), PIL.Image.Resampling.BOX)
    return np.ascontiguousarray(np.asarray(pixels, np.float32).transpose(2, 0, 1)) / np.float32(255)


def reduce(plane: FloatArray, size: int) -> FloatArray:
    """Reduce one plane (height x width) to `size` pixels along its long side, never enlarging it."""
    height, width = plane.shape
    return resize(plane, reduced_size(width, height, size), PIL.Image.Resampling.BOX)


def resize(plane: FloatArray, size: tuple[int, int], resampling: PIL.Image.Resampling) -> FloatArray:
    """Bring one plane to `size` (width, height)."""
    return np.asarray(PIL.Image.fromarray(np.asarray(plane, np.float32)).resize(size, resampling))


def reduced_size(width: int, height: int, size: int) -> tuple[int, int]:
    share = min(1.0, size / max(width, height))
    return max(_SMALLEST_SIDE, round(width * share)), max(_SMALLEST_SIDE, round(height * share))
