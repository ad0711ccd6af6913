"""What may be an image here, and how it becomes pixels.

Checked cheaply as soon as an inspection has a place (`inspect`: format and size, from the header), decoded
when its turn comes (`decode`: only that finds a truncated file). The first frame counts.

How pixels become 8-bit RGB, always the same way, so that two images of one inspection stay comparable:
EXIF orientation is applied; ICC profiles are ignored; palettes are looked up; transparency is laid on white,
as viewers show it; 16-bit grey keeps its high byte, with no stretching. 32-bit integers and floats have no
defined white and are refused.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Sequence
from typing import Final

import PIL.Image
import PIL.ImageOps

from mmad_answer.checks import Violation
from mmad_answer.refusal import invalid

MAX_PIXELS: Final = 89_478_485
"""Of one image: the size from which Pillow, too, suspects a decompression bomb (256 MiB of RGB)."""
BYTES_PER_PIXEL: Final = 4
"""Of a decoded picture: Pillow keeps RGB in four bytes."""
COPIES_WHEN_DECODING: Final = 5
"""Of one picture, beside the result, at most: as read, turned, RGBA, white, and laid on that white."""
MAX_PIXELS_OF_INSPECTION: Final = 4 * MAX_PIXELS
"""Of all images of an inspection: many images under the limit are a bomb as well."""

_SIGNATURES: Final = (
    ("PNG", "image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("JPEG", "image/jpeg", 0, b"\xff\xd8\xff"),
    ("WEBP", "image/webp", 8, b"WEBP"),
    ("BMP", "image/bmp", 0, b"BM"),
    ("TIFF", "image/tiff", 0, b"II*\x00"),
    ("TIFF", "image/tiff", 0, b"MM\x00*"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """What an encoded image says about itself."""

    format: str
    media_type: str
    width: int
    height: int

    @property
    def pixel_bytes(self) -> int:
        """What the decoded picture takes up."""
        return self.width * self.height * BYTES_PER_PIXEL


class BrokenImageError(ValueError):
    """The bytes are no image that can be read. Its message is the reason, for people."""


def inspect(contents: Sequence[bytes]) -> tuple[Header, ...]:
    """Read the headers of all images of an inspection.

    Raises:
        RefusalError: INVALID_ARGUMENT that names every image that cannot be one, and why.
    """
    headers: list[Header] = []
    violations: list[Violation] = []
    for i, content in enumerate(contents):
        try:
            headers.append(read_header(content))
        except BrokenImageError as error:
            violations.append((f"images[{i}].content", str(error)))
    pixels = sum(header.width * header.height for header in headers)
    if pixels > MAX_PIXELS_OF_INSPECTION:
        violations.append(
            ("images", f"{pixels:,} pixels in all, and {MAX_PIXELS_OF_INSPECTION:,} are allowed")
        )
    if violations:
        raise invalid(violations)
    return tuple(headers)


def read_header(content: bytes) -> Header:
    """Format and size of one encoded image, without decoding its pixels.

    Raises:
        BrokenImageError: not an image, a damaged header, or too many pixels.
    """
    if not content:
        raise BrokenImageError("is empty")
    name, media_type = _sniff(content)
    try:
        width, height = _png_size(content) if name == "PNG" else _size(content, name)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise BrokenImageError(f"is a decompression bomb: more than {MAX_PIXELS:,} pixels") from None
    except Exception:
        # Pillow's readers raise a dozen types for damaged files.
        raise BrokenImageError(f"is a damaged or truncated {name} file") from None
    if width * height > MAX_PIXELS:
        raise BrokenImageError(
            f"is a decompression bomb: {width} x {height} pixels, and {MAX_PIXELS:,} are allowed"
        )
    return Header(name, media_type, width, height)


def _png_size(content: bytes) -> tuple[int, int]:
    # Pillow would decompress all text chunks (up to 64 MiB) on the way to the pixels.
    length, kind, width, height = struct.unpack_from(">I4sII", content, 8)
    if (length, kind) != (13, b"IHDR") or not width or not height:
        raise ValueError("no IHDR")
    return width, height


def _size(content: bytes, name: str) -> tuple[int, int]:
    with _open(content, name) as image:
        return image.size


def _sniff(content: bytes) -> tuple[str, str]:
    for name, media_type, offset, signature in _SIGNATURES:
        if content.startswith(signature, offset):
            return name, media_type
    raise BrokenImageError("is not an image: PNG, JPEG, WebP, BMP and TIFF are read")


def decode(content: bytes, header: Header) -> PIL.Image.Image:
    """The picture as 8-bit RGB, upright.

    Raises:
        BrokenImageError: the file is truncated or damaged, or its pixels have no defined white.
    """
    # Pillow misses the end of a JPEG, but forgives a PNG without its own.
    if header.format == "PNG" and b"IEND" not in content:
        raise BrokenImageError("is a truncated PNG file: its end is missing")
    try:
        with _open(content, header.format) as image:
            image.load()
            upright = PIL.ImageOps.exif_transpose(image)
    except MemoryError:
        raise  # the machine's fault, not the file's
    except Exception as error:
        raise BrokenImageError(f"is a truncated or damaged {header.format} file: {error}") from None
    return _to_rgb(upright, header.format)


def _open(content: bytes, name: str) -> PIL.Image.Image:
    # An MPO is a JPEG with more pictures behind the first.
    return PIL.Image.open(io.BytesIO(content), formats=(name, "MPO") if name == "JPEG" else (name,))


def _to_rgb(image: PIL.Image.Image, name: str) -> PIL.Image.Image:
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and name == "PNG"):
        return _high_byte(image).convert("RGB")
    if image.mode in ("I", "F"):
        raise BrokenImageError("has 32-bit pixels, whose white is not defined: save it with 8 or 16 bits")
    if image.has_transparency_data:
        white = PIL.Image.new("RGBA", image.size, "white")
        return PIL.Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    try:
        return image.convert("RGB")
    except ValueError:
        raise BrokenImageError(f"has pixels of a kind that is not read ({image.mode})") from None


def _high_byte(image: PIL.Image.Image) -> PIL.Image.Image:
    # Pillow's own conversion to 8 bits clips at 255 instead of scaling.
    return image.convert("I").point([grey >> 8 for grey in range(65536)], "L")
