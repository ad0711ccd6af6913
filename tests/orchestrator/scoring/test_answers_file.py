"""Answers in MMAD's own format: read, written, and refused with the place."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from pathlib import Path

import pytest

from orchestrator.errors import DataError
from orchestrator.scoring.answers_file import read, write
from orchestrator.scoring.cells import Column
from orchestrator.scoring.summary import score
from orchestrator.vocabulary import Option, Outcome, QuestionType

IMAGE = "DS-MVTec/bottle/image/broken_large/000.png"
OPTIONS = {"A": "Crack.", "B": "Scratch.", "C": "Stain.", "D": "Hole."}


def entry(**changes: object) -> dict[str, object]:
    return {
        "image": IMAGE,
        "question": {"text": "What defect is it?", "options": OPTIONS},
        "question_type": "Defect Classification",
        "correct_answer": "B",
        "gpt_answer": "B",
    } | changes


def save(path: Path, *entries: object) -> Path:
    path.write_text(json.dumps(list(entries)), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.json"


def test_an_entry_becomes_a_record(file):
    (record,) = read(save(file, entry()))
    assert (record.dataset, record.product, record.abnormal, record.index) == ("DS-MVTec", "bottle", True, 0)
    assert record.type is QuestionType.DEFECT_CLASSIFICATION
    assert record.options == tuple(Option(k, v) for k, v in OPTIONS.items())
    assert (record.correct, record.letter, record.outcome) == ("B", "B", Outcome.ANSWERED)


def test_the_question_may_be_plain_text(file):
    (record,) = read(save(file, entry(question="What defect is it?")))
    assert (record.options, record.letter) == ((), "B")


def test_questions_of_an_image_are_numbered_in_order(file):
    other = IMAGE.replace("000", "001")
    records = read(save(file, entry(), entry(image=other), entry()))
    assert [r.index for r in records] == [0, 0, 1]


def test_normal_images_are_told_by_good_in_the_path_where_case_matters(file):
    paths = ["GoodsAD/food_box/test/good/1.jpg", "GoodsAD/food_box/test/opened/1.jpg", "VisA/p/good/2.png"]
    assert [r.abnormal for r in read(save(file, *(entry(image=p) for p in paths)))] == [False, True, False]


@pytest.mark.parametrize(
    ("given", "strict", "mmad"),
    [
        ("B", "B", "B"),
        ("b", "B", "b"),
        ("B. Scratch.", "B", "B. Scratch."),
        ("E", None, "E"),
        ("I cannot tell.", None, "I cannot tell."),
        ("", None, None),
        (7, None, "7"),
    ],
)
def test_strict_reads_the_given_answer_and_mmad_takes_it_as_it_is(file, given, strict, mmad):
    save(file, entry(gpt_answer=given))
    assert [r.letter for r in read(file)] == [strict]
    assert [r.letter for r in read(file, "mmad")] == [mmad]


def test_a_missing_answer_is_missing_and_wrong(file):
    without = {k: v for k, v in entry().items() if k != "gpt_answer"}
    records = list(read(save(file, without, entry(gpt_answer=None), entry())))
    assert [r.outcome for r in records] == [Outcome.MISSING, Outcome.MISSING, Outcome.ANSWERED]
    assert score(records, resamples=5).average[Column.DEFECT_CLASSIFICATION].value == pytest.approx(100 / 3)


def test_by_mmads_way_an_e_counts_as_wrong_and_text_does_not_count(file):
    save(file, entry(), entry(gpt_answer="E"), entry(gpt_answer="b"), entry(gpt_answer="B. Scratch."))
    scores = score(read(file, "mmad"), "mmad", resamples=5)
    assert scores.counted == 2
    assert scores.average[Column.DEFECT_CLASSIFICATION].value == 50


def test_a_question_without_a_right_letter_stays_and_is_never_right(file):
    scores = score(read(save(file, entry(), entry(correct_answer=None))), resamples=5)
    assert scores.average[Column.DEFECT_CLASSIFICATION].value == 50


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("text", "entry 2: not an object"),
        ({"image": IMAGE}, "entry 2: has no 'question'"),
        (entry(image="bottle.png"), "entry 2: image is 'bottle.png'"),
        (entry(question=5), "entry 2: question is neither"),
        (entry(question={"text": "?", "options": ["A"]}), "entry 2: question is neither"),
        (entry(question_type="Defect Clasification"), "Did you mean 'Defect Classification'"),
    ],
)
def test_a_broken_entry_is_refused_with_its_place(file, broken, words):
    with pytest.raises(DataError, match=words) as error:
        list(read(save(file, entry(), broken)))
    assert str(file) in str(error.value)


def test_a_file_that_was_cut_short_is_refused_with_its_place(file):
    file.write_text(json.dumps([entry(), entry()])[:-30], encoding="utf-8")
    with pytest.raises(DataError, match="broken JSON after entry 1"):
        list(read(file))


@pytest.mark.parametrize("content", ['{"image": 1}', "", "letters", "\ufeff{}"])
def test_a_file_that_is_no_list_is_refused(file, content):
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="not a JSON list"):
        list(read(file))


def test_a_file_that_is_not_there_is_refused(file):
    with pytest.raises(DataError, match="cannot be read"):
        list(read(file))


def test_bytes_that_are_no_text_are_refused(file):
    file.write_bytes(b'[{"image": "\xff\xfe"}]')
    with pytest.raises(DataError, match="broken JSON"):
        list(read(file))


def test_what_is_written_is_read_again(file, record):
    records = [
        record(IMAGE, index=0, letter="C"),
        record(IMAGE, QuestionType.OBJECT_DETAILS, index=1, letter=None),
        record("VisA/pcb1/good/1.png", QuestionType.ANOMALY_DETECTION, letter="B", correct="B"),
    ]
    write(records, {(r.key, r.index): "What?" for r in records}, file)
    assert list(read(file)) == records


def test_shuffled_options_are_written_in_the_data_sets_own_letters(file, record):
    shown = (Option("A", "Hole."), Option("B", "Crack."), Option("C", "Stain."), Option("D", "Scratch."))
    shuffled = record(IMAGE, options=shown, original_letters="DACB", correct="D", letter="A")
    write([shuffled], {(IMAGE, 0): "What?"}, file)
    assert json.loads(file.read_text(encoding="utf-8")) == [
        {
            "image": IMAGE,
            "question": {"text": "What?", "options": OPTIONS},
            "question_type": "Defect Classification",
            "correct_answer": "B",
            "gpt_answer": "D",
        }
    ]


def test_of_rotations_and_repeats_the_first_is_written(file, record):
    records = [record(letter="C"), record(rotation=1), record(repeat=1)]
    write(records, {(records[0].key, 0): "What?"}, file)
    assert [r.letter for r in read(file)] == ["C"]


def test_no_records_give_an_empty_list(file):
    write([], {}, file)
    assert list(read(file)) == []


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(file, record):
    save(file, entry())
    before = file.read_bytes()

    def interrupted():
        yield record()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(interrupted(), {(record().key, 0): "What?"}, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_large_file_is_read_and_written_as_a_stream(file, record):
    one = record(IMAGE)
    texts = {(IMAGE, 0): "x" * 1000}
    write((one for _ in range(2_000)), texts, file)
    tracemalloc.start()
    assert sum(1 for _ in read(file)) == 2_000
    write((dataclasses.replace(one) for _ in range(2_000)), texts, file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.stat().st_size > 2_000_000
    assert peak < 500_000
