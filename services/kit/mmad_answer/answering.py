"""A model's replies, kept to the contract: exactly one outcome for each question, whatever the model does.

A model that forgets a question, answers twice or answers what nobody asked costs only the questions
concerned: they become failures, the rest is logged and dropped, and the service goes on. As a failure is
final, a batch that raises is not given up at once: what is open of it is asked again, one inspection at a
time, so that running out of memory or one bad inspection does not cost its neighbours. The price is the work
done twice. Runs in a model thread.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmad_answer.model import (
    Answer,
    ChainOfThought,
    Failure,
    FailureReason,
    Inspection,
    Model,
    Question,
    Reply,
    Turn,
    WholeCallError,
)
from mmad_answer.wording import in_one_line, message

_log = logging.getLogger(__name__)


def answer_batch(
    model: Model[Any],
    batch: Sequence[Inspection],
    deliver: Callable[[Reply], None],
    refuse: Callable[[Inspection, WholeCallError], None],
) -> None:
    """Have a batch answered, and `deliver` one reply for each question of each inspection that still waits.

    Where the model refuses, `refuse` is called once for each inspection with open questions instead of the
    replies to these. Never raises, unless `deliver` or `refuse` does. Who is stopped already is left out;
    once nobody waits for what is open, the model is asked for nothing more.
    """
    asked = [_Asked(inspection) for inspection in batch if not inspection.stopped.is_set()]
    if not asked:
        return
    fault = _ask(model, asked, deliver)
    if isinstance(fault, Failure) and len(asked) > 1:
        for each in asked:
            if each.waits:
                _settle([each], _ask(model, [each], deliver), deliver, refuse)
    else:
        _settle(asked, fault, deliver, refuse)


class _Asked:
    """An inspection in the model's hands: what is open of it, and what was answered already."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self._open: dict[str, Question] = {each.question_id: each for each in inspection.questions}
        self._turns: list[Turn] = []
        self._analysis = inspection.analysis

    @property
    def open_ids(self) -> list[str]:
        """In the order of the request."""
        return list(self._open)

    @property
    def waits(self) -> bool:
        """Whether there is a question left and somebody who waits for its answer."""
        return bool(self._open) and not self.inspection.stopped.is_set()

    def rest(self) -> Inspection:
        """What is open, as the caller would ask it anew: with the turns and the analysis it has by now."""
        inspection = self.inspection
        if len(self._open) == len(inspection.questions):
            return inspection
        return dataclasses.replace(
            inspection,
            questions=tuple(self._open.values()),
            history=(*inspection.history, *self._turns),
            analysis=self._analysis,
        )

    def close(self, reply: Reply) -> None:
        """Note that a question has its reply."""
        question = self._open.pop(reply.question_id)
        if not isinstance(reply.outcome, Answer):
            return
        if self.inspection.conversation_history and reply.outcome.is_turn:
            self._turns.append(Turn(question, reply.outcome.text))
        if self.inspection.chain_of_thought is ChainOfThought.PER_INSPECTION:
            self._analysis = self._analysis or reply.outcome.reasoning


def _ask(
    model: Model[Any], asked: Sequence[_Asked], deliver: Callable[[Reply], None]
) -> Failure | WholeCallError | None:
    """Ask what is open; what ended it early, if anything did."""
    rests = {each.rest(): each for each in asked}
    try:
        _deliver_fitting(model, rests, deliver)
    except WholeCallError as fault:
        _log.warning("the model refused a batch of %d: %s", len(asked), message(fault))
        return fault
    except BaseException as error:  # a library's sys.exit() in here must not lose the batch
        _log.exception("the model failed on a batch of %d", len(asked))
        return _failure(error)  # not the error itself: its traceback would hold the batch's tensors
    return None


def _deliver_fitting(
    model: Model[Any], rests: Mapping[Inspection, _Asked], deliver: Callable[[Reply], None]
) -> None:
    for reply in model.answer(tuple(rests)):
        asked = rests.get(reply.inspection)
        if asked is None or reply.question_id not in asked.open_ids:
            _log.warning("dropped a reply to %r, which is not an open question", reply.question_id)
        elif asked.inspection.conversation_history and reply.question_id != asked.open_ids[0]:
            # It cannot have seen the answers before it.
            _log.warning("dropped the reply to %r, which came before its turn", reply.question_id)
        elif asked.waits:
            deliver(dataclasses.replace(reply, inspection=asked.inspection))
            asked.close(reply)
        # Before the model goes on, so that it never begins with what nobody waits for.
        unfinished = [each for each in rests.values() if each.open_ids]
        if unfinished and not any(each.waits for each in unfinished):
            return


def _settle(
    asked: Sequence[_Asked],
    fault: Failure | WholeCallError | None,
    deliver: Callable[[Reply], None],
    refuse: Callable[[Inspection, WholeCallError], None],
) -> None:
    """End what is still open."""
    outcome = fault or Failure(FailureReason.INTERNAL, "the model gave no answer to this question")
    for each in asked:
        if not each.waits:
            continue
        if isinstance(outcome, Failure):
            for question_id in each.open_ids:
                deliver(Reply(each.inspection, question_id, outcome))
        else:
            refuse(each.inspection, outcome)


def _failure(error: BaseException) -> Failure:
    # torch names its own class so; the kit never imports torch.
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    reason = FailureReason.OUT_OF_MEMORY if out_of_memory else FailureReason.INTERNAL
    return Failure(reason, in_one_line(error))
