"""Hints as image files, drawn in threads when their turn comes, and kept by what is in them."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import os
from typing import Final

import PIL.Image

from orchestrator.byte_cache import ByteCache
from orchestrator.hints.captions import caption
from orchestrator.hints.drawing import draw
from orchestrator.hints.formats import HintError
from orchestrator.hints.source import Found, Source
from orchestrator.options import HintStyle
from orchestrator.vocabulary import Sample

_DRAWN_AT_ONCE: Final = 4
"""A picture of 9 million pixels takes about 220 MB while it is drawn on."""


@dataclasses.dataclass(frozen=True)
class Hints:
    """The hints of a plan: where they come from, and how they are drawn."""

    source: Source
    style: HintStyle

    @property
    def caption(self) -> str:
        """What is said of every hint."""
        return caption(self.style, oracle=self.source.oracle)

    @property
    def identity(self) -> dict[str, object]:
        """What makes these hints others than others, as JSON; the caption belongs to it."""
        words = hashlib.sha256(self.caption.encode()).hexdigest()
        return {**self.source.identity, "style": self.style.value, "caption_sha256": words}


class HintImages:
    """Draws a plan's hints, which the cache keeps by the contents that they are drawn from."""

    def __init__(self, hints: Hints, cache: ByteCache) -> None:
        self._style = hints.style
        self._reader = hints.source.reader()
        self._cache = cache
        self._drawing = asyncio.Semaphore(min(_DRAWN_AT_ONCE, os.cpu_count() or 1))

    async def read(self, sample: Sample, query: bytes) -> bytes:
        """Return the hint beside a query, whose file holds the bytes `query`, as a PNG.

        Raises:
            HintError: its marking is missing or cannot be read, or the query cannot.
        """
        found = await self._reader.find(sample)
        key = (await asyncio.to_thread(_digest, query), found.key)
        return await self._cache.get(key, functools.partial(self._in_turn, sample.key, query, found))

    async def _in_turn(self, key: str, query: bytes, found: Found) -> bytes:
        # The cache sees this through, whoever is cancelled: a place is free once its thread has ended.
        async with self._drawing:
            return await asyncio.to_thread(self._draw, key, query, found)

    def _draw(self, key: str, query: bytes, found: Found) -> bytes:
        marking = found.decode()
        try:
            return draw(query, marking, self._style)
        except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
            raise HintError(f"{key}: nothing can be drawn on it: {' '.join(str(error).split())}") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
