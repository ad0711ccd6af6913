"""What option scores tell."""

from __future__ import annotations

import math
import random

import pytest

from orchestrator.scoring.option_scores import OptionScores, answer_by_scores
from orchestrator.scoring.partition import partition
from orchestrator.scoring.tally import ImageKey, tally
from orchestrator.vocabulary import Option, OptionScore, QuestionType, Subtask

DETECTION = QuestionType.ANOMALY_DETECTION
SWAPPED = (Option("A", "No."), Option("B", "Yes."))
FOUR = tuple(Option(letter, letter) for letter in "ABCD")


def scores(**probabilities: float | None) -> tuple[OptionScore, ...]:
    return tuple(OptionScore(k, None if p is None else math.log(p)) for k, p in probabilities.items())


def measure(records, resamples=20):
    collected = OptionScores()
    for r in records:
        collected.add(r)
    return collected.figures(partition(tally(records).images), 0, resamples)


def test_the_best_offered_letter_is_the_answer():
    assert answer_by_scores(scores(A=0.1, B=0.6, C=0.2), FOUR) == "B"
    assert answer_by_scores(scores(A=0.1, E=0.9), FOUR) == "A"


def test_of_equal_scores_the_option_offered_first_is_the_answer():
    assert answer_by_scores(scores(D=0.3, B=0.3), FOUR) == "B"


def test_without_any_known_score_there_is_no_answer():
    assert answer_by_scores(scores(A=None), FOUR) is None
    assert answer_by_scores((), FOUR) is None
    assert answer_by_scores((OptionScore("A", math.nan), *scores(B=0.1)), FOUR) == "B"


def test_abnormal_is_ranked_by_the_option_that_affirms_it_whatever_its_letter(record):
    def detection(i, p_yes, options):
        yes, no = ("A", "B") if options is None else ("B", "A")
        key = f"Own/p/{'bad' if i < 3 else 'good'}/{i}.png"
        return record(key, DETECTION, options=options, option_scores=scores(**{yes: p_yes, no: 0.9 - p_yes}))

    chances = [0.8, 0.6, 0.3, 0.4, 0.2, 0.1]  # one of nine pairs is out of order
    records = [detection(i, p, SWAPPED if i % 2 else None) for i, p in enumerate(chances)]
    figures = measure(records)
    assert figures.auroc["Own"].value == pytest.approx(100 * 8 / 9)
    assert figures.auroc["Average"] == figures.auroc["Own"]
    assert figures.average_precision["Own"].value == pytest.approx(100 * (1 + 1 + 3 / 4) / 3)


def test_detection_without_one_affirming_option_is_left_out_and_counted(record):
    options = (Option("A", "Round."), Option("B", "Square."))
    figures = measure([record(type=DETECTION, options=options, option_scores=scores(A=0.5, B=0.4))])
    assert figures.detection_left_out == 1
    assert figures.auroc["Own" if "Own" in figures.auroc else "DS-MVTec"].value is None


def test_the_mass_outside_the_letters_is_what_is_missing_to_one(record):
    records = [
        record(f"Own/p/bad/{i}.png", option_scores=scores(A=p, B=0.1, C=None, D=0.1))
        for i, p in enumerate((0.5, 0.7))
    ]
    assert measure(records).outside_letters[Subtask.DEFECT_CLASSIFICATION].value == pytest.approx(20)


def test_a_sure_model_that_is_half_right_has_a_calibration_error_of_half(record):
    records = [
        record(f"Own/p/bad/{i}.png", correct="AB"[i % 2], option_scores=scores(A=0.999, B=0.001))
        for i in range(60)
    ]
    error = measure(records).calibration_error[Subtask.DEFECT_CLASSIFICATION]
    assert error.value == pytest.approx(49.9, abs=2)
    assert error.low < error.value < error.high + 1e-9


def test_records_without_scores_are_in_no_figure(record):
    assert measure([record()]) is None
    figures = measure([record(), record(index=1, option_scores=scores(A=0.9, B=0.1))])
    assert figures.scored == 1


def test_the_order_of_records_changes_no_digit(record):
    generator = random.Random(0)
    records = [
        record(
            f"Own/p{i % 3}/{'bad' if i % 2 else 'good'}/{i}.png",
            DETECTION,
            option_scores=scores(A=(p := round(generator.random(), 1) * 0.8 + 0.1), B=1 - p),
        )
        for i in range(60)
    ]
    records += [
        record(
            f"Own/p{i % 3}/{'bad' if i % 2 else 'good'}/{i}.png",
            index=index,
            correct="AB"[(i + index) % 2],
            option_scores=scores(A=0.6, B=0.3),  # equal confidence: the order decides about bins
        )
        for i in range(60)
        for index in (1, 2, 3)
    ]
    assert measure(records) == measure(generator.sample(records, len(records)))


def test_images_are_found_again_in_the_partition(record):
    one = record(option_scores=scores(A=0.9, B=0.1))
    assert ImageKey("DS-MVTec", "bottle", False, one.key) in tally([one]).images
    assert measure([one]).scored == 1


def test_the_calibration_errors_interval_holds_its_own_value(record):
    """Resamples are noisier than the sample, and noise only adds to a sum of absolute gaps."""
    numbers = random.Random(0)
    records = []
    for i in range(90):
        sure = numbers.uniform(0.3, 0.95)
        right = "A" if numbers.random() < sure else "B"
        chances = scores(A=sure, **dict.fromkeys("BCD", (1 - sure) / 3))
        records.append(record(f"Own/p/bad/{i}.png", correct=right, options=FOUR, option_scores=chances))
    error = measure(records, resamples=300).calibration_error[Subtask.DEFECT_CLASSIFICATION]
    assert 0 <= error.low < error.value < error.high
