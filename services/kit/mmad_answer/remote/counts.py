"""Token counts as providers tell them, made fit for the contract.

An answer is paid for, and a count beside it is only bookkeeping: one that is none counts as 0, as one that is
left out does, and costs no answer.
"""

from __future__ import annotations

from typing import Any, Final

_LARGEST: Final = 2**32 - 1
"""The contract's counts are unsigned 32-bit integers."""


def token_count(value: Any) -> int:
    """A count of tokens in a JSON value: a whole number, or one in a string; 0 for anything else."""
    match value:
        case bool():
            return 0
        case str() if value.isascii() and value.isdecimal() and len(value) <= len(str(_LARGEST)):
            value = int(value)
        case float() if value.is_integer():
            value = int(value)
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else 0
