"""What `--data` names: a folder, or the word "sample" for the sample data set, drawn when first needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestrator.dataset import sample

SAMPLE: Final = "sample"
SAMPLE_FOLDER: Final = Path("data", "sample")
"""Where "sample" is drawn, relative to the current folder."""


def locate(data: str, note: Callable[[str], None]) -> Path:
    """Return the folder that `data` names, drawing the sample data set if that is what it names.

    A folder called "sample" can still be given, as "./sample".

    Args:
        data: a path, or "sample".
        note: is told, in one line, when drawing begins.

    Raises:
        DataError: "sample" was asked for and its folder holds something else, or cannot be written.
    """
    if data != SAMPLE:
        return Path(data)
    if not (SAMPLE_FOLDER / "mmad.json").is_file():
        note(f"Drawing the sample data set in {SAMPLE_FOLDER} ({sample.DEFAULT_IMAGES} images).")
    sample.draw(SAMPLE_FOLDER)
    return SAMPLE_FOLDER
