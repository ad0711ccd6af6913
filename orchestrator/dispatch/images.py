"""Image files, read when their turn comes.

Models that go through a data set side by side want the same files within moments, and templates return all
the time: a cache, bounded in bytes, and one read at a time for each file give most of them one read. An
image larger than the whole cache is read and not kept. Nothing is decoded here: what the service gets are
the bytes on the disk.
"""

from __future__ import annotations

import asyncio
import collections
import stat
from pathlib import Path

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
    """The files under `root`, the most recently used kept in memory up to `max_bytes`."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._kept: collections.OrderedDict[str, bytes] = collections.OrderedDict()
        self._kept_bytes = 0
        self._reading: dict[str, asyncio.Task[bytes]] = {}

    async def read(self, path: str) -> bytes:
        """Return the bytes of the file at `path`, relative to the root.

        Raises:
            UnreadableImageError: there is no such file, or it cannot be read, or it is empty.
        """
        if (content := self._kept.get(path)) is not None:
            self._kept.move_to_end(path)
            return content
        if (task := self._reading.get(path)) is None:
            task = self._reading[path] = asyncio.create_task(self._read(path))
            task.add_done_callback(lambda done: self._finish(path, done))
        return await asyncio.shield(task)  # others may wait for the same read

    async def _read(self, path: str) -> bytes:
        try:
            return await asyncio.to_thread(_read_file, self._root / path)
        except OSError as error:
            raise UnreadableImageError(f"{path}: {error.strerror or error}") from None
        except ValueError as error:
            raise UnreadableImageError(f"{path}: {error}") from None

    def _finish(self, path: str, task: asyncio.Task[bytes]) -> None:
        del self._reading[path]
        if task.cancelled() or task.exception() is not None:
            return
        content = task.result()
        if len(content) > self._max_bytes:
            return
        self._kept[path] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest)


def _read_file(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):  # a named pipe would never end
        raise ValueError("not a file")
    content = path.read_bytes()
    if not content:
        raise ValueError("the file is empty")
    return content
