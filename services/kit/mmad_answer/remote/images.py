"""Images on the wire: the file as it came, unless a limit or its format asks for another.

What is sent untouched is what the data set holds, so the provider's own scaling is the only one. The price is
bytes on the wire; the limits are there for providers that have them, and they are told on the card.
"""

from __future__ import annotations

import dataclasses

from mmad_answer.model import Image


@dataclasses.dataclass(frozen=True, slots=True)
class SentImage:
    """An image as it goes to the provider: encoded bytes of that media type, and the size in them."""

    content: bytes
    media_type: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePolicy:
    """When an image is encoded anew. Zero means: no limit."""

    media_types: frozenset[str] = frozenset({"image/png", "image/jpeg", "image/webp"})
    """What the provider reads; anything else becomes PNG."""
    max_pixels: int = 0
    max_side: int = 0
    max_bytes: int = 0

    def settings(self) -> dict[str, str]:
        """What the model card says about it."""
        raise NotImplementedError

    def prepare(self, image: Image) -> SentImage:
        """The image within the limits: the original file if that is one, else encoded anew."""
        raise NotImplementedError
