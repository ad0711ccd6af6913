"""Seeds that depend on what they are for and on nothing else.

Every random choice of a protocol (which images a limit keeps, how options are shuffled, which defect
examples are shown) is drawn from its own generator, seeded by the run's seed and the thing's own name. So a
choice never depends on how many others came before it: a filter, a resumed run, another order change nothing.
"""

from __future__ import annotations

import hashlib
import random


def derive_seed(*parts: object, bits: int = 64) -> int:
    """Return a seed of `bits` bits that is a function of `parts` alone, on every machine and Python."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - bits)


def generator(*parts: object) -> random.Random:
    """Return a generator of its own for the choice that `parts` name."""
    return random.Random(derive_seed(*parts))
