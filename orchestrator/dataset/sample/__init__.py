"""The sample data set: small, in MMAD's format, drawn here, so that everything can be tried without MMAD.

Its data sets have names of their own ("Sample-Parts", "Sample-Surfaces"): nobody shall take its scores for
MMAD's. The drawing libraries are imported when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

DEFAULT_IMAGES: Final = 72
STAMP: Final = "sample.json"
"""The file that says with which settings a folder was drawn."""
LIKE_MMAD: Final = "like MMAD"
"""What that file says of a folder with MMAD's composition."""


def draw(directory: Path, images: int = DEFAULT_IMAGES, seed: int = 0) -> None:
    """Draw `images` query images with their questions, masks and templates.

    A folder that holds the very same data set already is left as it is, so this is cheap to call again.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    from orchestrator.dataset.sample import drawing

    drawing.draw(directory, images, seed)


def draw_like_mmad(directory: Path, seed: int = 0) -> None:
    """Make a data set with MMAD's exact composition (8,366 images, 39,672 questions), its images tiny noise.

    A folder that holds the very same data set already is left as it is.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    from orchestrator.dataset.sample import like_mmad

    like_mmad.draw(directory, seed)
