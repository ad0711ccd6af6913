"""MMAD's composition: its data sets, products and how many questions of each type they hold.

The counts are the denominators of MMAD's published accuracies (Jiang et al., ICLR 2025). Their sum is the
announced 39,672 questions. 69 of the 8,366 images have no detection question; they are dealt here so that
each data set has as many images as the test folders that it was made from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from orchestrator.vocabulary import Subtask


@dataclasses.dataclass(frozen=True, slots=True)
class Composition:
    """One data set of MMAD: its size and where its files are."""

    name: str
    products: tuple[str, ...]
    normal: int
    """Images with a detection question whose answer is no."""
    abnormal: int
    undetected: tuple[int, int]
    """Normal and abnormal images without a detection question."""
    questions: Mapping[Subtask, int]
    """How many of each subtask but detection."""
    folder: str
    """Between product and defect kind."""
    kinds: tuple[str, ...]
    """Defect kinds."""
    suffix: str
    mask: str
    """As mmad.json writes it, with {kind} and {number}; without a suffix it is a folder of masks."""
    mask_file: str
    """The file that is there, which can have another suffix."""
    templates: str
    """The folder of the templates, with {product}."""


def _products(names: str) -> tuple[str, ...]:
    return tuple(names.split())


def _questions(
    classification: int,
    localization: int,
    description: int,
    analysis: int,
    object_class: int,
    object_analysis: int,
) -> Mapping[Subtask, int]:
    return {
        Subtask.DEFECT_CLASSIFICATION: classification,
        Subtask.DEFECT_LOCALIZATION: localization,
        Subtask.DEFECT_DESCRIPTION: description,
        Subtask.DEFECT_ANALYSIS: analysis,
        Subtask.OBJECT_CLASSIFICATION: object_class,
        Subtask.OBJECT_ANALYSIS: object_analysis,
    }


MMAD: Final = (
    Composition(
        name="DS-MVTec",
        products=_products(
            "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw tile toothbrush "
            "transistor wood zipper"
        ),
        normal=465,
        abnormal=1226,
        undetected=(2, 32),
        questions=_questions(1205, 1193, 1213, 1205, 464, 1367),
        folder="image",
        kinds=("broken", "contamination", "scratch"),
        suffix=".png",
        mask="mask/{kind}/{number:03}.png",
        mask_file="mask/{kind}/{number:03}.png",
        templates="MVTec-AD/{product}/train/good",
    ),
    Composition(
        name="MVTec-LOCO",
        products=_products("breakfast_box juice_bottle pushpins screw_bag splicing_connectors"),
        normal=573,
        abnormal=992,
        undetected=(2, 1),
        questions=_questions(982, 982, 974, 954, 544, 1623),
        folder="test",
        kinds=("logical_anomalies", "structural_anomalies"),
        suffix=".png",
        mask="ground_truth/{kind}/{number:03}",
        mask_file="ground_truth/{kind}/{number:03}/000.png",
        templates="MVTec-LOCO/{product}/train/good",
    ),
    Composition(
        name="VisA",
        products=_products(
            "candle capsules cashew chewinggum fryum macaroni1 macaroni2 pcb1 pcb2 pcb3 pcb4 pipe_fryum"
        ),
        normal=943,
        abnormal=1198,
        undetected=(19, 2),
        questions=_questions(1190, 1197, 1190, 1163, 935, 2806),
        folder="test",
        kinds=("bad",),
        suffix=".JPG",
        mask="ground_truth/{kind}/{number:03}.png",
        mask_file="ground_truth/{kind}/{number:03}.png",
        templates="VisA/{product}/train/good",
    ),
    Composition(
        name="GoodsAD",
        products=_products("cigarette_box drink_bottle drink_can food_bottle food_box food_package"),
        normal=1269,
        abnormal=1631,
        undetected=(6, 5),
        questions=_questions(1311, 1506, 1333, 1460, 1211, 3367),
        folder="test",
        kinds=("deformation", "opened", "surface_damage"),
        suffix=".jpg",
        mask="ground_truth/{kind}/{number:03}.jpg",
        mask_file="ground_truth/{kind}/{number:03}.png",
        templates="GoodsAD/{product}/train/good",
    ),
)
