"""The option that says there is a defect is found by its text, not by its letter."""

from __future__ import annotations

import pytest

from orchestrator.dataset.defect_option import affirms_defect, defect_option
from orchestrator.vocabulary import Option


@pytest.mark.parametrize(
    "text",
    ["Yes.", "yes", "Yes, there is a defect.", "There is a defect.", "Defective.", "Abnormal", "Damaged.",
     "\u662f", "\u6709\u7f3a\u9677\u3002", "Anomaly"],
)  # fmt: skip
def test_a_text_that_affirms_a_defect_is_found(text: str):
    assert affirms_defect(text)


@pytest.mark.parametrize(
    "text",
    ["No.", "no defect", "No, there is no defect.", "There is no defect.", "Normal.", "Good",
     "Without defects", "It is not damaged.", "Defect-free",
     "\u6ca1\u6709\u7f3a\u9677\u3002", "\u5426", "\u65e0", "A bottle.", ""],
)  # fmt: skip
def test_a_text_that_denies_or_says_nothing_is_not(text: str):
    assert not affirms_defect(text)


def test_the_letter_does_not_matter():
    assert defect_option([Option("A", "Yes."), Option("B", "No.")]) == "A"
    assert defect_option([Option("A", "No."), Option("B", "Yes.")]) == "B"


def test_two_or_no_affirming_options_are_none():
    assert defect_option([Option("A", "Scratch"), Option("B", "Crack")]) is None
    assert defect_option([Option("A", "Round."), Option("B", "Square.")]) is None
