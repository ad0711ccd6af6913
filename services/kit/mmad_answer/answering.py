"""A model's replies, kept to the contract: exactly one outcome for each question, whatever the model does.

A model that raises, forgets a question, answers twice or answers what nobody asked costs only the questions
concerned: they become failures, the rest is logged and dropped, and the service goes on. Runs in a model
thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmad_answer.model import Failure, FailureReason, Inspection, Model, Reply

_log = logging.getLogger(__name__)


def answer_batch(model: Model[Any], batch: Sequence[Inspection], deliver: Callable[[Reply], None]) -> None:
    """Have a batch answered, and `deliver` one reply for each question of each inspection that still waits.

    Never raises. Once every inspection of the batch is stopped, the model is asked for nothing more.
    """
    open_questions = {i: [question.question_id for question in i.questions] for i in batch}
    failure = Failure(FailureReason.INTERNAL, "the model gave no answer to this question")
    try:
        _deliver_fitting(model.answer(batch), open_questions, deliver)
    except BaseException as error:  # a library's sys.exit() in here must not lose the batch
        _log.exception("the model failed on a batch of %d", len(batch))
        failure = _failure(error)
    for inspection, question_ids in open_questions.items():
        if not inspection.stopped.is_set():
            for question_id in question_ids:
                deliver(Reply(inspection, question_id, failure))


def _deliver_fitting(
    replies: Iterable[Reply], open_questions: dict[Inspection, list[str]], deliver: Callable[[Reply], None]
) -> None:
    for reply in replies:
        if all(inspection.stopped.is_set() for inspection in open_questions):
            return
        remaining = open_questions.get(reply.inspection)
        if remaining is None or reply.question_id not in remaining:
            _log.warning("dropped a reply to %r, which is not an open question", reply.question_id)
        elif reply.inspection.conversation_history and reply.question_id != remaining[0]:
            # It cannot have seen the answers before it.
            _log.warning("dropped the reply to %r, which came before its turn", reply.question_id)
        elif not reply.inspection.stopped.is_set():
            deliver(reply)
            remaining.remove(reply.question_id)


def _failure(error: BaseException) -> Failure:
    # torch names its own class so; the kit never imports torch.
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    reason = FailureReason.OUT_OF_MEMORY if out_of_memory else FailureReason.INTERNAL
    return Failure(reason, f"{type(error).__name__}: {error}".strip().splitlines()[0])
