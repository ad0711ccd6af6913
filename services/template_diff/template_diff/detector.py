"""From pictures to a finding. Everything happens in the query's frame, so that peaks lie where they show.

It keeps nothing between inspections: registering a template takes some 20 ms, and comparing the templates in
the query's frame spares registering them with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import PIL.Image
import scipy.ndimage

from template_diff.calibration import Finding, judge
from template_diff.difference import against_each_other
from template_diff.lighting import even_light
from template_diff.picture import planes
from template_diff.pose import warp
from template_diff.registration import Registrar, levels

MOST_TEMPLATES: Final = 8
"""Those that fit the query best are compared: the work grows with the square of their number."""


def inspect(query: PIL.Image.Image, templates: Sequence[PIL.Image.Image]) -> Finding:
    """Compare a query with at least one normal template of its part."""
    fixed = planes(query)
    registrar = Registrar(levels(fixed))
    moving = [planes(template) for template in templates]
    poses, misfits = zip(*(registrar.register(levels(each)) for each in moving), strict=True)
    nearest = sorted(range(len(moving)), key=misfits.__getitem__)[:MOST_TEMPLATES]
    shape = (fixed.shape[1], fixed.shape[2])
    aligned = [np.stack([warp(plane, poses[i], shape) for plane in moving[i]]) for i in nearest]
    pictures = np.stack([fixed, *aligned])
    inside = scipy.ndimage.binary_erosion(
        np.isfinite(pictures[:, 0]), np.ones((1, 5, 5), bool), border_value=True
    )
    pictures = even_light(np.nan_to_num(pictures), inside)
    return judge(against_each_other(pictures, inside))
