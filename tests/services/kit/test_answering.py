import logging
import sys
import weakref

import pytest

from mmad_answer.answering import answer_batch
from mmad_answer.model import (
    Answer,
    BudgetSpentError,
    ChainOfThought,
    Failure,
    FailureReason,
    FinishReason,
    Inspection,
    PassingFaultError,
    Question,
    Reply,
    Turn,
)


def inspection(name="i", questions=("q1", "q2"), **fields):
    return Inspection(name, (), tuple(Question(each, "?", ()) for each in questions), **fields)


def outcomes(model, *batch):
    """What is delivered, in order: (inspection, question, text or failure); or (inspection, refusal)."""
    told = []

    def deliver(reply):
        assert reply.inspection in batch
        outcome = reply.outcome
        said = outcome.text if isinstance(outcome, Answer) else outcome.reason
        told.append((reply.inspection.inspection_id, reply.question_id, said))

    answer_batch(model, batch, deliver, lambda asked, fault: told.append((asked.inspection_id, fault)))
    return told


def never(*arguments):
    raise AssertionError(f"called with {arguments}")


def test_replies_are_delivered_as_the_model_yields_them(scripted):
    one, two = inspection("one"), inspection("two")
    delivered = []

    def script(batch):
        for at, (target, question) in enumerate([(two, "q2"), (one, "q1"), (two, "q1"), (one, "q2")]):
            assert len(delivered) == at
            yield Reply(target, question, Answer(f"{at}"))

    answer_batch(scripted(script), [one, two], delivered.append, never)
    assert [reply.outcome.text for reply in delivered] == ["0", "1", "2", "3"]


def test_a_model_that_raises_fails_the_questions_without_a_reply_only(scripted, caplog):
    one = inspection("one", ("q1", "q2", "q3"))

    def script(batch):
        yield Reply(one, "q2", Answer("B"))
        raise ValueError("no such token\nand more")

    model = scripted(script)
    delivered = []
    answer_batch(model, [one], delivered.append, never)
    assert [reply.question_id for reply in delivered] == ["q2", "q1", "q3"]
    assert delivered[1].outcome == Failure(FailureReason.INTERNAL, "ValueError: no such token")
    assert "no such token" in caplog.text


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("no message either")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad \udcff name"), "ValueError: bad ? name"),
        (UnspeakableError(), "UnspeakableError: (its message cannot be read)"),
        (ValueError(), "ValueError:"),
        (ValueError("\n\nlater"), "ValueError:"),
    ],
)
@pytest.mark.usefixtures("unlogged")
def test_whatever_an_exception_says_every_question_has_an_outcome(scripted, error, said):
    def script(batch):
        raise error
        yield

    delivered = []
    answer_batch(scripted(script), [inspection("one"), inspection("two")], delivered.append, never)
    assert [(reply.inspection.inspection_id, reply.question_id) for reply in delivered] == [
        ("one", "q1"),
        ("one", "q2"),
        ("two", "q1"),
        ("two", "q2"),
    ]
    assert {reply.outcome.message.strip() for reply in delivered} == {said}


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


def test_a_batch_whose_open_inspections_are_all_stopped_is_not_gone_on_with(scripted):
    one, two = inspection("one", ("q1",)), inspection("two", ("q1",))
    begun = []

    def script(batch):
        for each in batch:
            begun.append(each.inspection_id)
            two.stopped.set()
            yield Reply(each, "q1", Answer("A"))

    assert outcomes(scripted(script), one, two) == [("one", "q1", "A")]
    assert begun == ["one"]


def test_who_is_stopped_before_the_batch_begins_is_not_in_it(scripted):
    one, two = inspection("one", ("q1",)), inspection("two", ("q1",))
    two.stopped.set()
    model = scripted()
    assert outcomes(model, one, two) == [("one", "q1", "A")]
    assert outcomes(model, two) == []
    assert model.batches == [(one,)]


