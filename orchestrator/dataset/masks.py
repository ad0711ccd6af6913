"""Where a sample's ground-truth mask is, and which pixels it marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.errors import DataError
from orchestrator.vocabulary import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def resolve(root: Path, sample: Sample) -> tuple[Path, ...]:
    """Find a sample's mask files: none for a normal image, several where the mask is a folder (MVTec-LOCO).

    MMAD writes the path relative to DATASET/PRODUCT, the hub copy relative to the key's first three parts;
    the file's suffix can differ from the one written.

    Raises:
        DataError: a mask is named, but is in neither place.
    """
    if not sample.mask:
        return ()
    parts = sample.key.split("/")
    places = [root.joinpath(*parts[:count], sample.mask) for count in (2, 3)]
    for place in places:
        found = tuple(_files(place))
        if found:
            return found
    raise DataError(f"{sample.key}: its mask is neither {places[0]} nor {places[1]}")


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    elif place.is_dir():
        yield from sorted(p for p in place.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
    elif place.parent.is_dir():
        near = sorted(place.parent.glob(f"{_escape(place.stem)}.*"))
        yield from [p for p in near if p.suffix.lower() in _SUFFIXES and p.is_file()][:1]


def _escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def load(paths: Sequence[Path]) -> NDArray[np.bool_]:
    """Read mask files and return their union, height x width: true where there is a defect.

    A pixel counts when any of its colour channels is above zero, so 0/1, 0/255, palettes and colours all
    work; transparency is ignored.

    Raises:
        DataError: a file is not an image, or the files differ in size.
        ValueError: no path is given.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    union: NDArray[np.bool_] | None = None
    for path in paths:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image)
                channels = len(image.getbands()) - ("A" in image.getbands())
        except (
            OSError,
            SyntaxError,
            ValueError,
            UnidentifiedImageError,
            Image.DecompressionBombError,
        ) as error:
            raise DataError(f"{path}: the mask cannot be read: {error}") from None
        marked = np.any(pixels.reshape(*pixels.shape[:2], -1)[..., :channels], axis=2)
        if union is not None and union.shape != marked.shape:
            raise DataError(f"{path}: the mask's size differs from that of {paths[0]}")
        union = np.asarray(marked if union is None else union | marked)
    if union is None:
        raise ValueError("no mask is given")
    return union
