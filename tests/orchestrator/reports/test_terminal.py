"""The terminal while a run goes on."""

import io
import time

import pytest
from rich.console import Console

from orchestrator.recording import Progress
from orchestrator.reports import terminal
from orchestrator.reports.terminal import Screen, plain_line, rate, time_left
from orchestrator.vocabulary import Outcome


@pytest.fixture
def progress():
    counts = dict.fromkeys(Outcome, 0) | {
        Outcome.ANSWERED: 50,
        Outcome.FAILED: 2,
        Outcome.UNREADABLE: 3,
        Outcome.REFUSED: 1,
        Outcome.MISSING: 44,
    }
    return Progress(100, counts, right=28, started=time.monotonic() - 10, fresh=28)


def test_the_plain_line_says_how_a_model_is_getting_on(progress):
    progress.state = "2 of 3 replicas out of reach"
    line = plain_line("gpt", progress)
    assert line.startswith("gpt: 56/100, 50.0 % [37, 63] right so far, 2 failed, 3 unreadable, 1 refused, ")
    assert line.endswith("(2 of 3 replicas out of reach)")


def test_where_nothing_is_right_or_wrong_nothing_is_said_of_it(progress):
    progress.right = None
    progress.add(Outcome.ANSWERED, right=False)
    assert progress.right is None
    assert plain_line("detector", progress).startswith("detector: 57/100, 2 failed, ")
    assert terminal.accuracy_so_far(progress) == "-"


def test_rate_and_time_left_are_of_this_session(progress):
    assert rate(progress) == pytest.approx(2.8, rel=0.05)
    assert time_left(progress) == pytest.approx(44 / 2.8, rel=0.05)
    progress.fresh = 0
    assert time_left(progress) is None


def screen(terminal_like, width=120):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal_like, width=width, highlight=False)
    return Screen(console=console), out


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_gets_a_live_line_per_model(progress, width):
    shown, out = screen(True, width)
    with shown.live({"gpt": progress, "qwen": progress}):
        pass
    text = out.getvalue()
    for part in ("gpt", "qwen", "56/100", "50.0 %", "failed"):
        assert part in text


def test_what_is_the_matter_with_a_model_takes_one_line_and_hides_no_other(progress):
    progress.state = "out of reach, " + "a long explanation " * 20
    shown, out = screen(True, 80)
    with shown.live({"dead": progress, "dead too": progress, "well": progress}):
        pass
    assert len(out.getvalue().splitlines()) <= 8
    assert "well" in out.getvalue()


def test_anything_else_gets_plain_lines_and_always_a_last_one(progress, monkeypatch):
    monkeypatch.setattr(terminal, "_PLAIN_SECONDS", 0.02)
    shown, out = screen(False)
    with shown.live({"gpt": progress}):
        time.sleep(0.1)
        progress.add(Outcome.ANSWERED, right=True)
    lines = out.getvalue().splitlines()
    assert len(lines) > 1
    assert lines[-1].startswith("gpt: 57/100")
    assert "\x1b" not in out.getvalue()


def test_names_are_not_taken_for_markup():
    shown, out = screen(False)
    shown.note("[red]odd[/red] path")
    assert out.getvalue() == "[red]odd[/red] path\n"
