"""The data set's own masks as markings: an oracle, which bounds what a better detector could bring."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from orchestrator.dataset import masks
from orchestrator.errors import DataError
from orchestrator.hints import formats
from orchestrator.hints.drawing import Marking
from orchestrator.hints.formats import HintError
from orchestrator.hints.source import Found
from orchestrator.vocabulary import Sample

_ANY: Final = 1e-3
"""Whatever a mask marks counts, also where a smaller picture leaves little of it."""


class GroundTruth:
    """A source, and its own reader: a normal query has no mask, and so the marking that marks nothing."""

    oracle = True
    identity: Mapping[str, object] = {"source": "ground-truth"}
    """The masks belong to the data set, which has an identity of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def expects(self, sample: Sample) -> bool:
        """Whether the query is abnormal."""
        return sample.abnormal

    def missing(self, sample: Sample) -> str:
        """Return what is wrong, if an abnormal query has no mask."""
        try:
            self._files(sample)
        except HintError as error:
            return str(error)
        return ""

    def reader(self) -> GroundTruth:
        """Return this source, which needs no event loop."""
        return self

    async def find(self, sample: Sample) -> Found:
        """Return the union of the query's masks.

        Raises:
            HintError: an abnormal query has no mask, or its file cannot be read.
        """
        return await asyncio.to_thread(self._find, sample)

    def _find(self, sample: Sample) -> Found:
        files = self._files(sample)
        if not files:
            return Found("", lambda: None)
        digests = [hashlib.sha256(formats.read(file)).hexdigest() for file in files]
        return Found(" ".join(digests), functools.partial(_union, files))

    def _files(self, sample: Sample) -> tuple[Path, ...]:
        if not sample.abnormal:
            return ()
        try:
            files = masks.resolve(self._root, sample)
        except DataError as error:
            raise HintError(str(error)) from None
        if not files:
            raise HintError(f"{sample.key}: the data set names no mask for it")
        return files


def _union(files: Sequence[Path]) -> Marking:
    try:
        return Marking(masks.load(files).astype(np.float32), _ANY)
    except DataError as error:
        raise HintError(str(error)) from None
