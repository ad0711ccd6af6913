import sys

import pytest

from mmad_answer.answering import answer_batch
from mmad_answer.model import Answer, Failure, FailureReason, Inspection, Question, Reply


def inspection(name="i", questions=("q1", "q2"), **fields):
    return Inspection(name, (), tuple(Question(each, "?", ()) for each in questions), **fields)


def outcomes(model, *batch):
    """What is delivered, in order: (inspection, question, text or failure)."""
    delivered = []
    answer_batch(model, batch, delivered.append)
    return [
        (
            reply.inspection.inspection_id,
            reply.question_id,
            reply.outcome.text if isinstance(reply.outcome, Answer) else reply.outcome.reason,
        )
        for reply in delivered
    ]


def test_replies_are_delivered_as_the_model_yields_them(scripted):
    one, two = inspection("one"), inspection("two")
    delivered = []

    def script(batch):
        for at, (target, question) in enumerate([(two, "q2"), (one, "q1"), (two, "q1"), (one, "q2")]):
            assert len(delivered) == at
            yield Reply(target, question, Answer(f"{at}"))

    answer_batch(scripted(script), [one, two], delivered.append)
    assert [reply.outcome.text for reply in delivered] == ["0", "1", "2", "3"]


def test_a_model_that_raises_fails_the_questions_without_a_reply_only(scripted, caplog):
    one = inspection("one", ("q1", "q2", "q3"))

    def script(batch):
        yield Reply(one, "q2", Answer("B"))
        raise ValueError("no such token\nand more")

    model = scripted(script)
    delivered = []
    answer_batch(model, [one], delivered.append)
    assert [reply.question_id for reply in delivered] == ["q2", "q1", "q3"]
    assert delivered[1].outcome == Failure(FailureReason.INTERNAL, "ValueError: no such token")
    assert "no such token" in caplog.text


def test_a_model_that_raises_before_its_first_reply_fails_every_question(scripted):
    def answer(batch):
        raise ValueError("at once")

    assert outcomes(scripted(answer), inspection("one", ("q1",)), inspection("two", ("q1",))) == [
        ("one", "q1", FailureReason.INTERNAL),
        ("two", "q1", FailureReason.INTERNAL),
    ]


def test_a_forgotten_question_becomes_a_failure(scripted):
    one = inspection()
    assert outcomes(scripted(lambda batch: iter([Reply(one, "q1", Answer("A"))])), one) == [
        ("i", "q1", "A"),
        ("i", "q2", FailureReason.INTERNAL),
    ]


def test_a_second_reply_to_a_question_is_dropped(scripted, caplog):
    one = inspection(questions=("q1",))
    replies = [Reply(one, "q1", Answer("A")), Reply(one, "q1", Answer("B"))]
    assert outcomes(scripted(lambda batch: iter(replies)), one) == [("i", "q1", "A")]
    assert "'q1'" in caplog.text


def test_replies_to_questions_and_inspections_that_nobody_asked_are_dropped(scripted, caplog):
    one, stranger = inspection(questions=("q1",)), inspection("stranger")
    replies = [
        Reply(one, "q9", Answer("X")),
        Reply(stranger, "q1", Answer("Y")),
        Reply(one, "q1", Answer("A")),
    ]
    assert outcomes(scripted(lambda batch: iter(replies)), one) == [("i", "q1", "A")]
    assert "'q9'" in caplog.text


def test_with_history_a_reply_before_its_turn_is_a_failure_not_an_answer(scripted):
    one = inspection(conversation_history=True)
    replies = [Reply(one, "q2", Answer("B")), Reply(one, "q1", Answer("A"))]
    assert outcomes(scripted(lambda batch: iter(replies)), one) == [
        ("i", "q1", "A"),
        ("i", "q2", FailureReason.INTERNAL),
    ]


@pytest.mark.parametrize("rubbish", [None, "A", object()])
def test_rubbish_instead_of_a_reply_becomes_failures(scripted, rubbish):
    assert outcomes(scripted(lambda batch: iter([rubbish])), inspection(questions=("q1",))) == [
        ("i", "q1", FailureReason.INTERNAL)
    ]


def test_no_iterator_at_all_becomes_failures(scripted):
    assert outcomes(scripted(lambda batch: None), inspection(questions=("q1",))) == [
        ("i", "q1", FailureReason.INTERNAL)
    ]


def test_a_library_that_exits_does_not_take_the_service_along(scripted):
    assert outcomes(scripted(lambda batch: sys.exit(1)), inspection(questions=("q1",))) == [
        ("i", "q1", FailureReason.INTERNAL)
    ]


@pytest.mark.parametrize("error", [MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})("CUDA")])
def test_running_out_of_memory_is_named_as_such(scripted, error):
    def script(batch):
        raise error
        yield

    assert outcomes(scripted(script), inspection(questions=("q1",))) == [
        ("i", "q1", FailureReason.OUT_OF_MEMORY)
    ]


def test_nothing_is_delivered_for_a_stopped_inspection_and_the_others_go_on(scripted):
    one, two = inspection("one"), inspection("two")

    def script(batch):
        yield Reply(one, "q1", Answer("A"))
        one.stopped.set()
        yield Reply(one, "q2", Answer("B"))
        yield Reply(two, "q1", Answer("C"))

    assert outcomes(scripted(script), one, two) == [
        ("one", "q1", "A"),
        ("two", "q1", "C"),
        ("two", "q2", FailureReason.INTERNAL),
    ]


def test_once_all_are_stopped_the_model_is_asked_for_nothing_more_and_may_clean_up(scripted):
    one = inspection(questions=("q1", "q2", "q3"))
    went_on, cleaned_up = [], []

    def script(batch):
        try:
            one.stopped.set()
            yield Reply(one, "q1", Answer("A"))
            went_on.append(True)
            yield Reply(one, "q2", Answer("B"))
        finally:
            cleaned_up.append(True)

    assert outcomes(scripted(script), one) == []
    assert (went_on, cleaned_up) == ([], [True])
