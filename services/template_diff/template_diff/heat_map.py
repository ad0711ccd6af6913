"""The difference map as a file: 16-bit grey, at the working size, on one scale for all pictures.

The map is in units of what is normal at each place, at least `calibration`'s noise, so that it never exceeds
the largest distance between two colours in units of that noise, which is about 87: nothing is cut off.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import PIL.Image

from template_diff.picture import FloatArray

STEPS_PER_UNIT: Final = 512
"""Grey levels for one time what is normal."""


def anomaly_map(heat: FloatArray) -> bytes:
    """Encode a map (height x width, from 0 up) as a PNG; the same map gives the same bytes."""
    levels = np.clip(np.rint(heat * STEPS_PER_UNIT), 0, 65535).astype(np.uint16)
    file = io.BytesIO()
    PIL.Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()
