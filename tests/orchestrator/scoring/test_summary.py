"""The strict protocol's promises, and the stable form of the scores."""

from __future__ import annotations

import json
import random
import statistics

import pytest

from orchestrator.scoring.cells import Column
from orchestrator.scoring.repeats import spread
from orchestrator.scoring.summary import rows, score, to_json
from orchestrator.scoring.tally import Tally
from orchestrator.vocabulary import OptionScore, Outcome, QuestionType, Subtask

DETECTION = QuestionType.ANOMALY_DETECTION


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED, Outcome.UNREADABLE, Outcome.MISSING])
def test_failures_stay_in_the_denominator(record, outcome):
    records = [record(letter="A"), record(index=1, letter=None, outcome=outcome)]
    scores = score(records, resamples=5)
    assert scores.average[Column.DEFECT_CLASSIFICATION].value == 50
    assert scores.counts[outcome] == 1
    assert scores.counts_by_dataset["DS-MVTec"][outcome] == 1


def test_only_an_answer_that_was_read_can_be_right(record):
    scores = score([record(letter="A", outcome=Outcome.FAILED)], resamples=5)
    assert scores.average[Column.DEFECT_CLASSIFICATION].value == 0


def test_detection_is_the_mean_of_normal_and_abnormal(record):
    records = [record(f"Own/p/bad/{i}.png", DETECTION, letter="A") for i in range(9)]
    records.append(record("Own/p/good/9.png", DETECTION, letter="B"))
    row = score(records, resamples=5).datasets["Own"]
    assert row[Column.ANOMALY_DETECTION].value == 50
    assert row[Column.ALL_QUESTIONS].value == 90
    assert (row[Column.RECALL].value, row[Column.OVERKILL].value, row[Column.MISS].value) == (100, 100, 0)
    assert row[Column.PRECISION].value == pytest.approx(90)
    assert row[Column.F1].value == pytest.approx(200 * 0.9 / 1.9)


def test_who_never_calls_anything_abnormal_has_precision_and_f1_of_0(record):
    records = [record("Own/p/bad/1.png", DETECTION, letter="B"), record("Own/p/good/2.png", DETECTION)]
    row = score(records, resamples=5).datasets["Own"]
    assert (row[Column.PRECISION].value, row[Column.F1].value) == (0, 0)


def test_cells_that_the_plan_lacks_are_left_out_and_the_average_is_partial(record):
    records = [record("Own/p/bad/1.png", DETECTION), record("Own/p/bad/1.png", index=1, letter="B")]
    scores = score(records, resamples=5)
    assert scores.partial
    assert Subtask.ANOMALY_DETECTION in scores.missing_cells["Own"]  # no normal image
    assert Subtask.DEFECT_CLASSIFICATION not in scores.missing_cells["Own"]
    assert Column.ANOMALY_DETECTION not in scores.datasets["Own"]
    assert Column.OVERKILL not in scores.datasets["Own"]
    assert scores.datasets["Own"][Column.RECALL].value == 100
    assert scores.datasets["Own"][Column.AVERAGE].value == 0


def test_a_column_is_averaged_over_the_data_sets_that_have_it(record):
    records = [record("One/p/bad/1.png"), record("Two/p/bad/1.png", QuestionType.DEFECT_ANALYSIS, letter="B")]
    average = score(records, resamples=5).average
    assert average[Column.DEFECT_CLASSIFICATION].value == 100
    assert average[Column.DEFECT_ANALYSIS].value == 0
    assert average[Column.AVERAGE].value == 50


def test_a_whole_plan_is_not_partial(simulate):
    assert not score(simulate(1), resamples=5).partial


def test_questions_without_a_type_are_scored_by_data_set_only(record):
    scores = score([record(type=None), record(type=None, index=1, letter="B")], resamples=5)
    assert scores.untyped == 2
    assert set(scores.datasets["DS-MVTec"]) == {Column.ALL_QUESTIONS}
    assert scores.average[Column.ALL_QUESTIONS].value == 50
    assert scores.partial


def test_every_figure_has_an_interval_around_it(simulate):
    scores = score(simulate(3), resamples=200)
    for row in [*scores.datasets.values(), scores.average, *scores.products["Own"].values()]:
        assert set(row) == set(Column)
        for figure in row.values():
            assert figure.low <= figure.value <= figure.high
            assert figure.low < figure.high


