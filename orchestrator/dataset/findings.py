"""What verifying can find."""

from __future__ import annotations

import dataclasses
import enum


class Fault(enum.StrEnum):
    """What can be wrong, in the order in which it is shown."""

    BROKEN_ENTRY = "broken entry"
    MISSING_IMAGE = "image is missing"
    MISSING_TEMPLATE = "template is missing"
    MISSING_MASK = "mask is missing"
    SPELLED_OTHERWISE = "file is spelled otherwise"
    UNREADABLE = "image does not decode"
    MASK_UNREADABLE = "mask does not decode"
    MASK_EMPTY = "mask marks nothing"
    MASK_SIZE = "mask has another size"
    MASK_OF_NORMAL = "normal image has a mask"
    NO_TEMPLATES = "no templates"
    TEMPLATE_IS_QUERY = "template is the query image"
    TWO_PRODUCTS = "same picture in two products"
    NO_QUESTIONS = "no questions"
    ONE_OPTION = "only one option"
    SAME_OPTIONS = "options say the same"
    ASKED_TWICE = "question is there twice"
    AGAINST_LABEL = "answer contradicts the label"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: Fault
    path: str
    """As the annotations write it; the annotation file for a broken entry."""
    detail: str
