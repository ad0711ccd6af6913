"""Small data sets in memory, for everything that reads no image."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.vocabulary import Dataset, Option, Question, QuestionType, Sample

DETECTION = (Option("A", "Yes."), Option("B", "No."))
KINDS = (Option("A", "Scratch"), Option("B", "Dent"), Option("C", "Crack"), Option("D", "Stain"))


def make_sample(
    number: int, *, dataset: str = "Parts", product: str = "gear", abnormal: bool = True, questions: int = 2
) -> Sample:
    """A sample with a detection question and, when it is abnormal, `questions - 1` others."""
    kind = "scratch" if abnormal else "good"
    asked = [
        Question(0, "Is there a defect?", QuestionType.ANOMALY_DETECTION, DETECTION, "A" if abnormal else "B")
    ]
    asked += [
        Question(i, f"Which kind, {i}?", QuestionType.DEFECT_CLASSIFICATION, KINDS, "ABCD"[(number + i) % 4])
        for i in range(1, questions if abnormal else 1)
    ]
    return Sample(
        key=f"{dataset}/{product}/image/{kind}/{number:03}.png",
        dataset=dataset,
        product=product,
        defect_kind=kind,
        abnormal=abnormal,
        questions=tuple(asked),
        mask=f"mask/{kind}/{number:03}.png" if abnormal else "",
        random_templates=tuple(f"{dataset}/{product}/train/good/{i:03}.png" for i in range(8)),
        similar_templates=tuple(f"{dataset}/{product}/train/good/{i:03}.png" for i in reversed(range(8))),
    )


def make_dataset(*samples: Sample, root: str = "/nowhere") -> Dataset:
    """A data set of these samples; by default two data sets of two products, half of the images abnormal."""
    if not samples:
        samples = tuple(
            make_sample(number, dataset=dataset, product=product, abnormal=number % 2 == 1)
            for dataset in ("Parts", "Surfaces")
            for product in ("gear", "tile")
            for number in range(10)
        )
    return Dataset(
        root=root,
        samples=samples,
        domain_knowledge={("Parts", "gear"): {"scratch": "A thin line.", "dent": "A hollow."}},
        digest="0" * 64,
        source="mmad.json",
    )


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def sample_factory() -> Callable[..., Sample]:
    return make_sample


@pytest.fixture
def dataset_factory() -> Callable[..., Dataset]:
    return make_dataset
