"""A batch of inspections through the engine: which prompts share a prefix, and what goes through together.

Running out of memory halves what goes through together, first the inspections, then the texts; what does not
fit alone fails by itself.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from mmad_answer.hf.dialogue import Dialogue, Request
from mmad_answer.hf.engine import Engine, Opening, Prefixes, free_memory, is_out_of_memory
from mmad_answer.hf.family import Tensors
from mmad_answer.hf.prompting import Prompt, Prompter
from mmad_answer.hf.talk import Done, Row, Talk
from mmad_answer.model import Failure, FailureReason, Inspection
from mmad_answer.prompt import Message, Speaker

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Sharing:
    """What goes through the model together."""

    prefix: bool
    """An inspection's texts share what they begin with."""
    batch: bool
    """Several texts are generated together."""
    repeats_cache: bool
    """Of the family; without it, a prefix is continued by one text at a time."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """Prefixes, and which of them is whose."""

    prefixes: Prefixes
    numbers: Mapping[Inspection, int]
    told: set[Inspection] = dataclasses.field(default_factory=set)
    """Whose prefix an earlier row has paid for."""

    def number(self, row: Row) -> int | None:
        """Of the prefix that the row goes on from, if there is one. Tokens are compared, not assumed."""
        number = self.numbers.get(row.inspection)
        if number is None:
            return None
        ids = self.prefixes.openings[number].prompt.ids
        return number if row.prompt.ids[: len(ids)] == ids and len(row.prompt.ids) > len(ids) else None


class Work:
    """Leads dialogues through the engine. Not for several threads at once."""

    def __init__(self, engine: Engine, prompter: Prompter, sharing: Sharing) -> None:
        self._engine = engine
        self._prompter = prompter
        self._sharing = sharing

    def run(self, dialogues: Sequence[tuple[Inspection, Dialogue]]) -> Iterator[Done]:
        """Lead the dialogues to their ends, side by side as far as may be."""
        talks = [Talk(inspection, dialogue) for inspection, dialogue in dialogues]
        for talk in talks:
            self._prepare(talk, next(talk.dialogue, []))
        if self._sharing.prefix and not self._sharing.repeats_cache:
            for talk in talks:
                yield from self._lead([talk])
        else:
            yield from self._lead(talks)

    def _lead(self, talks: Sequence[Talk]) -> Iterator[Done]:
        yield from self._side_by_side(talks)
        left = [talk for talk in talks if talk.open_rows]
        if not left:
            return
        free_memory()  # nothing of the attempt is held any more
        if len(talks) > 1:
            for part in _halves(left) if len(left) > 1 else (left,):
                yield from self._lead(part)
            return
        yield from self._alone(talks[0])
        yield from self._lead(talks)  # its further steps

    def _side_by_side(self, talks: Sequence[Talk]) -> Iterator[Done]:
        """Step by step, until no dialogue wants anything more, or something does not fit into memory."""
        yield from self._refuse_too_long(talks)
        try:
            shared = self._share(talks) if self._sharing.prefix else None
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return
        of = {talk.inspection: talk for talk in talks}
        while rows := [row for talk in talks for row in talk.open_rows]:
            for done in self._generate(rows, shared):
                yield of[done.row.inspection].told(done)
            fits = not any(talk.open_rows for talk in talks)
            for talk in talks:
                if not talk.open_rows:
                    self._prepare(talk, talk.next_requests())
            if not fits:
                return
            yield from self._refuse_too_long(talks)

    def _refuse_too_long(self, talks: Sequence[Talk]) -> Iterator[Done]:
        """Before anything is computed for it."""
        for talk in talks:
            while too_long := [row for row in talk.open_rows if not self._fits(row)]:
                for row in too_long:
                    yield talk.told(Done(row, self._too_long(row)))
                if not talk.open_rows:
                    self._prepare(talk, talk.next_requests())

    def _fits(self, row: Row) -> bool:
        return len(row.prompt.ids) + row.request.sampling.max_new_tokens <= self._engine.context_length

    def _alone(self, talk: Talk) -> Iterator[Done]:
        """What does not fit even by itself, once more with no copy of the prefix beside it; then it fails."""
        for row in talk.open_rows:
            tokens = len(row.prompt.ids)
            failed = Failure(FailureReason.OUT_OF_MEMORY, f"out of memory on a prompt of {tokens} tokens")
            for done in [*self._produce([row], None)] or [Done(row, failed)]:
                yield talk.told(done)
        self._prepare(talk, talk.next_requests())

    def _prepare(self, talk: Talk, requests: Sequence[Request]) -> None:
        """Make the rows of a talk's next step."""
        began = time.monotonic()
        conversations = [request.messages for request in requests]
        probes = [_other_words(request.messages) for request in requests if request.goes_on]
        prompts: list[Prompt] = []
        inputs: list[Tensors] = []
        if requests:
            try:
                prompts, inputs = self._prompter.prompts(talk.inspection.images, [*conversations, *probes])
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise MemoryError(str(error)) from None  # so that the kit knows it for one
                raise
        rows = [
            Row(talk.inspection, request, prompt, inputs)
            for request, prompt in zip(requests, prompts, strict=False)
        ]
        talk.begin(rows, probes=prompts[len(rows) :], seconds=time.monotonic() - began)

    def _share(self, talks: Sequence[Talk]) -> _Shared | None:
        """Compute the talks' prefixes, together."""
        began = time.monotonic()
        openings = {talk.inspection: opening for talk in talks if (opening := talk.opening())}
        if not openings:
            return None
        prefixes = self._engine.prefixes(list(openings.values()))
        seconds = (time.monotonic() - began) / len(openings)
        for talk in talks:
            if talk.inspection in openings:
                talk.spend(seconds)
        return _Shared(prefixes, {inspection: number for number, inspection in enumerate(openings)})

    def _generate(self, rows: Sequence[Row], shared: _Shared | None) -> Iterator[Done]:
        """Sort the rows into what may go together, and have each lot generated."""
        lots: dict[object, list[Row]] = collections.defaultdict(list)
        for row in rows:
            sampling = row.request.sampling
            has_prefix = shared is not None and shared.number(row) is not None
            alone = (
                not self._sharing.batch
                or sampling.temperature > 0  # so that its neighbours do not change what is drawn
                or (has_prefix and not self._sharing.repeats_cache)
            )
            lots[row if alone else (sampling.max_new_tokens, has_prefix)].append(row)
        for lot in lots.values():
            in_use = shared if shared is not None and shared.number(lot[0]) is not None else None
            for done in self._produce(lot, in_use):
                if in_use is not None and done.row.inspection not in in_use.told:
                    in_use.told.add(done.row.inspection)
                    done = dataclasses.replace(done, cached_tokens=0)
                yield done

    def _produce(self, rows: Sequence[Row], shared: _Shared | None) -> Iterator[Done]:
        """Generate the rows, in halves where they do not fit; a row that does not fit at all is left out."""
        rows = [row for row in rows if not row.inspection.stopped.is_set()]
        if not rows:
            return
        try:
            done = self._together(rows, shared)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            done = None
        if done is not None:
            yield from done
            return
        free_memory()
        if len(rows) > 1:
            for half in _halves(rows):
                yield from self._produce(half, shared)

    def _together(self, rows: Sequence[Row], shared: _Shared | None) -> list[Done]:
        began = time.monotonic()
        if shared is None:
            # A prefix of its own for each: all of its prompt but the last token.
            openings = [
                Opening(r.prompt.head(len(r.prompt.ids) - 1), r.inspection.images, r.inputs) for r in rows
            ]
            prefixes, numbers = self._engine.prefixes(openings), list(range(len(rows)))
        else:
            prefixes, numbers = shared.prefixes, [shared.numbers[row.inspection] for row in rows]
        encoded = time.monotonic()
        texts = self._engine.generate(
            prefixes,
            [(number, row.prompt) for number, row in zip(numbers, rows, strict=True)],
            rows[0].request.sampling,
            lambda: all(row.inspection.stopped.is_set() for row in rows),
            keep=shared is not None,
        )
        generated = time.monotonic()
        return [
            Done(
                row,
                text,
                (encoded - began) / len(rows),
                (generated - encoded) / len(rows),
                0 if shared is None else len(prefixes.openings[number].prompt.ids),
                prefixes.image_tokens[number],
            )
            for row, text, number in zip(rows, texts, numbers, strict=True)
        ]

    def _too_long(self, row: Row) -> Failure:
        return Failure(
            FailureReason.CONTEXT_TOO_LONG,
            f"the prompt has {len(row.prompt.ids)} tokens, with {row.request.sampling.max_new_tokens} more "
            f"for the answer, and the model takes {self._engine.context_length} together",
        )


def _other_words(messages: Sequence[Message]) -> tuple[Message, ...]:
    """What a later step may say instead, after the same images: it shows how far all steps are the same."""
    first = next(i for i, message in enumerate(messages) if message.speaker is Speaker.USER)
    return (*messages[:first], Message(Speaker.USER, (*messages[first].parts[:-1], "...")))


def _halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]
