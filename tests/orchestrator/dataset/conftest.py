"""Data sets on disk: a drawn one, one with MMAD's composition, and a tiny one that tests may spoil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.dataset import sample

SAMPLE_IMAGES = 24


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample data set, smaller than the default. Read only."""
    folder = tmp_path_factory.mktemp("sample") / "data"
    sample.draw(folder, images=SAMPLE_IMAGES, seed=3)
    return folder


@pytest.fixture(scope="session")
def like_mmad_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MMAD's composition. Read only."""
    folder = tmp_path_factory.mktemp("like-mmad") / "data"
    sample.draw_like_mmad(folder)
    return folder


class TinySet:
    """A flawless data set of four images, in both formats at will, that tests spoil."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: dict[str, Any] = {}
        self._noise = np.random.default_rng(5)
        for product in ("nut", "pill"):
            templates = [f"Tiny/{product}/train/good/{i:03}.png" for i in range(2)]
            for path in templates:
                self.picture(path)
            for kind in ("good", "broken"):
                self._image(product, kind, templates)
        self.write()

    def _image(self, product: str, kind: str, templates: list[str]) -> None:
        key = f"Tiny/{product}/image/{kind}/000.png"
        self.picture(key)
        mask = ""
        if kind != "good":
            mask = f"mask/{kind}/000.png"
            pixels = np.zeros((16, 16), np.uint8)
            pixels[3:7, 3:7] = 255
            self.save(f"Tiny/{product}/{mask}", pixels)
        self.entries[key] = {
            "image_path": key,
            "conversation": [
                {
                    "Question": "Is there any defect in the object?",
                    "Answer": "B" if kind == "good" else "A",
                    "Options": {"A": "Yes", "B": "No"},
                    "type": "Anomaly Detection",
                    "annotation": True,
                }
            ],
            "mask_path": mask,
            "random_templates": templates,
            "similar_templates": templates[::-1],
        }

    def picture(self, path: str) -> None:
        """Save a picture of noise that no other picture shows."""
        self.save(path, self._noise.integers(0, 255, (16, 16, 3), dtype=np.uint8))

    def save(self, path: str, pixels: np.ndarray[Any, Any]) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)

    def write(self) -> None:
        """Write mmad.json from `entries`."""
        (self.root / "mmad.json").write_text(json.dumps(self.entries, indent=2))


@pytest.fixture
def tiny(tmp_path: Path) -> TinySet:
    return TinySet(tmp_path / "tiny")
