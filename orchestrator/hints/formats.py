"""Anomaly maps as detectors write them: PNG, TIFF or NPY, of any size and range.

A map is one channel of numbers, more for more abnormal. What is ambiguous is refused rather than guessed: a
coloured picture (somebody's rendering of a map), several pages, numbers that are not finite.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from orchestrator.errors import DataError

FloatArray = NDArray[np.float32]
SUFFIXES: Final = (".png", ".tif", ".tiff", ".npy")
"""In small letters; a map may have them in capitals, too."""


class HintError(Exception):
    """A hint that cannot be made. `str(error)` names the file and the reason, in one line."""


def places(folder: Path, key: str) -> tuple[Path, ...]:
    """Return where the map of a query may lie: its path in `folder` with each suffix, small letters first."""
    query = folder / key
    return tuple(query.with_suffix(s) for s in (*SUFFIXES, *map(str.upper, SUFFIXES)))


def present(folder: Path, key: str) -> list[Path]:
    """Return the files at these places, each once, though some disks find it under both spellings.

    Each place is looked at, rather than the folder listed, so that a folder of any size costs the same.
    """
    found = [path for path in places(folder, key) if path.is_file()]
    return [path for n, path in enumerate(found) if not any(path.samefile(other) for other in found[:n])]


def refuse_shared(keys: Sequence[str]) -> None:
    """Make sure that each query has a place of its own for its map.

    Raises:
        DataError: naming two queries whose paths differ in their suffixes alone.
    """
    by_stem: dict[str, str] = {}
    for key in keys:
        other = by_stem.setdefault(key.rpartition(".")[0], key)
        if other != key:
            raise DataError(f"{other} and {key} would have their anomaly maps at the same place.")


def find(folder: Path, key: str) -> Path:
    """Return the file that holds a query's map.

    Raises:
        HintError: there is none, or more than one.
    """
    found = present(folder, key)
    if len(found) > 1:
        raise HintError(f"{found[0]}: there is also {found[1].name}; leave one of them")
    if not found:
        raise HintError(f"{places(folder, key)[0]}: no such file (nor {', '.join(SUFFIXES[1:])})")
    return found[0]


def read(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        HintError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise HintError(f"{path}: {error.strerror or error}") from None


def decode(content: bytes, path: Path) -> FloatArray:
    """Decode a map: height x width, finite, in the file's own range.

    Raises:
        HintError: naming `path`; these bytes are no map.
    """
    try:
        values = _npy(content) if path.suffix.lower() == ".npy" else _picture(content)
    except HintError as error:
        raise HintError(f"{path}: {error}") from None
    except Exception as error:  # Pillow's and numpy's readers raise a dozen types for damaged files
        raise HintError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if not np.isfinite(values).all():
        raise HintError(f"{path}: holds numbers that are not finite (NaN or infinity)")
    return values


def _npy(content: bytes) -> FloatArray:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise HintError("is no array of real numbers")
    return _one_channel(array)


def _picture(content: bytes) -> FloatArray:
    with PIL.Image.open(io.BytesIO(content), formats=("PNG", "TIFF")) as image:
        if (pictures := getattr(image, "n_frames", 1)) > 1:
            raise HintError(f"holds {pictures} pictures, and a map is one")
        if image.mode == "P":
            array = np.asarray(image.convert("RGB"))
        elif image.mode in ("LA", "RGBA"):
            array = np.asarray(image.convert(image.mode.removesuffix("A")))
        else:
            array = np.asarray(image)
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise HintError("is a coloured picture; a map has one channel of numbers")
        array = array[..., 0]
    return _one_channel(array)


def _one_channel(array: NDArray[Any]) -> FloatArray:
    """Drop axes of length one beyond two."""
    array = array.squeeze() if array.ndim > 2 else array
    if array.ndim != 2 or not array.size:
        raise HintError(f"has the shape {'x'.join(map(str, array.shape))}; a map is height x width")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is named so
        return np.asarray(array, np.float32)
