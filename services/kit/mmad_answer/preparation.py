"""From the bytes of an inspection's images to pixels, in threads, while the model works on earlier ones.

Templates come again and again with other query images: decoded ones are kept in a small cache, bounded in
bytes, under their digest. The price is that models must not change pixels in place.
"""

from __future__ import annotations

import collections
import hashlib
import threading
from collections.abc import Sequence

import PIL.Image

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import convert
from mmad_answer.checks import Violation
from mmad_answer.images import BYTES_PER_PIXEL, BrokenImageError, Header, decode
from mmad_answer.model import Image, ImageRole
from mmad_answer.refusal import invalid


class PixelCache:
    """The least recently used pictures go first. Used from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pictures: collections.OrderedDict[str, PIL.Image.Image] = collections.OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        """Pictures that were decoded and may come again; a query does not count."""

    def get(self, sha256: str) -> PIL.Image.Image | None:
        """The picture, if it is still here."""
        with self._lock:
            if sha256 in self._pictures:
                self.hits += 1
                self._pictures.move_to_end(sha256)
            return self._pictures.get(sha256)

    def put(self, sha256: str, picture: PIL.Image.Image) -> None:
        """Keep a picture, at the expense of older ones; one too large for the whole cache is not kept."""
        size = _size_bytes(picture)
        with self._lock:
            self.misses += 1
            if size > self._max_bytes or sha256 in self._pictures:
                return
            self._pictures[sha256] = picture
            self.bytes += size
            while self.bytes > self._max_bytes:
                _, oldest = self._pictures.popitem(last=False)
                self.bytes -= _size_bytes(oldest)


def prepare(
    messages: Sequence[pb.Image], headers: Sequence[Header], cache: PixelCache, stopped: threading.Event
) -> tuple[Image, ...]:
    """Decode an inspection's images; stops between two images once `stopped` is set.

    Raises:
        RefusalError: INVALID_ARGUMENT that names every image that is truncated or damaged.
    """
    images: list[Image] = []
    violations: list[Violation] = []
    for i, (message, header) in enumerate(zip(messages, headers, strict=True)):
        if stopped.is_set():
            break
        try:
            images.append(_prepare_one(message, header, cache))
        except BrokenImageError as error:
            violations.append((f"images[{i}].content", str(error)))
    if violations:
        raise invalid(violations)
    return tuple(images)


def _prepare_one(message: pb.Image, header: Header, cache: PixelCache) -> Image:
    role = convert.ROLES[message.role]
    content = message.content
    sha256 = hashlib.sha256(content).hexdigest()
    pixels = cache.get(sha256)
    if pixels is None:
        pixels = decode(content, header)
        if role is not ImageRole.QUERY:  # a query comes once
            cache.put(sha256, pixels)
    return Image(role, content, header.media_type, message.caption, sha256, pixels)


def _size_bytes(picture: PIL.Image.Image) -> int:
    return picture.width * picture.height * BYTES_PER_PIXEL
