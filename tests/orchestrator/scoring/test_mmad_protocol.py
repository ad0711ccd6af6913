"""MMAD's way of scoring against the row that it published."""

from __future__ import annotations

import csv
import io

import pytest

from orchestrator.scoring.mmad_protocol import accuracy_csv
from orchestrator.scoring.summary import score
from orchestrator.vocabulary import Outcome, QuestionType

GPT4O_RIGHT = (349, 1074, 929, 826, 1002, 1117, 463, 1242)
GPT4O_ASKED = (465, 1226, 1205, 1193, 1213, 1205, 464, 1367)
GPT4O_ROW = {
    "Anomaly Detection": 81.3279,
    "Defect Classification": 77.0954,
    "Defect Localization": 69.2372,
    "Defect Description": 82.6051,
    "Defect Analysis": 92.6971,
    "Object Classification": 99.7845,
    "Object Analysis": 90.8559,
    "Average": 84.8004,
    "Recall": 87.6020,
    "Precision": 90.2521,
    "F1": 88.9073,
}


def table(text: str) -> dict[str, dict[str, float]]:
    rows = list(csv.reader(io.StringIO(text)))
    return {row[0]: dict(zip(rows[0][1:], map(float, row[1:]), strict=True)) for row in rows[1:]}


def test_gpt_4o_on_ds_mvtec_gives_the_published_row(from_counts):
    row = table(accuracy_csv(from_counts("DS-MVTec", GPT4O_RIGHT, GPT4O_ASKED)))["DS-MVTec"]
    for column, published in GPT4O_ROW.items():
        assert row[column] == pytest.approx(published, abs=5e-5 + 1e-6), column  # published with 4 decimals


def test_every_column_is_its_formula_to_1e_6(from_counts):
    row = table(accuracy_csv(from_counts("DS-MVTec", GPT4O_RIGHT, GPT4O_ASKED)))["DS-MVTec"]
    normal, abnormal = 349 / 465, 1074 / 1226
    precision = 1074 / (1074 + 465 - 349)
    expected = {
        "Anomaly Detection": 50 * (normal + abnormal),
        "Recall": 100 * abnormal,
        "Precision": 100 * precision,
        "F1": 200 * precision * abnormal / (precision + abnormal),
        "Overkill": 100 - 100 * normal,
        "Miss": 100 - 100 * abnormal,
        "Object Analysis": 100 * 1242 / 1367,
    }
    for column, value in expected.items():
        assert row[column] == pytest.approx(value, abs=1e-6), column


def test_the_csv_has_the_published_layout(from_counts):
    text = accuracy_csv(
        [
            *from_counts("Own", (1,) * 8, (1,) * 8),
            *from_counts("VisA", (1,) * 8, (2,) * 8),
            *from_counts("DS-MVTec", (1,) * 8, (2,) * 8),
        ]
    )
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == [
        "", "Anomaly Detection", "Defect Classification", "Defect Localization", "Defect Description",
        "Defect Analysis", "Object Classification", "Object Analysis", "Average", "Recall", "Precision", "F1",
        "Overkill", "Miss",
    ]  # fmt: skip
    assert [row[0] for row in rows[1:]] == ["DS-MVTec", "VisA", "Own", "Average"]


def test_the_average_row_is_the_mean_over_data_sets_column_by_column(from_counts):
    records = [
        *from_counts("DS-MVTec", GPT4O_RIGHT, GPT4O_ASKED),
        *from_counts("VisA", (10,) * 8, (40,) * 8),
    ]
    rows = table(accuracy_csv(records))
    for column, value in rows["Average"].items():
        assert value == pytest.approx((rows["DS-MVTec"][column] + rows["VisA"][column]) / 2, abs=1e-9)


def test_an_answer_that_is_no_letter_leaves_the_denominator_and_the_next_entry_stays(record):
    key = "VisA/candle/bad/{}.png"
    records = [
        record(key.format(1), letter="A"),
        record(key.format(2), letter=None),
        record(key.format(3), letter="B"),  # MMAD's script skips this one
        record(key.format(4), correct=""),
        record(key.format(5), letter="A"),
    ]
    row = table(accuracy_csv(records))["VisA"]
    assert row["Defect Classification"] == pytest.approx(100 * 2 / 3)


def test_structure_and_details_count_as_object_analysis(record):
    kinds = (QuestionType.OBJECT_STRUCTURE, QuestionType.OBJECT_DETAILS, QuestionType.OBJECT_ANALYSIS)
    records = [record(type=kind, index=i, letter="ABA"[i]) for i, kind in enumerate(kinds)]
    assert table(accuracy_csv(records))["DS-MVTec"]["Object Analysis"] == pytest.approx(100 * 2 / 3)


def test_empty_classes_and_cells_count_zero(record):
    records = [record("VisA/candle/bad/1.png", QuestionType.ANOMALY_DETECTION)]
    row = table(accuracy_csv(records))["VisA"]
    assert row["Anomaly Detection"] == 50
    assert row["Average"] == pytest.approx(50 / 7)
    assert row["Defect Analysis"] == 0


def test_a_row_that_has_no_records_is_no_row(record):
    assert list(table(accuracy_csv([record(letter=None)]))) == []


def test_rotations_and_repeats_are_left_to_the_strict_protocol(record):
    records = [record(letter="A"), record(letter="B", rotation=1), record(letter="B", repeat=1)]
    assert table(accuracy_csv(records))["DS-MVTec"]["Defect Classification"] == 100


def test_mmads_full_composition_has_39_672_questions_and_8_297_detections(from_counts, mmad_composition):
    records = [r for name, asked in mmad_composition.items() for r in from_counts(name, asked, asked)]
    scores = score(records, resamples=0)
    assert len(records) == scores.counted == 39_672
    assert sum(row["Anomaly Detection"].asked for row in scores.datasets.values()) == 8_297
    assert scores.average["Average"].value == 100
    assert not scores.partial
    by_mmad = table(accuracy_csv(records))
    assert list(by_mmad) == ["DS-MVTec", "MVTec-LOCO", "VisA", "GoodsAD", "Average"]
    assert by_mmad["Average"]["Overkill"] == 0


def test_the_summary_by_mmads_way_agrees_with_the_csv(from_counts, record):
    records = [
        *from_counts("DS-MVTec", GPT4O_RIGHT, GPT4O_ASKED),
        record("VisA/candle/bad/1.png", letter=None, outcome=Outcome.FAILED),
        record("VisA/candle/bad/2.png", QuestionType.ANOMALY_DETECTION),
    ]
    scores = score(records, "mmad", resamples=10)
    rows = table(accuracy_csv(records))
    for name, row in {**scores.datasets, "Average": scores.average}.items():
        for column, value in rows[name].items():
            assert row[column].value == pytest.approx(value, abs=1e-9)
