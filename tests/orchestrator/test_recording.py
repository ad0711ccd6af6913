"""A reply is read, kept and counted."""

import pytest

from orchestrator.options import AnswerBy
from orchestrator.recording import Progress, Recording, read
from orchestrator.vocabulary import AskedQuestion, Inspection, Option, OptionScore, Outcome, Reply

OPTIONS = (Option("A", "Yes"), Option("B", "No"))
QUESTION = AskedQuestion("k#0", 0, 0, "Is there a defect?", OPTIONS, "B", ("A", "B"), None)


@pytest.mark.parametrize(
    ("reply", "outcome", "letter", "rule"),
    [
        (Reply("k#0", text="B."), Outcome.ANSWERED, "B", "whole"),
        (Reply("k#0", text="No"), Outcome.ANSWERED, "B", "option_text"),
        (Reply("k#0", text="I cannot tell."), Outcome.UNREADABLE, None, "none"),
        (Reply("k#0", text="B", finish_reason="refused"), Outcome.REFUSED, None, ""),
        (Reply("k#0", failure="out of memory"), Outcome.FAILED, None, ""),
        (Reply("k#0", text="Perhaps, all told, No", finish_reason="length"), Outcome.UNREADABLE, None, ""),
    ],
)  # fmt: skip
def test_what_a_reply_amounts_to(reply, outcome, letter, rule):
    answer = read(QUESTION, reply, AnswerBy.TEXT)
    assert (answer.outcome, answer.letter) == (outcome, letter)
    assert answer.rule == rule or outcome is Outcome.UNREADABLE
    assert answer.reply is reply


def test_answers_by_scores_take_the_best_option_whatever_the_text_says():
    scores = (OptionScore("A", -0.1), OptionScore("B", -3.0))
    answer = read(QUESTION, Reply("k#0", text="B", option_scores=scores), AnswerBy.SCORES)
    assert (answer.letter, answer.rule) == ("A", "scores")


def test_answers_by_scores_without_scores_are_unreadable():
    answer = read(QUESTION, Reply("k#0", text="B"), AnswerBy.SCORES)
    assert answer.outcome is Outcome.UNREADABLE


def progress(total=3):
    return Progress(total, dict.fromkeys(Outcome, 0) | {Outcome.MISSING: total}, right=0)


def test_progress_counts_and_its_clock_stops_with_the_last_answer():
    p = progress(2)
    p.add(Outcome.ANSWERED, right=True)
    assert (p.done, p.right, p.fresh, p.ended) == (1, 1, 1, None)
    p.add(Outcome.FAILED, right=False)
    assert (p.done, p.right) == (2, 1)
    assert p.ended is not None
    assert p.seconds == p.seconds


class Journal:
    def __init__(self):
        self.kept = []

    async def keep(self, model, answer):
        self.kept.append((model, answer))


async def test_a_reply_is_kept_before_it_is_counted(sample_factory):
    journal, p = Journal(), progress()
    recording = Recording(journal, AnswerBy.TEXT, {"m": p})
    inspection = Inspection("k", sample_factory(0), 0, (), (QUESTION,), "", 0)
    await recording.keep("m", inspection, Reply("k#0", text="B"))
    ((model, answer),) = journal.kept
    assert (model, answer.letter) == ("m", "B")
    assert (p.done, p.right) == (1, 1)
    recording.state("m", "out of reach")
    assert p.state == "out of reach"


def test_a_note_about_a_model_is_said_with_its_name():
    said = []
    Recording(Journal(), AnswerBy.TEXT, {}, said.append).note("m", "broke the contract")
    assert said == ["m: broke the contract"]
