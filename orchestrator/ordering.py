"""The order in which people count."""

from __future__ import annotations

import re


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts "chance-2" before "chance-10"."""
    return tuple((part, int(number or 0)) for part, number in re.findall(r"(\D*)(\d*)", text))
