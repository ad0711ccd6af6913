"""One picture of the sample data set: what is on it is decided by its own seed, so any worker can draw it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.dataset.sample.defects import Change, Defect, difference
from orchestrator.dataset.sample.part import Part
from orchestrator.dataset.sample.photograph import Setup, develop
from orchestrator.dataset.sample.surface import Surface

_MASK_THRESHOLD = 0.03
"""A pixel counts as defective from this change of reflectance on; less drowns in the sensor's noise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A picture to draw, and where."""

    part: Part
    path: Path
    seed: tuple[int, ...]
    defect: Defect | None = None
    severity: float = 0.0
    mask: Path | None = None

    def setup(self) -> Setup:
        """The circumstances under which this picture is taken; cheap, and the same each time."""
        return Setup.at_random(np.random.default_rng([*self.seed, 0]), self.part.freedom)


def draw(picture: Picture) -> NDArray[np.float64]:
    """Draw and save a picture and its mask.

    Returns:
        3 x 3: the share of the mask in each ninth of the picture, rows from the top; zeros when flawless.
    """
    defect, setup = picture.defect, picture.setup()
    flawless = _surface(picture, setup, Change())
    shown, shares = flawless, np.zeros((3, 3))
    if defect is not None:
        rng = np.random.default_rng([*picture.seed, 1])
        site = int(rng.integers(len(defect.sites)))
        if defect.fault is not None:
            shown = _surface(picture, setup, defect.fault(site, picture.severity, rng))
        if defect.mark is not None:
            shown = shown.copy()
            defect.mark(shown, *defect.sites[site], picture.severity, rng)
        mask = difference(flawless, shown) > _MASK_THRESHOLD
        shares = _shares(mask)
        if picture.mask is not None:
            _save(mask.astype(np.uint8) * 255, picture.mask)
    _save(develop(shown, setup, np.random.default_rng([*picture.seed, 2])), picture.path)
    return shares


def _surface(picture: Picture, setup: Setup, change: Change) -> Surface:
    surface = Surface.blank(picture.part.size, setup.pose)
    picture.part.draw(surface, np.random.default_rng([*picture.seed, 3]), change)
    return surface


def _shares(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    counts, _, _ = np.histogram2d(rows, columns, bins=3, range=((0, mask.shape[0]), (0, mask.shape[1])))
    return counts / max(1, len(rows))


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(pixels).save(path, compress_level=3)
    else:
        Image.fromarray(pixels).save(path, quality=92)
