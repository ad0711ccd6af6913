"""A folder of an anomaly detector's maps, in the data set's tree, as markings on one scale per product."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator.hints import formats
from orchestrator.hints.digest import sampled_digest
from orchestrator.hints.drawing import Marking
from orchestrator.hints.formats import HintError
from orchestrator.hints.scale import BEGINS, Extent, Scale, extent, scale_over
from orchestrator.hints.source import Found
from orchestrator.vocabulary import Dataset, Sample

Product = tuple[str, str]
"""Data set and product."""


class DetectorMaps:
    """A source: a map per query, at the query's own path with another suffix."""

    oracle = False

    def __init__(
        self, folder: Path, dataset: Dataset, products: Iterable[Product], threshold: float | None = None
    ) -> None:
        """Look for maps in `folder`.

        Args:
            folder: where they are.
            dataset: whose queries they are of.
            products: those that are asked about. All their maps, whatever of them is asked about, make their
                scales, so that a limit changes no hint.
            threshold: from where a region is marked, in the maps' own range; None: the scale's own.

        Raises:
            DataError: two queries would have their map at the same place.
        """
        self._folder = folder
        self._threshold = threshold
        keys: dict[Product, list[str]] = {product: [] for product in products}
        for sample in dataset.samples:
            if (sample.dataset, sample.product) in keys:
                keys[sample.dataset, sample.product].append(sample.key)
        self._keys = keys
        formats.refuse_shared([key for of_product in keys.values() for key in of_product])

    @functools.cached_property
    def identity(self) -> Mapping[str, object]:
        """The maps of all products that are asked about, since together they make the scales."""
        present = (
            (path.relative_to(self._folder).as_posix(), path)
            for product in sorted(self._keys)
            for key in self._keys[product]
            for path in formats.present(self._folder, key)
        )
        return {"source": "maps", "maps": sampled_digest(present), "threshold": self._threshold}

    def expects(self, sample: Sample) -> bool:
        """Whether there should be a map: always."""
        return True

    def missing(self, sample: Sample) -> str:
        """Return where a query's map should be, if it is not there."""
        places = formats.places(self._folder, sample.key)
        return "" if any(map(Path.is_file, places)) else str(places[0])

    def reader(self) -> _MapReader:
        """Begin to read: each product's scale is taken when its first map is wanted."""
        return _MapReader(self._folder, self._keys, self._threshold)


class _MapReader:
    def __init__(self, folder: Path, keys: Mapping[Product, Sequence[str]], threshold: float | None) -> None:
        self._folder = folder
        self._keys = keys
        self._threshold = threshold
        self._scales: dict[Product, asyncio.Task[Scale]] = {}

    async def find(self, sample: Sample) -> Found:
        path, content = await asyncio.to_thread(_read, self._folder, sample.key)
        product = (sample.dataset, sample.product)
        if product not in self._scales:
            self._scales[product] = asyncio.create_task(self._scale(product))
        scale = await asyncio.shield(self._scales[product])  # others may wait for the same
        threshold = BEGINS if self._threshold is None else scale.level(self._threshold)
        # The scale is part of the key: the same map among others is another marking.
        key = f"{hashlib.sha256(content).hexdigest()} {scale} {threshold}"
        return Found(key, functools.partial(_marking, content, path, scale, threshold))

    async def _scale(self, product: Product) -> Scale:
        """Look at all maps of a product, one at a time; those that cannot be read fail at their own query."""
        extents = [await asyncio.to_thread(_extent, self._folder, key) for key in self._keys[product]]
        return scale_over([each for each in extents if each is not None])


def _read(folder: Path, key: str) -> tuple[Path, bytes]:
    path = formats.find(folder, key)
    return path, formats.read(path)


def _extent(folder: Path, key: str) -> Extent | None:
    try:
        path, content = _read(folder, key)
        return extent(formats.decode(content, path))
    except HintError:
        return None


def _marking(content: bytes, path: Path, scale: Scale, threshold: float) -> Marking:
    return Marking(scale.levels(formats.decode(content, path)), threshold)
