"""The letter reader against replies that were labelled by hand, and against every fault of MMAD's scripts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.scoring.letters import Reading, read_letter
from orchestrator.vocabulary import Option

YES_NO = (Option("A", "Yes."), Option("B", "No."))
DEFECTS = tuple(
    Option(letter, text)
    for letter, text in zip("ABCD", ["Crack.", "Scratch.", "Contamination.", "Missing part."], strict=True)
)
READ = {"whole", "marker", "first_line", "option_text", "last_sentence"}
UNREAD = {"unclosed_thought", "conflict", "none"}


def read(text: str, options: Sequence[Option] = DEFECTS, *, cut: bool = False) -> Reading:
    return read_letter(text, options, cut=cut)


def errors(name: str) -> tuple[int, int, int]:
    """Replies, wrong letters, missed letters."""
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    wrong = missed = 0
    for line in lines:
        row = json.loads(line)
        options = [Option(letter, text) for letter, text in row["options"].items()]
        letter = read_letter(row["reply"], options, cut=row["cut"]).letter
        wrong += letter not in (None, row["label"])
        missed += letter is None and row["label"] is not None
    return len(lines), wrong, missed


def test_the_corpus_that_the_rules_were_made_with_stays_within_the_stated_error_rates():
    replies, wrong, missed = errors("letter_corpus.jsonl")
    assert replies >= 500
    assert wrong <= 0.005 * replies
    assert missed <= 0.07 * replies


def test_the_held_out_corpus_stays_within_the_stated_error_rates():
    replies, wrong, missed = errors("letter_corpus_held_out.jsonl")
    assert replies >= 150
    assert wrong <= 0.01 * replies
    assert missed <= 0.1 * replies


# ---------------------------------------------------------------------- where MMAD's scripts go wrong


def test_the_article_is_not_an_answer():
    assert read("A scratch is visible, so B") == Reading("B", "last_sentence")
    assert read("A defect is visible.").letter is None
    assert read("The answer is a dent.").letter is None


def test_an_option_text_with_an_article_in_front_is_that_option():
    assert read("The answer is a scratch.") == Reading("B", "marker")


def test_lower_case_letters_are_read():
    assert read("b").letter == "B"
    assert read("answer: (c)").letter == "C"


@pytest.mark.parametrize("reply", ["E", "E.", "The answer is E.", "(e)", '{"answer": "E"}'])
def test_only_offered_letters_are_read(reply: str):
    assert read(reply).letter is None


def test_a_fifth_letter_is_read_where_it_is_offered():
    assert read("E", (*DEFECTS, Option("E", "Dent."))).letter == "E"


def test_no_defect_does_not_become_yes():
    assert read("There is no defect in the image", YES_NO).letter != "A"


def test_please_and_today_are_no_refusal():
    assert read("Please note the thin line. The answer is B, as far as I can say today.").letter == "B"


# -------------------------------------------------------------------------------------- the rules, in order


@pytest.mark.parametrize(
    "reply", ["B", "b", "(B)", "**B**", "B.", "\uff22", "\uff08\uff22\uff09\u3002", "\n B \n"]
)
def test_rule_1_reads_a_reply_that_is_a_letter(reply: str):
    assert read(reply) == Reading("B", "whole")


@pytest.mark.parametrize(
    "reply",
    [
        "The answer is B.",
        "\\boxed{B}",
        "$\\boxed{\\text{B}}$",
        '{"reason": "A thin line", "answer": "B"}',
        "\u7b54\u6848\u662fB\u3002",
        "\u56e0\u6b64\u9009B",
        "<answer>B</answer>",
        "Answer: Scratch.",
        "The answer is A. Wait, the edge is smooth. The answer is B.",
        "Option A is wrong. Option B is right.",
        "The answer is not A, it is B.",
        "**Answer:** (B) because the line is thin",
    ],
)
def test_rule_2_reads_the_last_marker_that_is_not_negated(reply: str):
    assert read(reply).letter == "B"


def test_a_negated_marker_gives_nothing():
    assert read("The answer is not A.").letter is None
    assert read("The answer is A. On a second look, the answer is not A.").letter is None


def test_rule_3_reads_a_first_line_with_its_options_text():
    assert read("B. Scratch. A thin line.") == Reading("B", "first_line")
    assert read("B\n\nA thin line is visible.") == Reading("B", "first_line")


def test_rule_3_needs_that_no_other_line_opens_with_another_letter():
    assert read("A. Crack.\nB. Scratch.\nC. Contamination.\nD. Missing part.").letter is None


def test_options_that_are_repeated_do_not_hide_the_answer_after_them():
    listing = "A. Crack.\nB. Scratch.\nC. Contamination.\nD. Missing part.\n"
    assert read(listing + "Answer: B") == Reading("B", "marker")
    assert read(listing + "So it must be B") == Reading("B", "last_sentence")


def test_rule_4_reads_an_options_text_but_never_a_part_of_a_reply():
    assert read("Yes. There are no other marks", YES_NO) == Reading("A", "option_text")
    assert read("scratch") == Reading("B", "option_text")
    assert read("The picture has a scratch in it").letter is None


def test_an_option_text_is_found_whatever_its_quotes_and_spaces():
    options = (Option("A", "The word \u201cTOP\u201d is missing."), Option("B", "It's upside down."))
    assert read('The word  "TOP" is missing', options).letter == "A"
    assert read("It\u2019s upside down.", options).letter == "B"


def test_the_longer_of_two_texts_that_begin_alike_is_meant():
    colours = (Option("A", "Red."), Option("B", "Red and white."))
    assert read("red and white", colours).letter == "B"
    assert read("Red.", colours).letter == "A"


def test_rule_5_reads_one_capital_in_the_last_sentence():
    assert read("A thin line runs across the plate. That makes it B.") == Reading("B", "last_sentence")
    assert read("As shown in figure A, there is a line.").letter is None
    assert read("I don't think it is A.").letter is None


@pytest.mark.parametrize(
    "reply", ["A, B and C all appear", "A or B", "The answer is A or B.", "\\boxed{A} or \\boxed{B}"]
)
def test_a_conflict_is_unreadable(reply: str):
    assert read(reply).letter is None


def test_a_letter_with_another_options_text_is_a_conflict():
    assert read("A. No.", YES_NO) == Reading(None, "conflict")


def test_thoughts_are_cut_and_an_unclosed_thought_is_unreadable():
    assert read("<think>Surely the answer is A.</think>B").letter == "B"
    assert read("The answer is A, I think. Wait.</think>\n\nB").letter == "B"
    assert read("<think>The answer is A.") == Reading(None, "unclosed_thought")


def test_a_cut_reply_is_read_by_the_first_three_rules_only():
    assert read("The answer is B. The", cut=True) == Reading("B", "marker")
    assert read("B. Scratch. The line", cut=True) == Reading("B", "first_line")
    assert read("Let me compare the images. In the first, B", cut=True).letter is None
    assert read("Scratch. The line runs", cut=True).letter is None


# --------------------------------------------------------------------------------------------- any input


fragments = st.lists(
    st.sampled_from(
        [
            *"ABCDEabcde", "answer", "option", "is", "not", "\\boxed{", "}", "{", '"', ":", ".", ",", "\n",
            "<think>", "</think>", "<answer>", "</answer>", "**", "Crack", "Scratch.", "or", "and", "the",
            "\u7b54\u6848", "\u9009", "\u4e0d", "\uff22", "'", "/", "(", ")", "-", "I", "\u0130", "\u00df",
        ]
    ),
    max_size=25,
).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda joint: joint.join(parts)))  # fmt: skip


@given(st.one_of(st.text(max_size=200), fragments), st.booleans())
@settings(deadline=None)
def test_any_reply_gives_an_offered_letter_or_none_with_a_stated_rule(text: str, cut: bool):
    reading = read(text, cut=cut)
    assert reading.rule in (READ if reading.letter else UNREAD)
    assert reading.letter in {None, *"ABCD"}
    if cut:
        assert reading.rule not in {"option_text", "last_sentence"}


@given(
    st.text(max_size=40),
    st.lists(st.builds(Option, st.sampled_from("ABCDEF"), st.text(max_size=20)), max_size=5),
)
@settings(deadline=None)
def test_any_options_are_accepted(text: str, options: list[Option]):
    assert read(text, options).letter in {None, *(o.letter for o in options)}


@given(
    fragments.filter(lambda text: "`" not in text),
    st.sampled_from([("  ", "\n\n"), ("\t", " "), ("\u200a", ""), ("`", "`"), ("**", "**"), ("$", "$")]),
)
@settings(deadline=None)
def test_surrounding_space_and_markup_change_nothing(text: str, around: tuple[str, str]):
    assert read(around[0] + text + around[1]) == read(text)


@given(fragments)
@settings(deadline=None)
def test_a_closed_thought_before_a_reply_changes_nothing(text: str):
    assert read("<think>The answer is D.</think>" + text) == read(text)


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(
        ["{}", "({}).", "The answer is {}.", "\u7b54\u6848\uff1a{}", "\\boxed{{{}}}", "I pick {}."]
    ),
)
@settings(deadline=None)
def test_every_offered_letter_is_read_alike(letter: str, form: str):
    assert read(form.format(letter)).letter == letter


@pytest.mark.parametrize(
    "piece",
    [" ", "answer ", "the ", "{", "<", "A. ", "A. Crack. B. ", "\n", "A\nB\n", "not ", "answer is option is ",
     "answer A or ", ".", "<think>", "</think>", "'", "A ", "A, ", "\\boxed{", "<|", "(", "x A. ", "_", "- "],
)  # fmt: skip
def test_a_long_hostile_reply_is_read_in_time_that_grows_with_its_length_only(piece: str):
    text = "answer" + piece * (100_000 // len(piece)) + "x"
    started = time.process_time()
    read(text)
    assert time.process_time() - started < 2  # 0.1 s here; backtracking would take minutes
