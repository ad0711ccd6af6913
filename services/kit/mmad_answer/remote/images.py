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
_LEAST_SIDE: Final = 64
"""Pixels of the longer side; on less, no defect is to be seen, and no answer means anything."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_EXIF_IN_PNG: Final = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
"""Where a PNG can say that it is to be turned: its own chunk, ImageMagick's text and XMP."""


class ImageTooLargeError(Exception):
    """An image that no size that is of use makes small enough. Its message names the option."""


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

        Raises:
            ImageTooLargeError: `max_bytes` cannot be kept.
        """
        original = image.pixels
        size = self._size(original.size)
        if size == original.size and self._fits(image):
            return SentImage(image.content, image.media_type, *size)
        if image.media_type != "image/jpeg":
            sent = _encoded(original, size, "PNG")
            if self.max_bytes is None or len(sent.content) <= self.max_bytes:
                return sent
        while True:
            sent = _encoded(original, size, "JPEG")
            if self.max_bytes is None or len(sent.content) <= self.max_bytes:
                return sent
            side = math.floor(_SHRINK * max(size))
            if side < _LEAST_SIDE:
                raise ImageTooLargeError(
                    f"--max-image-bytes {self.max_bytes}: an image of {original.width} x {original.height} "
                    f"pixels would have to be smaller than {_LEAST_SIDE} pixels; give a larger number"
                )
            size = _with_long_side(original.size, side)

    def _size(self, size: tuple[int, int]) -> tuple[int, int]:
        side = max(size)
        if self.max_side is not None:
            side = min(side, self.max_side)
        if self.max_pixels is not None:
            side = min(side, math.isqrt(self.max_pixels * max(size) // min(size)))
            while side > 1 and math.prod(_with_long_side(size, side)) > self.max_pixels:
                side -= 1  # the short side was rounded up
        return size if side >= max(size) else _with_long_side(size, max(1, side))

    def _fits(self, image: Image) -> bool:
        if self.max_bytes is not None and len(image.content) > self.max_bytes:
            return False
        # Some providers turn pictures as EXIF says, and some do not.
        return image.media_type in self.media_types and _upright(image.content)


def _upright(content: bytes) -> bool:
    if content.startswith(_PNG) and not any(mark in content for mark in _EXIF_IN_PNG):
        return True  # Pillow would decode the whole picture to find nothing
    with PIL.Image.open(io.BytesIO(content)) as file:
        orientation: object = file.getexif().get(PIL.ExifTags.Base.Orientation, 1)
    return orientation == 1


def _with_long_side(size: tuple[int, int], side: int) -> tuple[int, int]:
    width, height = (max(1, round(each * side / max(size))) for each in size)
    return width, height


def _encoded(pixels: PIL.Image.Image, size: tuple[int, int], form: str) -> SentImage:
    if size != pixels.size:
        pixels = pixels.resize(size, PIL.Image.Resampling.LANCZOS)
    file = io.BytesIO()
    pixels.save(file, form, **({"quality": _JPEG_QUALITY} if form == "JPEG" else {}))
    return SentImage(file.getvalue(), f"image/{form.lower()}", *size)