def test_what_is_open_of_a_batch_that_raises_is_asked_again_one_inspection_at_a_time(scripted):
    good, partly, bad = inspection("good"), inspection("partly"), inspection("bad")
    asked = []

    def script(batch):
        asked.append([(each.inspection_id, [q.question_id for q in each.questions]) for each in batch])
        if len(batch) > 1:
            yield Reply(batch[1], "q1", Answer("early"))
            raise MemoryError
        if batch[0].inspection_id == "bad":
            raise ValueError("bad")
        for question in batch[0].questions:
            yield Reply(batch[0], question.question_id, Answer("late"))

    assert outcomes(scripted(script), good, partly, bad) == [
        ("partly", "q1", "early"),
        ("good", "q1", "late"),
        ("good", "q2", "late"),
        ("partly", "q2", "late"),
        ("bad", "q1", FailureReason.INTERNAL),
        ("bad", "q2", FailureReason.INTERNAL),
    ]
    assert asked[1:] == [[("good", ["q1", "q2"])], [("partly", ["q2"])], [("bad", ["q1", "q2"])]]


def test_asked_again_an_inspection_brings_the_turns_and_the_analysis_that_it_has(scripted):
    fields = {"conversation_history": True, "chain_of_thought": ChainOfThought.PER_INSPECTION}
    one = inspection("one", ("q1", "q2", "q3", "q4"), **fields)
    two = inspection("two", **fields)
    again = []

    def script(batch):
        if len(batch) > 1:
            yield Reply(one, "q1", Answer("A", reasoning="a scratch"))
            yield Reply(one, "q2", Answer("content_filter: violence", FinishReason.REFUSED))
            yield Reply(one, "q3", Answer(""))
            raise MemoryError
        again.extend(batch)

    outcomes(scripted(script), one, two)
    assert [(each.history, each.analysis, each.stopped) for each in again] == [
        ((Turn(one.questions[0], "A"),), "a scratch", one.stopped),
        ((), "", two.stopped),
    ]


def test_what_failed_with_its_batch_is_not_asked_again_once_nobody_waits(scripted):
    one, two = inspection("one", ("q1",)), inspection("two", ("q1",))
    asked = []

    def script(batch):
        asked.append(list(batch))
        one.stopped.set()
        raise MemoryError

    assert outcomes(scripted(script), one, two) == [("two", "q1", FailureReason.OUT_OF_MEMORY)]
    assert asked == [[one, two], [two]]


def test_nothing_of_a_failed_batch_is_held_while_it_is_asked_again(scripted, caplog):
    caplog.set_level(logging.CRITICAL, "mmad_answer.answering")  # pytest keeps what is logged, tracebacks too

    class Tensor:
        pass

    held = []

    def script(batch):
        if len(batch) > 1:
            tensor = Tensor()
            held.append(weakref.ref(tensor))
            raise MemoryError
        assert held[0]() is None
        return scripted().all_a(batch)

    one, two = inspection("one", ("q1",)), inspection("two", ("q1",))
    assert outcomes(scripted(script), one, two) == [("one", "q1", "A"), ("two", "q1", "A")]


@pytest.mark.parametrize("fault", [PassingFaultError("out"), BudgetSpentError("spent")])
def test_a_model_may_refuse_the_calls_of_a_batch_and_replies_already_given_stay(scripted, fault):
    done, partly, untouched, gone = (inspection(each) for each in ("done", "partly", "untouched", "gone"))
    gone.stopped.set()
    asked = []

    def script(batch):
        asked.append(batch)
        yield from (Reply(done, each, Answer("A")) for each in ("q1", "q2"))
        yield Reply(partly, "q1", Answer("B"))
        raise fault

    assert outcomes(scripted(script), done, partly, untouched, gone) == [
        ("done", "q1", "A"),
        ("done", "q2", "A"),
        ("partly", "q1", "B"),
        ("partly", fault),
        ("untouched", fault),
    ]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("said", "kept"), [(None, None), (2.5, 2.5), (-1.0, 0.0), (float("nan"), 0.0), (float("inf"), 86_400.0)]
)
def test_whatever_a_provider_says_the_wait_is_a_number_of_seconds(said, kept):
    assert PassingFaultError("busy", said).retry_seconds == kept
