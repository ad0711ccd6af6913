"""How a path is really spelled on disk.

A data set that was made on a file system that ignores case works there and fails elsewhere; `is_file` cannot
tell. Folders are listed once each, which is also quicker than asking for every file.
"""

from __future__ import annotations

from pathlib import Path


class Spelling:
    """Looks paths up in a folder, caching the listings of its subfolders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listings: dict[str, tuple[frozenset[str], dict[str, str]]] = {}

    def on_disk(self, path: str) -> str | None:
        """Return the path as it is spelled on disk, perhaps in another case; None if it is not there."""
        found = ""
        for part in path.split("/"):
            names, by_folded = self._listing(found)
            name = part if part in names else by_folded.get(part.casefold())
            if name is None:
                return None
            found = f"{found}/{name}" if found else name
        return found

    def _listing(self, folder: str) -> tuple[frozenset[str], dict[str, str]]:
        if folder not in self._listings:
            try:
                names = frozenset(entry.name for entry in (self._root / folder).iterdir())
            except OSError:
                names = frozenset()
            self._listings[folder] = (names, {name.casefold(): name for name in sorted(names)})
        return self._listings[folder]
