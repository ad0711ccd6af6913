"""Prints what a project needs, by its pyproject.toml: python3 needed.py FILE... EXTRAS.

A layer of an image can hold these packages before any code of ours is there.
"""

import sys
import tomllib
from pathlib import Path


def needed(files: list[str], extras: list[str]) -> list[str]:
    """All dependencies of the files' projects, and those of the named extras, in order."""
    found: list[str] = []
    for file in files:
        project = tomllib.loads(Path(file).read_text(encoding="utf-8"))["project"]
        found += project["dependencies"]
        optional = project.get("optional-dependencies", {})
        found += [each for extra in extras for each in optional.get(extra, ())]
    return found


if __name__ == "__main__":
    *FILES, EXTRAS = sys.argv[1:]
    print(*needed(FILES, EXTRAS.split(",")), sep="\n")
