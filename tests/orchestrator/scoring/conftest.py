"""Records made from few words: a data set's composition, and models that are right at a stated rate."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from orchestrator.vocabulary import Option, OptionScore, Outcome, QuestionType, Record

YES_NO = (Option("A", "Yes."), Option("B", "No."))
FOUR = tuple(Option(letter, f"Text of {letter}.") for letter in "ABCD")


def make_record(
    key: str = "DS-MVTec/bottle/image/good/000.png",
    type: QuestionType | None = QuestionType.DEFECT_CLASSIFICATION,  # noqa: A002
    *,
    index: int = 0,
    correct: str = "A",
    letter: str | None = "A",
    outcome: Outcome | None = None,
    options: Sequence[Option] | None = None,
    rotation: int = 0,
    repeat: int = 0,
    option_scores: Sequence[OptionScore] = (),
    original_letters: Sequence[str] | None = None,
) -> Record:
    """A record whose data set, product and class come from its key."""
    dataset, product = key.split("/")[:2]
    chosen = tuple(options or (YES_NO if type is QuestionType.ANOMALY_DETECTION else FOUR))
    return Record(
        key=key,
        dataset=dataset,
        product=product,
        abnormal="good" not in key,
        index=index,
        type=type,
        rotation=rotation,
        repeat=repeat,
        options=chosen,
        original_letters=tuple(original_letters or (o.letter for o in chosen)),
        correct=correct,
        letter=letter,
        outcome=outcome or (Outcome.ANSWERED if letter else Outcome.UNREADABLE),
        option_scores=tuple(option_scores),
    )


TYPES = (
    QuestionType.DEFECT_CLASSIFICATION,
    QuestionType.DEFECT_LOCALIZATION,
    QuestionType.DEFECT_DESCRIPTION,
    QuestionType.DEFECT_ANALYSIS,
    QuestionType.OBJECT_CLASSIFICATION,
    QuestionType.OBJECT_ANALYSIS,
)
MMAD_COMPOSITION: Mapping[str, tuple[int, ...]] = {
    "DS-MVTec": (465, 1226, 1205, 1193, 1213, 1205, 464, 1367),
    "MVTec-LOCO": (573, 992, 982, 982, 974, 954, 544, 1623),
    "VisA": (943, 1198, 1190, 1197, 1190, 1163, 935, 2806),
    "GoodsAD": (1269, 1631, 1311, 1506, 1333, 1460, 1211, 3367),
}
"""Normal and abnormal detection questions, then the other six subtasks."""


def records_from_counts(dataset: str, right: Sequence[int], asked: Sequence[int]) -> Iterator[Record]:
    """As many right and wrong records as the counts say: normal and abnormal detection, then six subtasks."""
    images = [f"{dataset}/p/good/{i:04}.png" for i in range(asked[0])]
    images += [f"{dataset}/p/bad/{i:04}.png" for i in range(asked[1])]
    for i, key in enumerate(images):
        normal = i < asked[0]
        hit = i < right[0] if normal else i - asked[0] < right[1]
        correct = "B" if normal else "A"
        yield make_record(
            key,
            QuestionType.ANOMALY_DETECTION,
            correct=correct,
            letter=correct if hit else ("A" if normal else "B"),
        )
    for kind, (n_right, n_asked) in enumerate(zip(right[2:], asked[2:], strict=True)):
        for i in range(n_asked):
            yield make_record(
                images[-1 - i % len(images)],
                TYPES[kind],
                index=1 + kind + 10 * (i // len(images)),
                letter="A" if i < n_right else "C",
            )


def simulated(
    seed: int,
    *,
    images: int = 40,
    skill: float = 0.7,
    spread: float = 0.0,
    products: int = 2,
    datasets: Sequence[str] = ("DS-MVTec", "Own"),
) -> list[Record]:
    """Records of a model that is right with probability `skill`, give or take `spread` for a whole image."""
    generator = random.Random(seed)
    made = []
    for dataset in datasets:
        for i in range(images):
            kind = "good" if i % 2 else "bad"
            key = f"{dataset}/p{i // 2 % products}/{kind}/{i:03}.png"
            level = skill + (spread if generator.random() < 0.5 else -spread)
            for index, type_ in enumerate((QuestionType.ANOMALY_DETECTION, *TYPES)):
                hit = generator.random() < level
                made.append(make_record(key, type_, index=index, letter="A" if hit else "B"))
    return made


@pytest.fixture
def record() -> Callable[..., Record]:
    return make_record


@pytest.fixture
def simulate() -> Callable[..., list[Record]]:
    return simulated


@pytest.fixture
def from_counts() -> Callable[..., Iterator[Record]]:
    return records_from_counts


@pytest.fixture
def mmad_composition() -> Mapping[str, tuple[int, ...]]:
    return MMAD_COMPOSITION
