"""How images fall into groups, strata, products and data sets: the one answer that every figure uses.

An image's questions are not independent, so whole images are drawn, within data set, product and normal or
abnormal. Intervals, paired tests and option scores all take their draws from here: with clusters of
their own, two figures could disagree about what was resampled.

A stratum of one image cannot be resampled and would make an interval too narrow. Such images are drawn
together with the other lone ones of their data set and class; if there is no other, the image stays fixed.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.cells import Array
from orchestrator.scoring.tally import ImageKey

Indices = NDArray[np.int64]

CHUNK: Final = 50
"""Resamples that are held in memory at once. Draws do not depend on anything but seed, stratum and this."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Sorted images, cut into groups: one for each data set, product and normal or abnormal."""

    images: tuple[ImageKey, ...]
    groups: Indices
    """Where each group starts among the images."""
    products: Indices
    """Where each product starts among the groups."""
    datasets: Indices
    """Where each data set starts among the groups."""
    product_names: tuple[tuple[str, str], ...]
    """(data set, product)"""
    dataset_names: tuple[str, ...]
    strata: tuple[tuple[str, Indices], ...]
    """Name and images of what is drawn together: a group, or several groups of one image."""
    scale: Array
    """Per group, n / (n - 1) of its stratum: see `draws`."""

    def group_sums(self, weights: Array, values: Array) -> Array:
        """Add up each group: (resamples, images) and (images, columns) to (resamples, groups, columns).

        Exact for whole numbers, so the order of the images cannot show in the last digit.
        """
        ends = [*self.groups[1:], len(self.images)]
        parts = [weights[:, a:b] @ values[a:b] for a, b in zip(self.groups, ends, strict=True)]
        return np.stack(parts, axis=1)

    def per_dataset(self, group_values: Array) -> Array:
        """Add up groups: (..., groups, columns) to (..., data sets, columns)."""
        return np.add.reduceat(group_values, self.datasets, axis=-2)

    def per_product(self, group_values: Array) -> Array:
        """Add up groups: (..., groups, columns) to (..., products, columns)."""
        return np.add.reduceat(group_values, self.products, axis=-2)


def partition(images: Sequence[ImageKey]) -> Partition:
    """Cut images that are sorted as in `tally.Table` into groups and strata."""
    spans = _spans(images, 3)
    product_spans, dataset_spans = _spans(images, 2), _spans(images, 1)
    starts = np.array([start for _, start, _ in spans], dtype=np.int64)
    lone: dict[tuple[str, bool], list[int]] = {}
    strata: list[tuple[str, Indices]] = []
    for (dataset, product, abnormal, _), start, end in spans:
        if end - start > 1:
            strata.append((f"{dataset}/{product}/{abnormal}", np.arange(start, end)))
        else:
            lone.setdefault((dataset, abnormal), []).append(start)
    strata += [(f"{dataset}//{abnormal}", np.array(members)) for (dataset, abnormal), members in lone.items()]
    scale = np.ones(len(images))
    for _, members in strata:
        scale[members] = len(members) / max(1, len(members) - 1)
    return Partition(
        images=tuple(images),
        groups=starts,
        products=np.searchsorted(starts, [start for _, start, _ in product_spans]),
        datasets=np.searchsorted(starts, [start for _, start, _ in dataset_spans]),
        product_names=tuple((name[0], name[1]) for name, _, _ in product_spans),
        dataset_names=tuple(name[0] for name, _, _ in dataset_spans),
        strata=tuple(strata),
        scale=scale[starts],
    )


def draws(parts: Partition, seed: int, resamples: int) -> Iterator[Array]:
    """Draw whole images with replacement within strata; yield how often each was, (<= CHUNK, images).

    n - 1 of a stratum's n images are drawn, and what they add up to counts n / (n - 1) times (`scale`): with
    n draws the variance comes out (n - 1) / n too small, which shows where a product has few images (Rao and
    Wu, JASA 83, 1988). Draws depend on the seed, the stratum's name and its size alone, so that a model is
    drawn just as its rival is.
    """
    generators = [np.random.default_rng(_seeds(seed, name)) for name, _ in parts.strata]
    for first in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - first)
        weights = np.ones((rows, len(parts.images)))
        for generator, (_, members) in zip(generators, parts.strata, strict=True):
            size = len(members)
            if size > 1:
                drawn = generator.integers(size, size=(rows, size - 1))
                drawn += np.arange(rows)[:, None] * size
                counts = np.bincount(drawn.ravel(), minlength=rows * size)
                weights[:, members] = counts.reshape(rows, size)
        yield weights


def swaps(parts: Partition, seed: int, permutations: int) -> Iterator[Array]:
    """Toss a fair coin for each image: 0 or 1, (<= CHUNK, images)."""
    generator = np.random.default_rng(_seeds(seed, "swaps"))
    for first in range(0, permutations, CHUNK):
        rows = min(CHUNK, permutations - first)
        yield generator.integers(2, size=(rows, len(parts.images)), dtype=np.int8).astype(np.float64)


def _spans(images: Sequence[ImageKey], depth: int) -> list[tuple[ImageKey, int, int]]:
    spans = []
    start = 0
    for _, members in groupby(images, key=lambda image: image[:depth]):
        size = sum(1 for _ in members)
        spans.append((images[start], start, start + size))
        start += size
    return spans


def _seeds(seed: int, name: str) -> list[int]:
    digest = hashlib.sha256(name.encode()).digest()
    return [seed, *(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 16, 4))]
