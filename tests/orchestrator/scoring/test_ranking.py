"""AUROC, average precision and calibration error against their definitions, written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.scoring.ranking import auroc, average_precision, calibration_error

samples = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def arrays(sample):
    scores, positive, weights = (np.array(column, dtype=float) for column in zip(*sample, strict=True))
    return scores, positive, weights[None]


@given(samples)
@settings(deadline=None)
def test_auroc_is_the_share_of_pairs_in_order_with_ties_counting_half(sample):
    pairs = wins = 0.0
    for score, positive, weight in sample:
        for other, other_positive, other_weight in sample:
            if positive and not other_positive:
                pairs += weight * other_weight
                wins += weight * other_weight * ((score > other) + (score == other) / 2)
    measured = auroc(*arrays(sample))[0]
    assert np.isnan(measured) if pairs == 0 else measured == pytest.approx(wins / pairs)


@given(samples)
@settings(deadline=None)
def test_average_precision_is_the_area_of_its_steps(sample):
    total = sum(w for _, positive, w in sample if positive)
    area = reached = 0.0
    for threshold in sorted({s for s, _, _ in sample}, reverse=True):
        hits = sum(w for s, positive, w in sample if s >= threshold and positive)
        called = sum(w for s, _, w in sample if s >= threshold)
        if total and called:
            area += (hits / total - reached) * hits / called
            reached = hits / total
    measured = average_precision(*arrays(sample))[0]
    assert np.isnan(measured) if total == 0 else measured == pytest.approx(area)


def test_a_weight_is_as_good_as_a_repetition():
    scores, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])
    weights = np.array([[2.0, 1.0, 3.0, 0.0]])
    times = weights[0].astype(int)
    repeated = np.repeat(scores, times), np.repeat(positive, times), np.ones((1, times.sum()))
    for measure in (auroc, average_precision):
        assert measure(scores, positive, weights) == pytest.approx(measure(*repeated))


def test_calibration_error_has_fifteen_bins_of_equal_mass():
    generator = np.random.default_rng(0)
    confidence = generator.random(300)
    right = (generator.random(300) < confidence**2).astype(float)
    order = np.argsort(confidence)
    expected = sum(abs((right[at] - confidence[at]).sum()) for at in np.array_split(order, 15)) / len(
        confidence
    )
    measured = calibration_error(confidence, right, np.ones((1, 300)))
    assert measured == pytest.approx([expected])


def test_calibration_error_of_a_weighted_sample_is_that_of_the_repeated_one():
    generator = np.random.default_rng(1)
    confidence, right = generator.random(40), generator.integers(2, size=40).astype(float)
    weights = np.full((1, 40), 15.0)  # each sample divides evenly over the bins when repeated
    repeated = calibration_error(np.repeat(confidence, 15), np.repeat(right, 15), np.ones((1, 600)), bins=40)
    assert calibration_error(confidence, right, weights, bins=40) == pytest.approx(repeated)


def test_a_perfectly_calibrated_model_has_no_error_and_a_boastful_one_has():
    confidence = np.full(1000, 0.75)
    right = np.tile([1.0, 1.0, 1.0, 0.0], 250)
    assert calibration_error(confidence, right, np.ones((1, 1000)), bins=1) == pytest.approx([0.0])
    assert calibration_error(np.ones(1000), right, np.ones((1, 1000)), bins=1) == pytest.approx([0.25])


def test_equal_confidences_stay_in_one_bin_whatever_their_order():
    """A model that always says 50 % and is right half of the time is well calibrated, in any order."""
    confidence = np.full(100, 0.5)
    for right in (np.arange(100) % 2, np.arange(100) >= 50):
        assert calibration_error(confidence, right.astype(float), np.ones((1, 100))) == pytest.approx([0.0])
    mixed = np.concatenate([confidence, np.linspace(0.6, 0.9, 50)])
    right = np.concatenate([np.arange(100) >= 50, np.ones(50)]).astype(float)
    shuffled = np.random.default_rng(0).permutation(150)
    one = calibration_error(mixed, right, np.ones((1, 150)))
    assert calibration_error(mixed[shuffled], right[shuffled], np.ones((1, 150))) == pytest.approx(one)
