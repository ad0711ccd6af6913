"""The tables at the end."""

import io

import pytest
from rich.console import Console

from orchestrator.reports.tables import accuracy_tables, bold
from orchestrator.scoring.cells import Column
from orchestrator.scoring.paired import compare_all
from orchestrator.scoring.summary import score
from orchestrator.scoring.tally import tally
from orchestrator.vocabulary import Option, Outcome, QuestionType, Record

KINDS = (QuestionType.ANOMALY_DETECTION, QuestionType.DEFECT_CLASSIFICATION)


def records(share_right, images=120, types=KINDS):
    """Every image has a question of each type; the first `share_right` of each stratum are right."""
    options = (Option("A", "Yes"), Option("B", "No"))
    for image in range(images):
        for index, kind in enumerate(types):
            right = image // 2 < share_right * images / 2
            yield Record(
                key=f"d/p/{'good' if image % 2 else 'bad'}/{image}", dataset="d", product="p",
                abnormal=image % 2 == 0, index=index, type=kind, rotation=0, repeat=0, options=options,
                original_letters=("A", "B"), correct="A", letter="A" if right else "B",
                outcome=Outcome.ANSWERED,
            )  # fmt: skip


def text(width=120, best=frozenset(), **shares):
    out = io.StringIO()
    scores = {name: score(records(share), resamples=50) for name, share in shares.items()}
    console = Console(file=out, width=width)
    console.print(accuracy_tables(scores, {}, best, width, dict.fromkeys(scores, 1)))
    return out.getvalue()


def test_every_model_has_its_figures_with_intervals():
    shown = text(good=0.9, poor=0.4)
    line = next(line for line in shown.splitlines() if line.startswith("Defect Classification"))
    assert "90.0" in line
    assert "40.0" in line
    assert line.count("[") == 2
    assert "1-shot" in shown


def test_cells_that_hold_no_question_are_left_out_and_said():
    shown = text(one=0.5)
    assert "Defect Analysis" not in shown
    assert "Partial: 5 of 7 cells" in shown


@pytest.mark.parametrize("width", [60, 80, 200])
def test_as_many_tables_as_the_width_asks_for(width):
    shares = {f"model-{n}": 0.5 for n in range(5)}
    shown = text(width, **shares)
    assert all(name in shown for name in shares)
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width


def test_what_is_better_than_every_rival_is_bold_at_equal_shots_only():
    several = {"good": tally(records(0.9)), "poor": tally(records(0.4))}
    best = bold(compare_all(several), {"good": 1, "poor": 1})
    assert ("good", Column.DEFECT_CLASSIFICATION) in best
    assert not any(name == "poor" for name, column in best if column is not Column.MISS)
    assert not bold(compare_all(several), {"good": 1, "poor": 4})
    equal = {"one": tally(records(0.9)), "two": tally(records(0.9))}
    assert not bold(compare_all(equal), {"one": 1, "two": 1})
    assert not bold({}, {"alone": 1})


def test_what_is_best_has_a_star_where_there_is_no_bold():
    shown = text(best=frozenset({("good", Column.DEFECT_CLASSIFICATION)}), good=0.9, poor=0.4)
    line = next(line for line in shown.splitlines() if line.startswith("Defect Classification"))
    assert "90.0*" in line
    assert "40.0 " in line
    assert "* better than every rival" in shown
