"""A run in parts: which images belong to which shard, and what a part is called wherever it is shown.

Images are dealt out in turn, one kind (data set, product, normal or abnormal) after the other, and the deal
goes on from kind to kind where it stopped. So shards differ by at most one image, in all and of every kind:
they take equally long, each is a fair sample by itself, and one that is lost takes a little of everything
rather than whole products. The price: each shard meets every product, so a template is read and encoded once
in every shard, where blocks of products would need it in one. Within a shard a product's images still come
one after the other, which is what the caches live on.

The deal depends on which images are chosen and on nothing else: not on seeds, repeats or rotations.
"""

from __future__ import annotations

import collections
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.vocabulary import Sample, Shard

_WRITTEN = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*")


def parse_shard(text: str) -> Shard:
    """Read "I/N".

    Raises:
        ValueError: it is not of that form, or I is not from 0 to N-1; says what is expected.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(
            f"expected I/N, as in 0/8 for the first of eight shards (given: {text!r}; a variable that is not "
            "set?)"
        )
    index, count = map(int, written.groups())
    if count == 0:
        raise ValueError(f"{index}/{count}: the second number is how many shards there are, at least 1")
    if index >= count:
        raise ValueError(f"{index}/{count}: the first number goes from 0 to {count - 1}")
    return Shard(index, count)


def share(samples: Sequence[Sample], shard: Shard) -> tuple[Sample, ...]:
    """Return the samples that belong to a shard, in their order."""
    kinds: dict[tuple[str, str, bool], list[Sample]] = collections.defaultdict(list)
    for sample in samples:
        kinds[sample.dataset, sample.product, sample.abnormal].append(sample)
    dealt = itertools.islice(itertools.chain.from_iterable(kinds.values()), shard.index, None, shard.count)
    mine = {sample.key for sample in dealt}
    return tuple(sample for sample in samples if sample.key in mine)


def part_sentence(part: Mapping[str, Any], images: int) -> str:
    """Say to people that this is a part.

    Args:
        part: "shard" of the run's identity.
        images: those of the part.
    """
    number, whole = part["number"], part["of_images"]
    return (
        f"Shard {number}: {images:,} of {whole:,} images ({100 * images / whole:.3g} %). Scores are of this "
        "part alone; `orchestrator merge` joins all parts."
    )
