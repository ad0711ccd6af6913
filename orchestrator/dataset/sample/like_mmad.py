"""Makes a data set with MMAD's exact composition and tiny images, for tests of scale.

Nothing on its images can be inspected: they are noise in their product's colour, each another one. A score on
it means nothing, and the folder's stamp says so to whoever reads it.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from orchestrator.dataset.sample import LIKE_MMAD
from orchestrator.dataset.sample.composition import MMAD, Composition
from orchestrator.dataset.sample.drawing import TEMPLATES, write_json
from orchestrator.dataset.sample.whole import whole_or_nothing
from orchestrator.vocabulary import QuestionType, Subtask

_EDITION: Final = 2
"""Raised when the same seed begins to give other pictures or questions."""
_SIDE: Final = 20
"""Pixels."""
_OBJECT_TYPES: Final = (
    QuestionType.OBJECT_STRUCTURE,
    QuestionType.OBJECT_DETAILS,
    QuestionType.OBJECT_ANALYSIS,
)


def draw(directory: Path, seed: int) -> None:
    """Make the data set, or do nothing where it is there already; see `orchestrator.dataset.sample`."""
    settings: dict[str, int | str] = {"edition": _EDITION, "composition": LIKE_MMAD, "seed": seed}
    whole_or_nothing(directory, settings, lambda partial: _fill(partial, seed))


def _fill(root: Path, seed: int) -> None:
    entries: dict[str, Any] = {}
    knowledge: dict[str, Any] = {}
    for number, source in enumerate(MMAD):
        noise, dice = np.random.default_rng([seed, number]), random.Random(f"{seed} {source.name}")
        templates = {product: _templates(root, source, product, noise) for product in source.products}
        for key, conversation, mask in _images(root, source, noise, dice):
            product = key.split("/")[1]
            similar = templates[product]
            entries[key] = {
                "image_path": key,
                "conversation": conversation,
                "mask_path": mask,
                "random_templates": dice.sample(similar, len(similar)),
                "similar_templates": dice.sample(similar, len(similar)),
            }
        knowledge["MVTec" if source.name == "DS-MVTec" else source.name] = {
            product: {kind: f"What {kind} looks like on a {product}." for kind in ("good", *source.kinds)}
            for product in source.products
        }
    write_json(root / "domain_knowledge.json", knowledge)
    write_json(root / "mmad.json", entries)


def _templates(root: Path, source: Composition, product: str, noise: np.random.Generator) -> list[str]:
    folder = source.templates.format(product=product)
    paths = [f"{folder}/{number:03}{source.suffix}" for number in range(TEMPLATES)]
    for path in paths:
        _save(root / path, _picture(source, product, noise))
    return paths


def _images(
    root: Path, source: Composition, noise: np.random.Generator, dice: random.Random
) -> Iterator[tuple[str, list[dict[str, Any]], str]]:
    mask_content = _mask()
    for abnormal in (False, True):
        count = (source.abnormal if abnormal else source.normal) + source.undetected[abnormal]
        for index, types in enumerate(_types(source, abnormal, count)):
            product = source.products[index % len(source.products)]
            number = index // len(source.products)
            kind = source.kinds[number % len(source.kinds)] if abnormal else "good"
            key = f"{source.name}/{product}/{source.folder}/{kind}/{number:03}{source.suffix}"
            _save(root / key, _picture(source, product, noise))
            mask = ""
            if abnormal:
                mask = source.mask.format(kind=kind, number=number)
                file = source.mask_file.format(kind=kind, number=number)
                _save(root / source.name / product / file, mask_content)
            yield key, [_question(t, source, product, kind, dice) for t in types], mask


def _types(source: Composition, abnormal: bool, count: int) -> list[list[QuestionType]]:
    """Which questions each normal (or abnormal) image has.

    Detection goes to the first images and the rest to the last, so that the images without a detection
    question have others. As in MMAD, normal images are asked about the object, abnormal ones about defects.
    """
    detected = source.abnormal if abnormal else source.normal
    types = [[QuestionType.ANOMALY_DETECTION] if i < detected else [] for i in range(count)]
    for subtask, total in source.questions.items():
        if subtask.value.startswith("Defect") != abnormal:
            continue
        for number in range(total):
            turn, place = divmod(number, count)
            kind = _OBJECT_TYPES[turn] if subtask is Subtask.OBJECT_ANALYSIS else QuestionType(subtask.value)
            types[count - 1 - place].append(kind)
    return types


def _question(
    kind: QuestionType, source: Composition, product: str, defect: str, dice: random.Random
) -> dict[str, Any]:
    if kind is QuestionType.ANOMALY_DETECTION:
        text, texts, right = "Is there any defect in the object?", ["Yes", "No"], int(defect == "good")
        if dice.random() < 0.5:
            texts, right = texts[::-1], 1 - right
    else:
        text = f"{kind.value} of {product} ({defect}): which one is right?"
        right = dice.randrange(4)
        numbers = [1000 * place + dice.randrange(1000) for place in range(4)]  # no two options the same
        texts = [f"{kind.value}: text {number} about a {product}" for number in numbers]
    return {
        "Question": text,
        "Answer": "ABCD"[right],
        "Options": dict(zip("ABCD", texts, strict=False)),
        "type": kind.value,
        "annotation": True,
    }


def _picture(source: Composition, product: str, noise: np.random.Generator) -> bytes:
    hue = (MMAD.index(source) * 64 + source.products.index(product) * 4) % 256
    pixels = noise.integers(hue // 2, hue // 2 + 128, (_SIDE, _SIDE, 3), dtype=np.uint8)
    return _encoded(pixels, "PNG" if source.suffix == ".png" else "JPEG")


def _mask() -> bytes:
    pixels = np.zeros((_SIDE, _SIDE), np.uint8)
    pixels[4:9, 4:9] = 255
    return _encoded(pixels, "PNG")


def _encoded(pixels: np.typing.NDArray[np.uint8], kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
