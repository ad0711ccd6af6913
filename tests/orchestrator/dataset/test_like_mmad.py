import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.dataset import masks, sample
from orchestrator.dataset.reading import read
from orchestrator.dataset.summary import images, questions, summarise
from orchestrator.dataset.verify import verify
from orchestrator.vocabulary import Dataset, QuestionType, Subtask

# Data set: detection questions about normal and abnormal images; then the other subtasks in MMAD's order.
TABLE = {
    "DS-MVTec": (465, 1226, 1205, 1193, 1213, 1205, 464, 1367),
    "MVTec-LOCO": (573, 992, 982, 982, 974, 954, 544, 1623),
    "VisA": (943, 1198, 1190, 1197, 1190, 1163, 935, 2806),
    "GoodsAD": (1269, 1631, 1311, 1506, 1333, 1460, 1211, 3367),
}


@pytest.fixture(scope="module")
def dataset(like_mmad_folder: Path) -> Dataset:
    return read(like_mmad_folder)


@pytest.mark.parametrize("name", TABLE)
def test_its_composition_is_that_of_mmad_cell_by_cell(dataset: Dataset, name: str) -> None:
    rows = [row for row in summarise(dataset) if row.dataset == name]
    normal = questions([row for row in rows if not row.abnormal], Subtask.ANOMALY_DETECTION)
    abnormal = questions([row for row in rows if row.abnormal], Subtask.ANOMALY_DETECTION)
    others = [questions(rows, subtask) for subtask in Subtask if subtask is not Subtask.ANOMALY_DETECTION]
    assert (normal, abnormal, *others) == TABLE[name]


def test_its_totals_are_those_that_mmad_announces(dataset: Dataset) -> None:
    rows = summarise(dataset)
    assert len(dataset.samples) == images(rows, False) + images(rows, True) == 8366
    assert questions(rows) == 39672
    assert len({(row.dataset, row.product) for row in rows}) == 38
    with_detection = [
        s for s in dataset.samples if any(q.type is QuestionType.ANOMALY_DETECTION for q in s.questions)
    ]
    assert len(with_detection) == 8297
    assert all(s.questions for s in dataset.samples)


def test_every_type_is_there_as_the_file_spells_it(dataset: Dataset) -> None:
    assert {q.type for s in dataset.samples for q in s.questions} == set(QuestionType)


def test_its_files_are_flawless(like_mmad_folder: Path) -> None:
    assert verify(like_mmad_folder).findings == ()


def test_its_paths_follow_the_ways_of_each_data_set(dataset: Dataset) -> None:
    root = Path(dataset.root)
    by_name = {name: [s for s in dataset.samples if s.dataset == name] for name in TABLE}
    assert all(
        re.fullmatch(r"MVTec-AD/\w+/train/good/.*", p)
        for s in by_name["DS-MVTec"]
        for p in s.random_templates
    )
    loco = next(s for s in by_name["MVTec-LOCO"] if s.abnormal)
    assert (root / "MVTec-LOCO" / loco.product / loco.mask).is_dir()
    goods = next(s for s in by_name["GoodsAD"] if s.abnormal)
    assert Path(goods.mask).suffix == ".jpg"
    assert masks.resolve(root, goods)[0].suffix == ".png"
    assert ("DS-MVTec", "pill") in dataset.domain_knowledge


def test_whoever_reads_it_is_told_that_its_images_are_noise(dataset: Dataset) -> None:
    assert "scores mean nothing" in " ".join(dataset.limitations)


def test_a_second_drawing_into_it_changes_nothing(like_mmad_folder: Path) -> None:
    before = (like_mmad_folder / "mmad.json").stat().st_mtime_ns
    sample.draw_like_mmad(like_mmad_folder)
    assert (like_mmad_folder / "mmad.json").stat().st_mtime_ns == before


def test_reading_all_of_it_costs_less_than_sixty_megabytes_at_the_peak(like_mmad_folder: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from orchestrator.dataset import reading
import ijson, csv
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
dataset = reading.read(Path(sys.argv[1]))
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(like_mmad_folder)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60e6
