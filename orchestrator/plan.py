"""Samples and a protocol make inspections, deterministically: one plan for every model and session.

Inspections are made one at a time, as they are asked for; nothing here grows with the data set but the
samples themselves.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.options import OptionOrder, Protocol, Templates
from orchestrator.seeds import derive_seed, generator
from orchestrator.selection import select
from orchestrator.shards import share
from orchestrator.vocabulary import (
    AskedQuestion,
    Dataset,
    ImageReference,
    ImageRole,
    Inspection,
    Option,
    Question,
    Sample,
    Shard,
)

if TYPE_CHECKING:
    from orchestrator.hints.images import Hints

PLANNER = 1
"""Raised when the same data and protocol come to give other inspections: a run cannot go on across that."""
_SEED_BITS = 31  # the widest that every provider takes


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run asks: the chosen samples of a data set, under a protocol."""

    dataset: Dataset
    protocol: Protocol
    samples: tuple[Sample, ...]
    """All that are chosen, whatever the shard: what a part shows must not depend on the part."""
    defective: Mapping[tuple[str, str], tuple[str, ...]]
    """Of each product, the keys of all its abnormal images: where defect examples come from."""
    hints: Hints | None = None
    """What is drawn on the query for one more image after it, if anything."""
    shard: Shard | None = None
    """The part that this run asks; None: all."""

    @functools.cached_property
    def share(self) -> tuple[Sample, ...]:
        """The samples that this run asks about."""
        return share(self.samples, self.shard) if self.shard else self.samples

    @property
    def inspection_count(self) -> int:
        """Inspections that each model is asked."""
        return len(self.share) * self.protocol.repeats

    @property
    def question_count(self) -> int:
        """Questions that each model is asked, rotations and repeats included."""
        return self._questions(self.share)

    def _questions(self, samples: Iterable[Sample]) -> int:
        return sum(times_asked(sample, self.protocol) for sample in samples) * self.protocol.repeats

    @property
    def part(self) -> dict[str, object]:
        """What makes a shard's run another than the whole one's, as JSON; empty for the whole."""
        if not self.shard:
            return {}
        whole = {"of_images": len(self.samples), "of_questions": self._questions(self.samples)}
        return {"number": str(self.shard), **whole}


def build_plan(dataset: Dataset, protocol: Protocol, shard: Shard | None = None) -> Plan:
    """Choose the samples and check that the data set has what the protocol shows.

    Args:
        dataset: where they come from.
        protocol: which, and how they are shown.
        shard: the part of them to ask about.

    Raises:
        DataError: for unknown names, for templates or domain knowledge that the data set does not have.
    """
    samples = select(
        dataset,
        only=protocol.only,
        exclude=protocol.exclude,
        types=protocol.type,
        limit=protocol.limit,
        seed=protocol.seed,
    )
    if protocol.shots and not protocol.text_only and not any(_templates(s, protocol) for s in samples):
        other = Templates.SIMILAR if protocol.templates is Templates.RANDOM else Templates.RANDOM
        raise DataError(
            f"--templates {protocol.templates}: {dataset.source} lists no {protocol.templates} templates. "
            f"Use --templates {other}, or --shots 0."
        )
    if protocol.domain_knowledge and not dataset.domain_knowledge:
        raise DataError(f"--domain-knowledge: there is no domain_knowledge.json in {dataset.root}.")
    defective: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    if protocol.defect_examples:
        for sample in dataset.samples:
            if sample.abnormal:
                defective[sample.dataset, sample.product].append(sample.key)
    examples = {product: tuple(keys) for product, keys in defective.items()}
    return Plan(dataset, protocol, samples, examples, shard=shard)


def inspections(plan: Plan) -> Iterator[Inspection]:
    """Make the plan's inspections in their order: the whole set, then its repeats.

    The first pass comes first, so that an interrupted run has each question once rather than some of them
    often; within a pass the data set's order keeps a product's images, and so its templates, together.
    """
    for repeat in range(plan.protocol.repeats):
        for sample in plan.share:
            yield _inspection(plan, sample, repeat)


def question_numbers(plan: Plan) -> Iterator[int]:
    """Yield the place, from 1, that each question of `inspections` has in the whole plan, shard or not.

    The journal numbers its questions so, which is why shards can be joined in order without the data set.
    """
    mine = {sample.key for sample in plan.share}
    before = 0
    for _ in range(plan.protocol.repeats):
        for sample in plan.samples:
            count = times_asked(sample, plan.protocol)
            if sample.key in mine:
                yield from range(before + 1, before + count + 1)
            before += count


def times_asked(sample: Sample, protocol: Protocol) -> int:
    """Return how many questions a sample makes in one pass, rotations included."""
    circular = protocol.options is OptionOrder.CIRCULAR
    return sum(len(question.options) if circular else 1 for question in sample.questions)


def _inspection(plan: Plan, sample: Sample, repeat: int) -> Inspection:
    protocol = plan.protocol
    suffix = f"@{repeat}" if repeat else ""
    return Inspection(
        inspection_id=f"{sample.key}{suffix}",
        sample=sample,
        repeat=repeat,
        images=_images(plan, sample, repeat),
        questions=tuple(a for q in sample.questions for a in _asked(q, sample.key, repeat, protocol)),
        domain_knowledge=_knowledge(plan, sample) if protocol.domain_knowledge else "",
        seed=derive_seed(protocol.seed, "generation", sample.key, repeat, bits=_SEED_BITS),
    )


