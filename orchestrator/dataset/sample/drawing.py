"""Draws the sample data set in MMAD's format on disk.

The same seed and count give the same bytes with the same library versions.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from orchestrator.dataset.sample import pictures
from orchestrator.dataset.sample.part import Part
from orchestrator.dataset.sample.parts import all_parts
from orchestrator.dataset.sample.pictures import Picture
from orchestrator.dataset.sample.questions import Examiner
from orchestrator.dataset.sample.whole import whole_or_nothing

TEMPLATES: Final = 8
"""Normal templates of each product."""
EDITION: Final = 1
"""Raised when the same settings begin to give other pictures or questions."""
_SEVERITIES: Final = (1.0, 0.6, 0.2)
"""Obvious, moderate, hard: an abnormal image in three each."""


def draw(directory: Path, images: int, seed: int) -> None:
    """Draw the data set, or do nothing where the very same one is there already.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    settings = {"edition": EDITION, "images": images, "seed": seed}
    whole_or_nothing(directory, settings, lambda partial: _draw_into(partial, images, seed))


def _draw_into(root: Path, images: int, seed: int) -> None:
    parts = all_parts()
    queries = _queries(root, parts, images, seed)
    shown = {picture.part.product for picture in queries}
    templates = {
        part.product: [_template(root, part, (seed, number, 0, k)) for k in range(TEMPLATES)]
        for number, part in enumerate(parts)
        if part.product in shown
    }
    wanted = [picture for some in templates.values() for picture in some] + queries
    with ThreadPoolExecutor(os.cpu_count()) as workers:  # numpy and Pillow let go of the interpreter's lock
        shares = list(workers.map(pictures.draw, wanted))[-len(queries) :] if queries else []
    examiner = Examiner(parts, np.random.default_rng([seed, 1000]))
    entries = {
        picture.path.relative_to(root).as_posix(): _entry(
            root, picture, templates[picture.part.product], examiner.conversation(picture, share, number)
        )
        for number, (picture, share) in enumerate(zip(queries, shares, strict=True))
    }
    write_json(root / "domain_knowledge.json", _knowledge(parts))
    write_json(root / "mmad.json", entries)


def _template(root: Path, part: Part, seed: tuple[int, ...]) -> Picture:
    path = root / part.dataset / part.product / "train" / "good" / f"{seed[-1]:03}{part.suffix}"
    return Picture(part, path, seed)


def _queries(root: Path, parts: tuple[Part, ...], images: int, seed: int) -> list[Picture]:
    """Deal the images to the parts, every other one normal, the abnormal ones to defects and severities."""
    queries: list[Picture] = []
    for index in range(images):
        number, turn = index % len(parts), index // len(parts)
        part, stream = parts[number], (seed, number, 1, turn)
        folder = root / part.dataset / part.product
        if (turn + number) % 2 == 0:
            path = folder / "image" / "good" / f"{turn:03}{part.suffix}"
            queries.append(Picture(part, path, stream))
            continue
        occasion = turn // 2 + number
        defect = part.defects[occasion % len(part.defects)]
        severity = _SEVERITIES[(occasion + occasion // len(part.defects)) % len(_SEVERITIES)]
        path = folder / "image" / defect.kind / f"{turn:03}{part.suffix}"
        mask = folder / "mask" / defect.kind / f"{turn:03}.png"
        queries.append(Picture(part, path, stream, defect, severity, mask))
    return sorted(queries, key=lambda picture: picture.path.relative_to(root).as_posix())


def _entry(
    root: Path, picture: Picture, templates: list[Picture], conversation: list[dict[str, Any]]
) -> dict[str, Any]:
    setup = picture.setup()
    order = np.random.default_rng([*picture.seed, 4]).permutation(len(templates))
    similar = sorted(templates, key=lambda template: setup.distance(template.setup()))
    folder = root / picture.part.dataset / picture.part.product
    return {
        "image_path": picture.path.relative_to(root).as_posix(),
        "conversation": conversation,
        "mask_path": picture.mask.relative_to(folder).as_posix() if picture.mask else "",
        "random_templates": [templates[i].path.relative_to(root).as_posix() for i in order],
        "similar_templates": [template.path.relative_to(root).as_posix() for template in similar],
    }


def _knowledge(parts: tuple[Part, ...]) -> dict[str, dict[str, dict[str, str]]]:
    texts: dict[str, dict[str, dict[str, str]]] = {}
    for part in parts:
        texts.setdefault(part.dataset, {})[part.product] = {
            "good": part.normal,
            **{d.kind: f"{d.label}. {d.description}. {d.cause}. {d.effect}." for d in part.defects},
        }
    return texts


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
