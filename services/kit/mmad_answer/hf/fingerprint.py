"""What a checkpoint is called and what pins it: a digest that is quick even for hundreds of gigabytes.

Of each file: its name, its size, and blocks at even distances, the first and the last included. Two
checkpoints of one shape differ there, unless no more was changed than what lies between; the price of not
reading all of it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

_BLOCK_BYTES: Final = 2**18
_BLOCKS: Final = 16
_SUFFIXES: Final = frozenset({".safetensors", ".json", ".jinja", ".model", ".txt"})
"""Of the files that decide what a checkpoint answers."""


def origin(folder: Path) -> tuple[str, str]:
    """Say what a folder's checkpoint is called, and what pins it.

    Of a snapshot in the hub's cache, the hub's id and the commit. Of any other folder its name, wherever it
    lies, and "folder-" with 16 hex digits of its files' digest: replicas may keep it in different places.
    """
    folder = folder.expanduser().resolve()
    if folder.parent.name == "snapshots":
        return folder.parents[1].name.removeprefix("models--").replace("--", "/", 1), folder.name
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _SUFFIXES or not path.is_file():
            continue
        size_bytes = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size_bytes}\0".encode())
        with path.open("rb") as file:
            for i in range(_BLOCKS):
                file.seek(max(0, size_bytes - _BLOCK_BYTES) * i // (_BLOCKS - 1))
                digest.update(file.read(_BLOCK_BYTES))
    return folder.name, f"folder-{digest.hexdigest()[:16]}"
