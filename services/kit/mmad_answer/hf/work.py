"""A batch of inspections through the engine: which prompts share a prefix, and what goes through together.

Running out of memory halves what goes through together, first the inspections, then the texts; what does not
fit alone fails by itself.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from mmad_answer.hf.dialogue import Dialogue, Outcome, Request
from mmad_answer.hf.engine import (
    Engine,
    Opening,
    Prefixes,
    common_prefix,
    free_memory,
    is_out_of_memory,
)
from mmad_answer.hf.family import Tensors
from mmad_answer.hf.prompting import Prompt, Prompter
from mmad_answer.model import Failure, FailureReason, Inspection
from mmad_answer.prompt import Message, Speaker

T = TypeVar("T")
_GOING_ON = (Message(Speaker.ASSISTANT, ("...",)), Message(Speaker.USER, ("...",)))


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
class Row:
    """One text to generate."""

    inspection: Inspection
    request: Request
    prompt: Prompt
    inputs: Sequence[Tensors]
    """Of each image of the inspection."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Done:
    """What became of a row."""

    row: Row
    outcome: Outcome
    encode_seconds: float = 0.0
    generate_seconds: float = 0.0
    cached_tokens: int = 0
    """Of the prompt, those that were computed with an earlier row."""
    image_tokens: Sequence[int] = ()


@dataclasses.dataclass(slots=True, eq=False)
class _Talk:
    """A dialogue and the rows of its present step."""

    inspection: Inspection
    dialogue: Dialogue
    rows: list[Row] = dataclasses.field(default_factory=list)
    probes: Sequence[Prompt] = ()
    """Prompts that the next steps' begin like, as far as that is known before their words are."""
    encode_seconds: float = 0.0
    """Spent on its images and prompts, and not told yet."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """Prefixes, and which of them is whose."""

    prefixes: Prefixes
    numbers: Mapping[Inspection, int]

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
        talks = [_Talk(inspection, dialogue) for inspection, dialogue in dialogues]
        for talk in talks:
            self._prepare(talk, next(talk.dialogue, []))
        if self._sharing.prefix and not self._sharing.repeats_cache:
            for talk in talks:
                yield from self._lead([talk])
        else:
            yield from self._lead(talks)

    def _lead(self, talks: Sequence[_Talk]) -> Iterator[Done]:
        shared, fits = None, True
        if self._sharing.prefix:
            try:
                shared = self._share(talks)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                fits = False
        if fits:
            yield from self._go_through(talks, functools.partial(self._generate, shared=shared))
            return
        free_memory()  # here, where the exception holds no tensors any more
        if len(talks) > 1:
            for half in _halves(talks):
                yield from self._lead(half)
        else:
            yield from self._go_through(talks, _out_of_memory)

    def _go_through(
        self, talks: Sequence[_Talk], work: Callable[[Sequence[Row]], Iterator[Done]]
    ) -> Iterator[Done]:
        """Step by step, until no dialogue wants anything more."""
        while rows := [row for talk in talks for row in talk.rows]:
            outcomes: dict[Row, Outcome] = {}
            spent = {talk.inspection: talk for talk in talks}
            for done in work(rows):
                outcomes[done.row] = done.outcome
                talk = spent[done.row.inspection]
                yield dataclasses.replace(done, encode_seconds=done.encode_seconds + talk.encode_seconds)
                talk.encode_seconds = 0.0
            for talk in talks:
                if talk.rows:
                    self._prepare(talk, _answered(talk, outcomes))

    def _prepare(self, talk: _Talk, requests: Sequence[Request]) -> None:
        """Make the rows of a talk's next step."""
        began = time.monotonic()
        talk.rows = []
        if requests and not talk.inspection.stopped.is_set():
            conversations = [request.messages for request in requests]
            probes = [(*request.messages, *_GOING_ON) for request in requests if request.goes_on]
            prompts, inputs = self._prompter.prompts(talk.inspection.images, [*conversations, *probes])
            talk.rows = [
                Row(talk.inspection, request, prompt, inputs)
                for request, prompt in zip(requests, prompts, strict=False)
            ]
            talk.probes = prompts[len(requests) :]
        talk.encode_seconds += time.monotonic() - began

    def _share(self, talks: Sequence[_Talk]) -> _Shared | None:
        """Compute the talks' prefixes, together."""
        began = time.monotonic()
        openings = {talk.inspection: opening for talk in talks if (opening := _opening(talk))}
        if not openings:
            return None
        prefixes = self._engine.prefixes(list(openings.values()))
        seconds = (time.monotonic() - began) / len(openings)
        for talk in talks:
            if talk.inspection in openings:
                talk.encode_seconds += seconds
        return _Shared(prefixes, {inspection: number for number, inspection in enumerate(openings)})

    def _generate(self, rows: Sequence[Row], shared: _Shared | None) -> Iterator[Done]:
        """Sort the rows into what may go together, and have each lot generated."""
        lots: dict[object, list[Row]] = collections.defaultdict(list)
        for row in rows:
            sampling = row.request.sampling
            if len(row.prompt.ids) + sampling.max_new_tokens > self._engine.context_length:
                yield Done(row, self._too_long(row))
                continue
            has_prefix = shared is not None and shared.number(row) is not None
            alone = (
                not self._sharing.batch
                or sampling.temperature > 0  # so that its neighbours do not change what is drawn
                or (has_prefix and not self._sharing.repeats_cache)
            )
            lots[row if alone else (sampling.max_new_tokens, has_prefix)].append(row)
        first: set[Inspection] = set()
        for lot in lots.values():
            in_use = shared if shared is not None and shared.number(lot[0]) is not None else None
            for done in self._produce(lot, in_use):
                yield dataclasses.replace(
                    done, cached_tokens=done.cached_tokens * (done.row.inspection in first)
                )
                first.add(done.row.inspection)

    def _produce(self, rows: Sequence[Row], shared: _Shared | None) -> Iterator[Done]:
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
        if len(rows) == 1:
            yield from _out_of_memory(rows)
        else:
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


def _opening(talk: _Talk) -> Opening | None:
    """What all of a talk's texts begin with; None if nothing, or if images come after it."""
    if not talk.rows:
        return None
    prompts = [row.prompt for row in talk.rows]
    length = min(common_prefix([*prompts, *talk.probes]), min(len(each.ids) for each in prompts) - 1)
    if length == 0 or length < prompts[0].images_end:
        return None
    return Opening(prompts[0].head(length), talk.inspection.images, talk.rows[0].inputs)


def _answered(talk: _Talk, outcomes: Mapping[Row, Outcome]) -> list[Request]:
    """Tell a dialogue what came of its step; its next step. A row that nobody waits for has no outcome."""
    nobody_waits = Failure(FailureReason.INTERNAL, "nobody waits for the answer any more")
    try:
        return talk.dialogue.send([outcomes.get(row, nobody_waits) for row in talk.rows])
    except StopIteration:
        return []


def _out_of_memory(rows: Sequence[Row]) -> Iterator[Done]:
    for row in rows:
        message = f"out of memory on {len(row.prompt.ids)} tokens, though nothing else was computed with them"
        yield Done(row, Failure(FailureReason.OUT_OF_MEMORY, message))


def _halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]
