"""What "the same maps" means to a run, told quickly.

A data set's maps may be tens of gigabytes, so they are not read whole: a file counts by its path, its size
and some blocks spread over it (all of it, if it is small). The price: a change between the blocks that keeps
the size goes unnoticed. Times of modification do not count, since a copy has others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 4096
_BLOCKS: Final = 16


def sampled_digest(files: Iterable[tuple[str, Path]]) -> str:
    """Return a sha256 (hex) over the files, each with the name that it goes by, in the order given."""
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(f"{name}\0".encode(errors="surrogateescape"))
        whole.update(_sampled(path))
    return whole.hexdigest()


def _sampled(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            digest.update(f"{size}\0".encode())
            last = max(0, size - _BLOCK_BYTES)
            for block in range(_BLOCKS):  # they overlap in a small file, and so leave nothing out
                file.seek(last * block // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK_BYTES))
    except OSError as error:
        digest.update(f"unreadable: {error.strerror}".encode())
    return digest.digest()
