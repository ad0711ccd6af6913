"""What option scores tell beyond the letter: ranking, calibration, and probability that is spent elsewhere.

- AUROC and average precision of "abnormal", for detection, by data set and as their mean: a question's score
  is P(the option that affirms a defect), normalised over its options. A question of which `defect_option`
  cannot tell that option is left out and counted.
- Expected calibration error, per subtask over all data sets: how far the best option's normalised probability
  is from the share that is right.
- The probability outside the letters, per subtask: 1 - the sum of P(letter).

A letter that the provider does not list has probability 0 when others are listed. All in percent, with
intervals from the draws of whole images that every other figure uses.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from orchestrator.dataset.defect_option import defect_option
from orchestrator.scoring.baselines import subtask_of
from orchestrator.scoring.cells import Array
from orchestrator.scoring.intervals import quantiles
from orchestrator.scoring.partition import Indices, Partition, draws
from orchestrator.scoring.ranking import auroc, average_precision, calibration_error
from orchestrator.scoring.tally import ImageKey
from orchestrator.vocabulary import Option, OptionScore, Record, Subtask


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A number in percent with its 95 % interval; None where it does not exist."""

    value: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class OptionScoreFigures:
    """What the scores tell. Records without scores are in none of the figures."""

    scored: int
    """Records that have scores."""
    detection_left_out: int
    """Scored detection records of which no single option affirms a defect."""
    auroc: dict[str, Estimate]
    """By data set; "Average" is their mean."""
    average_precision: dict[str, Estimate]
    calibration_error: dict[Subtask | None, Estimate]
    outside_letters: dict[Subtask | None, Estimate]


def answer_by_scores(scores: Sequence[OptionScore], options: Sequence[Option]) -> str | None:
    """Return the offered letter with the best score; of equals, the one that is offered first.

    None when no offered letter has a score.
    """
    known = {s.letter: s.log_probability for s in scores if s.log_probability is not None}
    offered = [o.letter for o in options if o.letter in known and not math.isnan(known[o.letter])]
    return max(offered, key=known.__getitem__, default=None)


class OptionScores:
    """Collects the records that have scores."""

    def __init__(self) -> None:
        self._rows: list[
            tuple[ImageKey, tuple[int, int, int], Subtask | None, float, float, float, float]
        ] = []
        self._left_out = 0

    def add(self, record: Record) -> None:
        """Take in one record; without scores it counts nothing."""
        best = answer_by_scores(record.option_scores, record.options)
        if best is None:
            return
        given = {s.letter: s.log_probability for s in record.option_scores}
        chances = {o.letter: _probability(given.get(o.letter)) for o in record.options}
        inside = sum(chances.values())
        if inside == 0:
            return
        subtask = subtask_of(record)
        abnormal = math.nan
        if subtask is Subtask.ANOMALY_DETECTION:
            letter = defect_option(record.options)
            self._left_out += letter is None
            abnormal = chances[letter] / inside if letter else math.nan
        image = ImageKey(record.dataset, record.product, record.abnormal, record.key)
        place = (record.repeat, record.index, record.rotation)
        right = float(best == record.correct)
        outside = min(1.0, max(0.0, 1 - inside))
        self._rows.append((image, place, subtask, chances[best] / inside, right, outside, abnormal))

    def figures(self, parts: Partition, seed: int, resamples: int) -> OptionScoreFigures | None:
        """Compute everything on the sample and on each resample; None when no record had scores."""
        if not self._rows:
            return None
        position = {image: i for i, image in enumerate(parts.images)}
        rows = sorted(self._rows, key=lambda row: (position[row[0]], row[1]))
        of = _Sample(
            parts,
            np.array([position[row[0]] for row in rows]),
            [row[2] for row in rows],
            *(np.array([row[column] for row in rows]) for column in (3, 4, 5, 6)),
        )
        scale = np.repeat(parts.scale, np.diff([*parts.groups, len(parts.images)]))
        value = of.compute(np.ones((1, len(parts.images))))[0]
        resampled = np.concatenate([of.compute(w * scale) for w in draws(parts, seed, resamples)])
        errors = of.calibration_columns
        # A sum of absolute gaps grows with the noise in them, and a resample is noisier than the sample: its
        # intervals are moved by as much, or they could lie wholly above the figure that they belong to.
        resampled[:, errors] += value[errors] - resampled[:, errors].mean(axis=0)
        low, high = quantiles(resampled)
        low[errors] = np.maximum(low[errors], 0.0)
        estimates = [
            Estimate(None, None, None) if math.isnan(v) else Estimate(float(v), float(a), float(b))
            for v, a, b in zip(value, low, high, strict=True)
        ]
        names = [*parts.dataset_names, "Average"]
        subtasks = of.subtasks
        cuts = np.cumsum([len(names), len(names), len(subtasks)])
        return OptionScoreFigures(
            len(rows),
            self._left_out,
            dict(zip(names, estimates[: cuts[0]], strict=True)),
            dict(zip(names, estimates[cuts[0] : cuts[1]], strict=True)),
            dict(zip(subtasks, estimates[cuts[1] : cuts[2]], strict=True)),
            dict(zip(subtasks, estimates[cuts[2] :], strict=True)),
        )


class _Sample:
    """Scored records as arrays, and all figures of them as one row per resample."""

    def __init__(
        self,
        parts: Partition,
        image: Indices,
        subtask: Sequence[Subtask | None],
        confidence: Array,
        right: Array,
        outside: Array,
        abnormal: Array,
    ) -> None:
        self._image, self._confidence, self._right, self._outside = image, confidence, right, outside
        self._abnormal = abnormal
        self._truth = np.array([i.abnormal for i in parts.images], dtype=np.float64)[image]
        dataset = np.array([parts.dataset_names.index(i.dataset) for i in parts.images])[image]
        detection = ~np.isnan(abnormal)
        self._datasets = [np.nonzero(detection & (dataset == d))[0] for d in range(len(parts.dataset_names))]
        self.subtasks = tuple(s for s in (*Subtask, None) if s in subtask)
        self._members = [np.nonzero([s is member for s in subtask])[0] for member in self.subtasks]
        before = 2 * (len(parts.dataset_names) + 1)
        self.calibration_columns = slice(before, before + len(self.subtasks))

    def compute(self, weights: Array) -> Array:
        """Percent, (resamples, figures): AUROC and AP of data sets and mean, ECE, the mass outside."""
        columns: list[Array] = []
        nothing = np.full(len(weights), np.nan)
        for measure in (auroc, average_precision):
            by_dataset = [
                measure(self._abnormal[at], self._truth[at], weights.take(self._image[at], axis=1))
                if self._has_both_classes(at)
                else nothing
                for at in self._datasets
            ]
            held = [c for c in by_dataset if c is not nothing]
            columns += [*by_dataset, np.mean(held, axis=0) if held else nothing]
        for at in self._members:
            chosen = weights.take(self._image[at], axis=1)
            columns.append(calibration_error(self._confidence[at], self._right[at], chosen))
        for at in self._members:
            images = weights.shape[1]
            asked = weights @ np.bincount(self._image[at], minlength=images)
            mass = weights @ np.bincount(self._image[at], self._outside[at], minlength=images)
            columns.append(np.where(asked == 0, np.nan, mass / np.where(asked == 0, 1.0, asked)))
        return 100 * np.stack(columns, axis=1)

    def _has_both_classes(self, at: Indices) -> bool:
        return 0 < float(self._truth[at].sum()) < len(at)


def _probability(log_probability: float | None) -> float:
    return (
        0.0 if log_probability is None or math.isnan(log_probability) else math.exp(min(0.0, log_probability))
    )
