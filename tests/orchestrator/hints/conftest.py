"""Pictures, maps, and small data sets of real files."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from orchestrator.vocabulary import Dataset


def encoded(pixels, form="PNG", **options):
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def decoded(content):
    with PIL.Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        assert image.mode == "RGB"
        return np.asarray(image)


@pytest.fixture(scope="session")
def encode():
    """An array as an image file: `encode(pixels, "JPEG")`."""
    return encoded


@pytest.fixture(scope="session")
def decode():
    """A hint's pixels; it must be an RGB PNG."""
    return decoded


@pytest.fixture(scope="session")
def grey():
    """A picture of 60 x 40 pixels, all of one grey."""
    return np.full((40, 60, 3), 128, np.uint8)


@pytest.fixture
def housed(tmp_path, sample_factory):
    """Two normal and two abnormal queries of each of two products, with images and masks on disk."""
    root = tmp_path / "data"
    samples = []
    for product in ("gear", "tile"):
        for number in range(4):
            sample = sample_factory(number, product=product, abnormal=number % 2 == 1)
            samples.append(sample)
            path = root / sample.key
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = np.full((40, 60, 3), 100 + number, np.uint8)
            path.write_bytes(encoded(shade))
            if sample.abnormal:
                mask = np.zeros((40, 60), np.uint8)
                mask[10:20, 15 : 25 + number] = 255
                place = root / "Parts" / product / sample.mask
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(encoded(mask))
    return Dataset(str(root), tuple(samples), {}, "0" * 64, "mmad.json")


@dataclasses.dataclass(frozen=True)
class Maps:
    """A folder of maps."""

    folder: Path

    def put(self, sample, values, suffix=".npy"):
        path = (self.folder / sample.key).with_suffix(suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
        return path

    def fill(self, dataset, strong=10.0):
        """A faint map for every query, with a strong spot where the query is abnormal."""
        for n, sample in enumerate(dataset.samples):
            values = np.random.default_rng(n).uniform(0, 1, (20, 30)).astype(np.float32)
            if sample.abnormal:
                values[5:10, 8:14] = strong
            self.put(sample, values)


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "maps").mkdir()
    return Maps(tmp_path / "maps")


@pytest.fixture
def products():
    return [("Parts", "gear"), ("Parts", "tile")]
