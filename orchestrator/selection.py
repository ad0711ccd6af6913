"""Which samples of a data set a run asks about: by data set, product and type, then a stratified limit."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from orchestrator.errors import DataError, near_matches
from orchestrator.seeds import derive_seed
from orchestrator.vocabulary import SUBTASK_OF, Dataset, QuestionType, Sample, Subtask


def select(
    dataset: Dataset,
    *,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    types: Sequence[QuestionType] = (),
    limit: int | None = None,
    seed: int = 0,
) -> tuple[Sample, ...]:
    """Return the samples to ask about, in the data set's order, each with the questions to ask.

    Args:
        dataset: where they come from.
        only: keep these "DATASET" or "DATASET/PRODUCT"; all when empty.
        exclude: drop these, after `only`.
        types: keep these questions; "Object Analysis" means its two spellings in the file too.
        limit: keep so many images, drawn by `seed` and spread over (data set, product, normal or abnormal) in
            proportion. A larger limit keeps nearly all that a smaller one keeps.
        seed: of the draw.

    Raises:
        DataError: for a name that the data set does not have, or when nothing is left.
    """
    _check_names(dataset, only, "--only")
    _check_names(dataset, exclude, "--exclude")
    samples: Iterable[Sample] = dataset.samples
    if only:
        samples = [s for s in samples if s.dataset in only or f"{s.dataset}/{s.product}" in only]
    if exclude:
        samples = [s for s in samples if not (s.dataset in exclude or f"{s.dataset}/{s.product}" in exclude)]
    if types:
        samples = _keep_types(dataset, samples, types)
    samples = tuple(s for s in samples if s.questions)
    if not samples:
        raise DataError("Nothing is left to ask: --only, --exclude and --type together leave no question.")
    return _stratified(samples, limit, seed) if limit is not None else samples


def _check_names(dataset: Dataset, names: Sequence[str], flag: str) -> None:
    if not names:
        return
    known = sorted({n for s in dataset.samples for n in (s.dataset, f"{s.dataset}/{s.product}")})
    for name in names:
        if name not in known:
            message = f"{flag} {name}: the data set has no such data set or product."
            # A bare product is the likeliest slip, and its near match the most useful answer.
            hint = [k for k in known if k.endswith(f"/{name}")]
            near = f" Did you mean {hint[0]!r}?" if hint else near_matches(name, known)
            datasets = ", ".join(sorted({s.dataset for s in dataset.samples}))
            raise DataError(f"{message}{near} Data sets here: {datasets}.")


def _keep_types(dataset: Dataset, samples: Iterable[Sample], types: Sequence[QuestionType]) -> list[Sample]:
    if any(q.type is None for s in dataset.samples for q in s.questions):
        raise DataError(f"--type: {dataset.source} does not say its questions' types; mmad.json does.")
    wanted = set(types)
    if QuestionType.OBJECT_ANALYSIS in wanted:
        wanted |= {t for t, subtask in SUBTASK_OF.items() if subtask is Subtask.OBJECT_ANALYSIS}
    return [
        dataclasses.replace(s, questions=tuple(q for q in s.questions if q.type in wanted)) for s in samples
    ]


def _stratified(samples: Sequence[Sample], limit: int, seed: int) -> tuple[Sample, ...]:
    if limit >= len(samples):
        return tuple(samples)
    strata: dict[tuple[str, str, bool], list[Sample]] = collections.defaultdict(list)
    for sample in samples:
        strata[sample.dataset, sample.product, sample.abnormal].append(sample)
    # Largest remainders: whole quotas first, what is left goes to the largest fractions, ties by seed.
    exact = {stratum: limit * len(members) / len(samples) for stratum, members in strata.items()}
    quota = {stratum: int(share) for stratum, share in exact.items()}
    by_remainder = sorted(strata, key=lambda s: (quota[s] - exact[s], derive_seed(seed, "quota", *s)))
    for stratum in by_remainder[: limit - sum(quota.values())]:
        quota[stratum] += 1
    chosen = {
        sample.key
        for stratum, members in strata.items()
        for sample in sorted(members, key=lambda s: derive_seed(seed, "limit", s.key))[: quota[stratum]]
    }
    return tuple(s for s in samples if s.key in chosen)
