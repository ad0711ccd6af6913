"""What a provider's headers say about its limits, in seconds from now.

Retry-After is RFC 9110's (seconds or a date), `retry-after-ms` and `x-ratelimit-*` are OpenAI's, which most
compatible servers use too. A header that cannot be read counts as none: it is advice, not the reply. So does
a wait of more than a day, which is a point in time (1764000000) or no sense, and would stop a run for good.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import re
from collections.abc import Mapping
from typing import Final

_LONGEST_SECONDS: Final = 86_400.0
_UNIT_SECONDS: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
_TIMED: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to be left alone, from 0; None if it does not say.

    A date is read against the response's own Date, as the two clocks may differ.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return _wait(milliseconds / 1000)
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return _wait(seconds)
    if (until := _date(value)) is None:
        return None
    now = _date(headers.get("date", "")) or datetime.datetime.now(datetime.UTC)
    return _wait(max(0.0, (until - now).total_seconds()))


def rest_seconds(headers: Mapping[str, str], tokens: int) -> float:
    """How long to wait until the next request, which takes about so many tokens, fits into the limits.

    `x-ratelimit-reset-*` is the time until the whole allowance is there again, and it fills evenly, so a
    part of it is there after that part of the time.
    """
    return max(_rest_seconds(headers, "requests", 1), _rest_seconds(headers, "tokens", tokens))


def _rest_seconds(headers: Mapping[str, str], unit: str, needed: int) -> float:
    remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}"))
    reset = _wait(duration_seconds(headers.get(f"x-ratelimit-reset-{unit}", "")))
    if remaining is None or reset is None or remaining >= needed:
        return 0.0
    limit = _number(headers.get(f"x-ratelimit-limit-{unit}"))
    if limit is None or limit <= remaining:
        return reset
    return reset * min(1.0, (needed - remaining) / (limit - remaining))


def duration_seconds(text: str) -> float | None:
    """The seconds in "6m0s", "20ms", "1h2m3.5s" or "12.5"; None for anything else."""
    if (plain := _number(text)) is not None:
        return plain
    pieces = _TIMED.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text.strip():
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in pieces)


def _wait(seconds: float | None) -> float | None:
    return None if seconds is None or seconds > _LONGEST_SECONDS else seconds


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) and number >= 0 else None


def _date(text: str) -> datetime.datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
