"""What a question asks for is told from its words, and so is which answer means a defect."""

import pytest

from template_diff.questions import asks_for_defect, asks_for_place

YES_NO = ["Yes", "No"]


@pytest.mark.parametrize(
    ("question", "options", "defect"),
    [
        ("Is there any defect in the object?", ["Yes", "No"], 0),
        ("Is there any defect in the object?", ["No", "Yes"], 1),
        ("Are there anomalies?", ["No.", "Yes."], 1),
        ("Is the part damaged?", ["yes, it is", "no, it is not"], 0),
        ("Compared with the normal pictures, is there a flaw or not?", YES_NO, 0),
        ("Does it look abnormal?", YES_NO, 0),
        ("Is the object free of defects?", YES_NO, 1),
        ("Is the part without any visible damage?", YES_NO, 1),
        ("Is the part defect-free?", YES_NO, 1),
        ("Is the object intact?", ["No", "Yes"], 0),
        ("Is it flawless?", YES_NO, 1),
    ],
)
def test_the_option_that_says_there_is_a_defect_is_found_by_words(question, options, defect):
    assert asks_for_defect(question, options) == defect


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Is there any defect in the object?", ["Scratch", "Dent"]),
        ("Is there any defect in the object?", ["Yes", "No", "Perhaps"]),
        ("Is there any defect in the object?", ["Yes", "Yes, a dent"]),
        ("Is there any defect in the object?", ["Yesterday", "Noon"]),
        ("Is the object made of steel?", YES_NO),
        ("What kind of defect is it?", ["Hole", "Stain", "Notch", "None"]),
    ],
)
def test_other_questions_do_not_ask_for_a_defect(question, options):
    assert asks_for_defect(question, options) is None


def test_two_options_that_name_places_ask_for_a_place():
    regions = asks_for_place(["Top left", "A scratch", "Center"])
    assert [region is not None for region in regions] == [True, False, True]
    assert asks_for_place(["Top left", "A scratch", "A dent"]) is None
    assert asks_for_place(YES_NO) is None
