"""Images on the wire: the file as it came, unless a limit or its form asks for another.

What is sent untouched is what the data set holds, so that the provider's own scaling is the only one. The
price is bytes on the wire; the limits are for providers that have them, and stand on the model card.
"""

from __future__ import annotations

import dataclasses
import io
import math
from typing import Final

import PIL.ExifTags
import PIL.Image

from mmad_answer.model import Image

_JPEG_QUALITY: Final = 95
_SHRINK: Final = 0.8
"""Of each side, when even a JPEG is too large."""


@dataclasses.dataclass(frozen=True, slots=True)
class SentImage:
    """An image as it goes to the provider: encoded bytes of that media type, and the size in them."""

    content: bytes
    media_type: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True, slots=True)
class ImagePolicy:
    """When an image is encoded anew; None means: no limit."""

    media_types: frozenset[str] = frozenset({"image/png", "image/jpeg", "image/webp"})
    """What the provider reads; anything else becomes PNG."""
    max_pixels: int | None = None
    max_side: int | None = None
    max_bytes: int | None = None

    def settings(self) -> dict[str, str]:
        """What the model card says about it."""
        limits = {
            "max_image_pixels": self.max_pixels,
            "max_image_side": self.max_side,
            "max_image_bytes": self.max_bytes,
        }
        return {name: "none" if limit is None else str(limit) for name, limit in limits.items()}

    def prepare(self, image: Image) -> SentImage:
        """The image within the limits: the original file if that is one, else encoded anew.

        The media type is the content's own. A JPEG stays one; everything else becomes PNG, which loses
        nothing, unless it is larger than `max_bytes` then.
        """
        pixels = self._scaled(image.pixels)
        if pixels is image.pixels and self._fits(image):
            return SentImage(image.content, image.media_type, *pixels.size)
        if image.media_type != "image/jpeg":
            sent = _encoded(pixels, "PNG")
            if self.max_bytes is None or len(sent.content) <= self.max_bytes:
                return sent
        sent = _encoded(pixels, "JPEG")
        while self.max_bytes is not None and len(sent.content) > self.max_bytes and min(pixels.size) > 1:
            pixels = _resized(pixels, _SHRINK)
            sent = _encoded(pixels, "JPEG")
        return sent

    def _scaled(self, pixels: PIL.Image.Image) -> PIL.Image.Image:
        factor = 1.0
        if self.max_pixels is not None:
            factor = min(factor, math.sqrt(self.max_pixels / (pixels.width * pixels.height)))
        if self.max_side is not None:
            factor = min(factor, self.max_side / max(pixels.size))
        return pixels if factor >= 1 else _resized(pixels, factor)

    def _fits(self, image: Image) -> bool:
        if self.max_bytes is not None and len(image.content) > self.max_bytes:
            return False
        # Some providers turn pictures as EXIF says, and some do not.
        return image.media_type in self.media_types and _upright(image.content)


def _upright(content: bytes) -> bool:
    with PIL.Image.open(io.BytesIO(content)) as file:
        orientation: object = file.getexif().get(PIL.ExifTags.Base.Orientation, 1)
    return orientation == 1


def _resized(pixels: PIL.Image.Image, factor: float) -> PIL.Image.Image:
    size = max(1, math.floor(pixels.width * factor)), max(1, math.floor(pixels.height * factor))
    return pixels.resize(size, PIL.Image.Resampling.LANCZOS)


def _encoded(pixels: PIL.Image.Image, form: str) -> SentImage:
    file = io.BytesIO()
    pixels.save(file, form, **({"quality": _JPEG_QUALITY} if form == "JPEG" else {}))
    return SentImage(file.getvalue(), f"image/{form.lower()}", *pixels.size)
