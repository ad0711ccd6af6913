"""What a part is to the sample data set: how it is drawn, what can go wrong with it, what can be asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from orchestrator.dataset.sample.defects import Change, Defect
from orchestrator.dataset.sample.surface import Surface
from orchestrator.vocabulary import QuestionType


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """Something true of every picture of the part, and three things that are not."""

    type: QuestionType
    question: str
    right: str
    wrong: tuple[str, str, str]
    unless: tuple[str, ...] = ()
    """Defect kinds under which it may not hold."""


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One product of the sample data set."""

    dataset: str
    product: str
    """The folder's name."""
    noun: str
    """With its article: "a spur gear"."""
    size: tuple[int, int]
    """Width, height in pixels."""
    suffix: str
    """".png" or ".jpg"."""
    freedom: float
    """How far its pose may stray, see `Setup.at_random`."""
    draw: Callable[[Surface, np.random.Generator, Change], None]
    defects: tuple[Defect, ...]
    facts: tuple[Fact, ...]
    normal: str
    """What a flawless one looks like, in words."""


STRUCTURE = QuestionType.OBJECT_STRUCTURE
DETAILS = QuestionType.OBJECT_DETAILS
ANALYSIS = QuestionType.OBJECT_ANALYSIS