def _templates(sample: Sample, protocol: Protocol) -> tuple[str, ...]:
    listed = sample.random_templates if protocol.templates is Templates.RANDOM else sample.similar_templates
    # A query that is listed as its own template would be told to be flawless.
    return tuple(path for path in listed if path != sample.key)[: protocol.shots]


def _images(plan: Plan, sample: Sample, repeat: int) -> tuple[ImageReference, ...]:
    protocol = plan.protocol
    if protocol.text_only:
        return ()
    templates = (ImageReference(ImageRole.NORMAL_TEMPLATE, path) for path in _templates(sample, protocol))
    # Whatever the query's own label: were examples shown to abnormal queries only, they would tell it.
    pool = [key for key in plan.defective.get((sample.dataset, sample.product), ()) if key != sample.key]
    count = _example_count(plan, sample)
    drawn = generator(protocol.seed, "defect examples", sample.key, repeat).sample(pool, count)
    examples = (ImageReference(ImageRole.DEFECT_EXAMPLE, path) for path in drawn)
    hint = (ImageReference(ImageRole.EXPERT_HINT, sample.key, plan.hints.caption),) if plan.hints else ()
    return (*templates, *examples, ImageReference(ImageRole.QUERY, sample.key), *hint)


def _example_count(plan: Plan, sample: Sample) -> int:
    # As many as an abnormal query of the product has besides itself: one more for normal ones would tell.
    others = len(plan.defective.get((sample.dataset, sample.product), ())) - 1
    return max(0, min(plan.protocol.defect_examples, others))


def _asked(question: Question, key: str, repeat: int, protocol: Protocol) -> Iterator[AskedQuestion]:
    count = len(question.options)
    orders = [list(range(count))]
    if protocol.options is OptionOrder.SHUFFLED:
        generator(protocol.seed, "options", key, question.index, repeat).shuffle(orders[0])
    elif protocol.options is OptionOrder.CIRCULAR:
        orders = [[(place + turn) % count for place in range(count)] for turn in range(count)]
    letters = [option.letter for option in question.options]
    for rotation, order in enumerate(orders):
        shown = [question.options[index] for index in order]
        yield AskedQuestion(
            question_id=f"{key}#{question.index}"
            + (f"+{rotation}" if rotation else "")
            + (f"@{repeat}" if repeat else ""),
            index=question.index,
            rotation=rotation,
            text=question.text,
            options=tuple(Option(letter, o.text) for letter, o in zip(letters, shown, strict=True)),
            correct=next(n for n, o in zip(letters, shown, strict=True) if o.letter == question.answer),
            original_letters=tuple(option.letter for option in shown),
            type=question.type,
        )


def _knowledge(plan: Plan, sample: Sample) -> str:
    # All of a product's texts, whatever the query: the query's own kind alone would tell the label.
    texts = plan.dataset.domain_knowledge.get((sample.dataset, sample.product), {})
    return "\n\n".join(f"{kind}: {text.strip()}" for kind, text in texts.items())


def fit(inspection: Inspection, max_images: int) -> Inspection:
    """Leave out what a model has no room for: the last templates, then the last examples.

    Never the query, nor its hint: a model without room for both is not asked (`dispatch.cards.unsupported`).
    """
    surplus = len(inspection.images) - max_images
    if surplus <= 0:
        return inspection
    images = list(inspection.images)
    for role in (ImageRole.NORMAL_TEMPLATE, ImageRole.DEFECT_EXAMPLE):
        for index in reversed(range(len(images))):
            if surplus > 0 and images[index].role is role:
                del images[index]
                surplus -= 1
    return dataclasses.replace(inspection, images=tuple(images))


def effective_shots(plan: Plan, max_images: int | None = None) -> int:
    """Return how many templates a model really gets (at most, if it varies).

    The data set may list fewer than the protocol asks for, and a model may have room for fewer; None: it has
    room for all.
    """
    if plan.protocol.text_only:
        return 0
    return max(_shots(plan, sample, max_images) for sample in plan.samples)


def _shots(plan: Plan, sample: Sample, max_images: int | None) -> int:
    listed = len(_templates(sample, plan.protocol))
    if max_images is None:
        return listed
    others = 1 + (plan.hints is not None) + _example_count(plan, sample)
    return max(0, min(listed, max_images - others))


def identity(plan: Plan) -> dict[str, object]:
    """Return what makes two runs the same but for their models: the data, the protocol, the hints, as JSON.

    Hints and the shard are left out where there are none, so that runs from before there were any stay what
    they are, and the shards' common identity is that of the whole run.
    """
    protocol = plan.protocol.model_dump(mode="json")
    return {
        "data": {"digest": plan.dataset.digest, "source": plan.dataset.source},
        "planner": PLANNER,
        "protocol": protocol,
        "instruction_sha256": hashlib.sha256(plan.protocol.instruction.encode()).hexdigest(),
        **({"hints": plan.hints.identity} if plan.hints else {}),
        **({"shard": plan.part} if plan.shard else {}),
    }


def completed(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored identity with the settings that have come since, at their defaults.

    A setting that this version does not know stays, and so makes the run another.
    """
    defaults = Protocol().model_dump(mode="json")
    return {**known, "protocol": defaults | known["protocol"]}


def fingerprint(plan: Plan) -> str:
    """Return a short name of the identity, for folder names."""
    return hashlib.sha256(json.dumps(identity(plan), sort_keys=True).encode()).hexdigest()[:6]
