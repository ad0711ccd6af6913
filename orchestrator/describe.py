"""`orchestrator run --dry-run`: what would be asked, without asking."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.hints.label import sentence
from orchestrator.plan import Plan, effective_shots, fit, inspections
from orchestrator.shards import part_sentence
from orchestrator.vocabulary import ImageRole, Inspection


@dataclasses.dataclass(frozen=True, slots=True)
class Amount:
    """How much one model would be asked."""

    inspections: int
    questions: int
    images: int
    """Sent, not different."""
    bytes: int
    """Of all images sent; what cannot be read, and hints, which are drawn when they are sent, count 0."""
    shots: int
    room_known: bool
    """Whether the model has said how many images it takes; where not, it may get fewer."""
    missing: tuple[str, ...]
    """Images that are not there, the first few."""


_MISSING_SHOWN = 5


def amount(plan: Plan, max_images: int | None = None) -> Amount:
    """Add up what a model with room for `max_images` would be asked (None: as many as there are)."""
    root = Path(plan.dataset.root)
    sizes: dict[str, int | None] = {}
    counts: collections.Counter[str] = collections.Counter()
    for inspection in _fitted(plan, max_images):
        counts["inspections"] += 1
        counts["questions"] += len(inspection.questions)
        for image in inspection.images:
            counts["images"] += 1
            if image.role is ImageRole.EXPERT_HINT:
                continue  # is no file yet
            if image.path not in sizes:
                sizes[image.path] = _size(root / image.path)
            counts["bytes"] += sizes[image.path] or 0
    missing = [path for path, size in sizes.items() if size is None]
    return Amount(
        counts["inspections"],
        counts["questions"],
        counts["images"],
        counts["bytes"],
        effective_shots(plan, max_images),
        max_images is not None,
        tuple(missing[:_MISSING_SHOWN]),
    )


def describe(plan: Plan, amounts: Mapping[str, Amount]) -> str:
    """Say in lines what each model, by name, would be asked."""
    protocol = plan.protocol
    lines = [f"Data: {plan.dataset.root} ({plan.dataset.source}, digest {plan.dataset.digest[:12]})"]
    if plan.shard:
        lines.append(part_sentence(plan.part, len(plan.share)))
    subtasks = collections.Counter(str(q.type or "untyped") for s in plan.share for q in s.questions)
    lines += [f"  {count:>7,}  {name}" for name, count in subtasks.items()]
    changed = {
        name.replace("_", "-"): value
        for name, value in protocol.model_dump(mode="json").items()
        if value != type(protocol).model_fields[name].default and value not in ([], ())
    }
    if changed:
        lines.append("Protocol: " + ", ".join(f"{name} {value}" for name, value in changed.items()))
    if plan.hints:
        lines.append(sentence(plan.hints.identity))
    for name, a in amounts.items():
        lines.append(
            f"{name}: {a.inspections:,} inspections, {a.questions:,} questions, {a.images:,} images "
            f"({a.bytes / 1e6:,.1f} MB), {a.shots} of {protocol.shots} templates each"
            + ("" if a.room_known else " (or fewer, if the model has no room for them)")
        )
        for path in a.missing:
            lines.append(f"  missing: {path}")
    return "\n".join([*lines, "Nothing was asked."])


def _fitted(plan: Plan, max_images: int | None) -> Iterable[Inspection]:
    whole = inspections(plan)
    return whole if max_images is None else (fit(inspection, max_images) for inspection in whole)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
