"""The options that services on remote APIs share. A service's own inherit them, and add address and model."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """Each field is an option of the command line; a subclass adds `base_url` and `model`."""

    base_url: str
    """The API's address, up to the part that all its routes share."""
    model: str
    """The provider's id of the model."""
    name: str = ""
    """The model's name in reports. Default: made of the model's id."""
    key_file: Path | None = None
    """File that holds the key, as Docker secrets do. Default: the environment."""
    concurrency: int = 16
    """Inspections at once, and requests under way at most; adapts downwards to the provider's limits."""
    timeout_seconds: float = 120.0
    """For one request, from its sending to the end of its reply."""
    attempts: int = 5
    """For one request, before it is given up."""
    max_wait_seconds: float = 60.0
    """The longest wait that a provider may ask for; for longer ones the caller is told to come again."""
    max_image_pixels: int = 0
    """Larger images are scaled down to this number of pixels; 0: never."""
    max_image_side: int = 0
    """Larger images are scaled down until no side is longer, in pixels; 0: never."""
    max_image_bytes: int = 0
    """Larger files are compressed as JPEG and, if that is not enough, scaled down; 0: never."""
    max_new_tokens: int = 0
    """Of a reply, where the request says nothing; 0: the provider's own bound."""
    max_reasoning_tokens: int = 2048
    """Of thoughts and analyses, where the request says nothing."""
    reply_cache: Path | None = None
    """Folder that keeps replies, so that a request that is asked again costs nothing. Default: none."""

    def __post_init__(self) -> None:
        """Refuse what can mean nothing.

        Raises:
            ValueError: with the option's name.
        """
