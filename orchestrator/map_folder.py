"""A folder of anomaly maps in the making: whole files in the data set's tree, and a note of what made them.

Maps of another detector, of other templates or of another data set do not go into one folder, since the scale
is taken over all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.atomic import replacing
from orchestrator.errors import RunError
from orchestrator.hints import formats
from orchestrator.runfolder import check_same

MAKER_FILE: Final = "maps.json"


class MapFolder:
    """The maps in a folder; the caller holds its lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def refuse_unknown(self, keys: Iterable[str]) -> None:
        """Make sure that, without a note of what made them, no maps of these queries are there.

        Raises:
            RunError: naming one.
        """
        if (self._folder / MAKER_FILE).exists():
            return
        for key in keys:
            for place in formats.places(self._folder, key):
                if place.exists():
                    raise RunError(
                        f"{place} is there already, and there is no {MAKER_FILE} that says what made it. "
                        "Choose another --out: one detector makes the maps of a folder."
                    )

    def claim(self, maker: Mapping[str, Any]) -> None:
        """Note what makes the maps, or see that it is what has made those that are there.

        Raises:
            RunError: something else has made them, naming each difference.
        """
        path = self._folder / MAKER_FILE
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            with replacing(path) as file:
                json.dump(maker, file, indent=1)
                file.write("\n")
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read: {error}. Choose another --out.") from None
        else:
            check_same(self._folder, "detector's maps", stored, maker)

    def place(self, key: str) -> Path:
        """Return where a query's map goes."""
        return (self._folder / key).with_suffix(".png")

    def holds(self, key: str) -> bool:
        """Whether a query's map is there; one that is, is whole."""
        return self.place(key).is_file()

    def keep(self, key: str, content: bytes) -> None:
        """Write a query's map.

        Raises:
            HintError: this is no map.
            RunError: the folder cannot be written.
        """
        place = self.place(key)
        formats.decode(content, place)
        with replacing(place, "wb") as file:
            file.write(content)
