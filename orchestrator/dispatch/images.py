"""Image files, read when their turn comes.

Models that go through a data set side by side want the same files within moments, and templates return all
the time: a cache gives most of them one read. Nothing is decoded here: what the service gets are the bytes on
the disk, but for hints, which are drawn.
"""

from __future__ import annotations

import asyncio
import stat
from functools import partial
from pathlib import Path

from orchestrator.byte_cache import ByteCache
from orchestrator.hints.images import HintImages, Hints
from orchestrator.vocabulary import ImageReference, ImageRole, Sample

SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


class UnreadableImageError(Exception):
    """An image file cannot be read. `str(error)` names the path and the reason."""


def media_type(content: bytes) -> str:
    """Return the media type that the first bytes tell, or "application/octet-stream"."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for signature, name in SIGNATURES:
        if content.startswith(signature):
            return name
    return "application/octet-stream"


class ImageCache:
    """The files under `root`, and the hints, the most recently used kept in memory up to `max_bytes`."""

    def __init__(self, root: Path, max_bytes: int, hints: Hints | None = None) -> None:
        self._root = root
        self._cache = ByteCache(max_bytes)
        self._hints = HintImages(hints, self._cache) if hints else None

    async def of(self, sample: Sample, reference: ImageReference) -> bytes:
        """Return the bytes of one image of an inspection.

        Raises:
            UnreadableImageError: its file cannot be read.
            HintError: it is a hint, and cannot be made.
        """
        content = await self.read(reference.path)
        if reference.role is not ImageRole.EXPERT_HINT:
            return content
        assert self._hints is not None  # noqa: S101 - a plan that shows hints has them
        return await self._hints.read(sample, content)

    async def read(self, path: str) -> bytes:
        """Return the bytes of the file at `path`, relative to the root.

        Raises:
            UnreadableImageError: there is no such file, or it cannot be read, or it is empty.
        """
        try:
            return await self._cache.get(path, partial(asyncio.to_thread, _read_file, self._root / path))
        except OSError as error:
            raise UnreadableImageError(f"{path}: {error.strerror or error}") from None
        except ValueError as error:
            raise UnreadableImageError(f"{path}: {error}") from None


def _read_file(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):  # a named pipe would never end
        raise ValueError("not a file")
    content = path.read_bytes()
    if not content:
        raise ValueError("the file is empty")
    return content
