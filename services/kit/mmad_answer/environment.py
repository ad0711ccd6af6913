"""Which versions answer here, for the model card: the interpreter, the kit's libraries, the model's own."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from pathlib import Path
from typing import Final

_OWN_PACKAGES: Final = ("grpcio", "pillow", "protobuf")
_REQUIREMENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def versions(folder: Path) -> dict[str, str]:
    """Package name to version, for what is installed of the folder's requirements.txt and of the kit's."""
    found = {"python": platform.python_version()}
    for name in (*_OWN_PACKAGES, *_required(folder / "requirements.txt")):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _required(requirements: Path) -> list[str]:
    if not requirements.is_file():
        return []
    lines = requirements.read_text(encoding="utf-8").splitlines()
    # Lines that begin otherwise are comments, options ("-r", "--hash") and paths.
    return [match.group().lower() for line in lines if (match := _REQUIREMENT_NAME.match(line.strip()))]
