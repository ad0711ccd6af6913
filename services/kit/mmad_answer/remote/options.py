"""The options that every service on a remote API has, on the command line and in the environment."""

from __future__ import annotations

import dataclasses
import math
import urllib.parse
from pathlib import Path
from typing import Final

_AT_LEAST_ONE: Final = (
    *("concurrency", "attempts", "max_new_tokens", "max_reasoning_tokens"),
    *("max_images", "max_image_pixels", "max_image_side", "max_image_bytes"),
)
_ABOVE_ZERO: Final = ("timeout_seconds", "max_wait_seconds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """How a provider is asked. A service inherits these, with a default for the address."""

    base_url: str
    """The API's address, up to the part that all its routes share."""
    model: str
    """The provider's id of the model."""
    name: str | None = None
    """The model's name in runs and reports (default: the id's last part, in lower case)."""
    key_file: Path | None = None
    """A file that holds the key and nothing else, as Docker secrets do (default: the environment)."""
    concurrency: int = 16
    """Inspections at once, and requests under way at most; it adapts downwards to the provider's limits."""
    timeout_seconds: float = 120.0
    """For one request, from its sending to the end of its reply."""
    attempts: int = 5
    """For one request, before it is given up."""
    max_wait_seconds: float = 60.0
    """The longest wait that a provider may ask for; callers are told of longer ones, and come again."""
    max_images: int = 64
    """That the model takes in one inspection; the orchestrator leaves templates out beyond it."""
    max_image_pixels: int | None = None
    """Larger images are scaled down to this number of pixels (default: never)."""
    max_image_side: int | None = None
    """Images with a longer side are scaled down until it has this number of pixels (default: never)."""
    max_image_bytes: int | None = None
    """Larger files are compressed as JPEG and, if that is not enough, scaled down (default: never)."""
    max_new_tokens: int | None = None
    """Of an answer, unless the request says otherwise (default: the provider's own bound)."""
    max_reasoning_tokens: int = 2048
    """Of thoughts, on top of an answer's; and of an inspection's analysis. A request may say otherwise."""
    reply_cache: Path | None = None
    """A folder that keeps replies, so that what is asked again costs nothing (default: none)."""

    def __post_init__(self) -> None:
        """Refuse what can mean nothing.

        Raises:
            ValueError: a number out of its range, or an address that is none or holds a secret.
        """
        for name in _AT_LEAST_ONE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{_dashed(name)} must be at least 1")
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if not (0 < value < math.inf):
                raise ValueError(f"{_dashed(name)} must be a number of seconds above 0")
        if not self.model.strip():
            raise ValueError("--model is empty: give the provider's id of the model")
        _check_address(self.base_url)


def _check_address(address: str) -> None:
    # Before anything repeats it: it may hold a secret, also where it is no address.
    if set("@?#") & set(address):
        raise ValueError(
            "--base-url holds more than an address: no user, password or query; "
            "keys come from --key-file or the environment"
        )
    try:
        parts = urllib.parse.urlsplit(address)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        whole = False
    if not whole or not address.isprintable() or " " in address:
        raise ValueError(
            f"--base-url {address!r}: is no address of a web API: https://api.openai.com/v1 is one"
        )


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