def test_products_are_scored_as_data_sets_are(simulate):
    records = simulate(3)
    one = [r for r in records if (r.dataset, r.product) == ("Own", "p1")]
    alone = score(one, resamples=5).datasets["Own"]
    among = score(records, resamples=5).products["Own"]["p1"]
    assert {c: f.value for c, f in alone.items()} == {c: f.value for c, f in among.items()}


def test_circular_counts_a_question_only_when_every_rotation_is_right(record):
    records = [record(index=0, rotation=r, letter="A") for r in range(4)]
    records += [record(index=1, rotation=r, letter="AAAB"[r]) for r in range(4)]
    scores = score(records, resamples=5)
    figure = scores.average[Column.DEFECT_CLASSIFICATION]
    assert (figure.value, figure.asked) == (50, 2)
    assert scores.circular.rotations == 4
    assert scores.counts[Outcome.ANSWERED] == 8


def test_repeats_are_averaged_and_their_spread_is_reported(record):
    values = [1, 0, 1]
    records = [
        record(f"Own/p/bad/{i}.png", repeat=r, letter="A" if i < 5 + values[r] else "B")
        for r in range(3)
        for i in range(10)
    ]
    scores = score(records, resamples=5)
    repeats = [60.0, 50.0, 60.0]
    found = scores.repeats.datasets["Average"][Column.DEFECT_CLASSIFICATION]
    assert scores.repeats.number == 3
    assert found.mean == pytest.approx(scores.average[Column.DEFECT_CLASSIFICATION].value)
    assert found.standard_deviation == pytest.approx(statistics.stdev(repeats))
    assert (found.low, found.high) == (50, 60)


def test_one_repeat_has_no_spread(record):
    tally = Tally()
    tally.add(record())
    assert spread(tally) is None


def test_the_same_records_in_any_order_give_the_same_bytes(simulate, record):
    records = [
        *simulate(5),
        record("Zoo/p/bad/1.png", repeat=1, option_scores=(OptionScore("A", -0.1), OptionScore("B", -3.0))),
        record("Zoo/p/bad/1.png", letter=None, outcome=Outcome.REFUSED),
        record("Another/p/good/1.png", type=None, letter=None, outcome=Outcome.FAILED),
    ]
    texts = {
        json.dumps(to_json(score(random.Random(seed).sample(records, len(records)), resamples=50)))
        for seed in range(4)
    }
    assert len(texts) == 1


def test_the_json_form_holds_only_plain_values_and_survives_json(simulate):
    tree = to_json(score(simulate(5), resamples=20))
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree
    assert list(tree)[:4] == ["protocol", "seed", "resamples", "counts"]
    assert list(tree["datasets"]) == ["DS-MVTec", "Own"]
    limits = [tree["average"][column.value]["low"] for column in Column]
    assert limits == [round(limit, 6) for limit in limits]
    assert list(tree["average"])[-1] == "All Questions"


def test_data_sets_stand_in_mmads_order_and_others_by_name(record):
    names = ["Zoo", "GoodsAD", "Ant", "DS-MVTec"]
    scores = score([record(f"{name}/p/bad/1.png") for name in names], resamples=5)
    assert list(scores.datasets) == ["DS-MVTec", "GoodsAD", "Ant", "Zoo"]


def test_rows_are_flat_and_hold_every_figure(simulate):
    scores = score(simulate(5), resamples=20)
    flat = rows(scores)
    assert len(flat) == 3 * len(Column)
    assert flat[0] == {
        "dataset": "DS-MVTec",
        "figure": "Anomaly Detection",
        "value": scores.datasets["DS-MVTec"][Column.ANOMALY_DETECTION].value,
        "low": scores.datasets["DS-MVTec"][Column.ANOMALY_DETECTION].low,
        "high": scores.datasets["DS-MVTec"][Column.ANOMALY_DETECTION].high,
        "asked": 40,
    }


@pytest.mark.parametrize("protocol", ["strict", "mmad"])
def test_no_records_give_no_figures_and_no_error(protocol):
    scores = score([], protocol)
    assert (scores.datasets, scores.average, scores.counted) == ({}, {}, 0)
    assert to_json(scores)["partial"] is False


def test_by_mmads_way_what_is_not_counted_is_still_shown(record):
    scores = score([record(), record(index=1, letter=None, outcome=Outcome.FAILED)], "mmad", resamples=5)
    assert (scores.counted, scores.counts[Outcome.FAILED]) == (1, 1)
    assert scores.average[Column.DEFECT_CLASSIFICATION].value == 100
