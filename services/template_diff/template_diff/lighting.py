"""Gives aligned pictures the same broad light, so that a lamp is no defect.

Each picture is multiplied by a smooth field that gives it the first one's low frequencies, colour by colour.
The price: a defect that discolours much more than a tenth of the picture evenly counts as light.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import PIL.Image
import scipy.ndimage

from template_diff.picture import BoolArray, FloatArray, resize

_REDUCTION: Final = 8
_SIGMA_PIXELS: Final = 20.0
"""Of the low pass, at the working size."""
_DARK: Final = 0.05
"""Added to both sides of the ratio: in the dark, noise is no light."""


def even_light(pictures: FloatArray, inside: BoolArray) -> FloatArray:
    """Give every picture the first one's broad light.

    Args:
        pictures: n x 3 x height x width, finite.
        inside: n x height x width, where each picture shows something.
    """
    first, first_inside = pictures[0], inside[0]
    lit = [first]
    for picture, mask in zip(pictures[1:], inside[1:], strict=True):
        # Both over what both show: at a border, the mean of less would look like another light.
        both = mask & first_inside
        lit.append(picture * (_low_pass(first, both) + _DARK) / (_low_pass(picture, both) + _DARK))
    return np.asarray(np.stack(lit), np.float32)


def _low_pass(picture: FloatArray, inside: BoolArray) -> FloatArray:
    height, width = inside.shape
    small = (max(1, width // _REDUCTION), max(1, height // _REDUCTION))
    sigma = _SIGMA_PIXELS / _REDUCTION

    def blurred(plane: FloatArray) -> FloatArray:
        return scipy.ndimage.gaussian_filter(resize(plane, small, PIL.Image.Resampling.BOX), sigma)

    weight = blurred(inside.astype(np.float32)) + 1e-3
    return np.stack(
        [
            resize(blurred(plane * inside) / weight, (width, height), PIL.Image.Resampling.BILINEAR)
            for plane in picture
        ]
    )
