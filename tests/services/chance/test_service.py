"""chance, the random baseline: uniform, deterministic everywhere, blind to all but id and seed."""

import collections
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmad_answer.model import ChainOfThought, Generation, Inspection, NoOptions, Option, Question

FOLDER = Path(__file__).parents[3] / "services" / "chance"


@pytest.fixture(scope="module")
def chance():
    spec = importlib.util.spec_from_file_location("chance_service", FOLDER / "service.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Chance(NoOptions())


def inspection(questions, letters="ABCD", **fields):
    options = tuple(Option(letter, "?") for letter in letters)
    return Inspection("i", (), tuple(Question(each, "?", options) for each in questions), **fields)


def draw(chance, questions, letters="ABCD", seed=None, **fields):
    asked = inspection(questions, letters, generation=Generation(seed=seed), **fields)
    return [reply.outcome.text for reply in chance.answer([asked])]


def test_these_answers_never_change(chance):
    # A change here changes what every report calls chance.
    assert draw(chance, [f"part#{i}" for i in range(12)]) == list("ACBABDDCBDAA")
    assert draw(chance, [f"part#{i}" for i in range(12)], seed=7) == list("ACDAACBCBACA")


def test_an_inspection_that_is_stopped_is_left_out(chance):
    stopped, other = inspection(["q1"]), inspection(["q2"])
    stopped.stopped.set()
    assert [reply.question_id for reply in chance.answer([stopped, other])] == ["q2"]


def test_another_process_with_another_hash_seed_draws_the_same(chance):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import service\n"
        "from mmad_answer.model import *\n"
        "options = tuple(Option(each, '?') for each in 'ABCD')\n"
        "asked = Inspection('x', (), tuple(Question(f'q{i}', '?', options) for i in range(50)))\n"
        "print(*(reply.outcome.text for reply in service.Chance(NoOptions()).answer([asked])), sep='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(FOLDER)],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(done.stdout.strip()) == draw(chance, [f"q{i}" for i in range(50)])


@pytest.mark.parametrize("letters", ["AB", "ABCD", "ABCDE"])
def test_every_offered_letter_is_as_likely_as_any_other(chance, letters):
    count = 20_000
    drawn = collections.Counter(draw(chance, [f"part#{i}" for i in range(count)], letters))
    assert set(drawn) == set(letters)
    expected = count / len(letters)
    for letter in letters:
        assert abs(drawn[letter] - expected) < 5 * math.sqrt(expected)


def test_the_seed_changes_the_draw_and_its_absence_is_seed_0(chance):
    questions = [f"part#{i}" for i in range(200)]
    assert draw(chance, questions, seed=1) != draw(chance, questions, seed=2)
    assert draw(chance, questions) == draw(chance, questions, seed=0)


def test_nothing_but_id_and_seed_changes_an_answer(chance):
    questions = [f"part#{i}" for i in range(50)]
    plain = draw(chance, questions)
    assert draw(chance, questions, conversation_history=True, instruction="Say A.", analysis="A") == plain
    assert draw(chance, questions[::-1])[::-1] == plain


def test_only_offered_letters_are_given(chance):
    assert set(draw(chance, [f"q{i}" for i in range(100)], letters="CE")) == {"C", "E"}


def test_each_option_scores_log_one_over_k_when_asked(chance):
    asked = inspection(["q"], "ABC", generation=Generation(option_scores=True))
    (reply,) = chance.answer([asked])
    assert [score.letter for score in reply.outcome.option_scores] == ["A", "B", "C"]
    assert all(score.log_probability == math.log(1 / 3) for score in reply.outcome.option_scores)
    (reply,) = chance.answer([inspection(["q"])])
    assert reply.outcome.option_scores == ()


def test_the_card_says_that_it_never_looks_and_takes_everything(chance):
    card = chance.describe()
    able = card.capabilities
    assert (card.name, able.deterministic, able.text_only) == ("chance", True, True)
    assert (able.option_scores, able.conversation_history, able.chain_of_thought) == (True, True, True)
    assert "looks at nothing" in card.notes[0]
    assert card.revision


def test_what_stands_for_an_analysis_is_the_same_with_each_answer_or_the_one_that_was_brought(chance):
    def reasonings(**fields):
        asked = inspection(["q1", "q2"], **fields)
        return [reply.outcome.reasoning for reply in chance.answer([asked])]

    once = {"chain_of_thought": ChainOfThought.PER_INSPECTION}
    made = reasonings(**once)
    assert made[0]
    assert made[0] == made[1]
    assert reasonings(**once, analysis="a scratch") == ["a scratch"] * 2
    assert reasonings() == ["", ""]
