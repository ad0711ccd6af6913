"""The service as a whole: letters, scores, chance where it cannot see, and a sample data set end to end."""

import json
import math
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from mmad_answer import uniform
from mmad_answer.loading import find_model_class
from mmad_answer.model import ChainOfThought, Generation, Inspection, NoOptions, Option, Question, Turn
from orchestrator.dataset import sample
from template_diff import detector

DEFECT = "Is there any defect in the object?"
PLACE = "Where is the defect?"
KIND = "What kind of defect is it?"


def question(text, *options, name="q"):
    return Question(
        name, text, tuple(Option(letter, each) for letter, each in zip("ABCD", options, strict=False))
    )


def ask(model, images, *questions, scores=False, seed=None, **fields):
    """The answers of one inspection, in order."""
    generation = Generation(option_scores=scores, seed=seed)
    inspection = Inspection("i", images, questions, generation=generation, **fields)
    return [reply.outcome for reply in model.answer([inspection])]


@pytest.fixture(scope="module")
def defective(part):
    return part(mark=lambda pen: pen.ellipse((200, 180, 222, 202), (30, 25, 20)), noise=9)


@pytest.fixture(scope="module")
def spot_top_left(part):
    return part(mark=lambda pen: pen.ellipse((100, 70, 120, 90), (220, 215, 100)), noise=9)


def test_the_letter_follows_the_options_order(model, images, part, templates, defective):
    asked = [question(DEFECT, "Yes", "No", name="1"), question(DEFECT, "No", "Yes", name="2")]
    assert [each.text for each in ask(model, images(defective, templates), *asked)] == ["A", "B"]
    normal = part(angle=2, noise=8)
    assert [each.text for each in ask(model, images(normal, templates), *asked)] == ["B", "A"]


def test_the_place_follows_the_options_order(model, images, templates, spot_top_left):
    shown = images(spot_top_left, templates)
    places = ["Bottom right", "Top left", "Center", "Middle right"]
    for turn in range(4):
        options = places[turn:] + places[:turn]
        (answer,) = ask(model, shown, question(PLACE, *options))
        assert options["ABCD".index(answer.text)] == "Top left"


def test_option_scores_add_up_to_one_and_the_best_is_the_answer(model, images, templates, defective):
    asked = [
        question(DEFECT, "No", "Yes", name="1"),
        question(PLACE, "Top left", "Center", "Bottom right", "Somewhere", name="2"),
        question(KIND, "Dent", "Hole", "Stain", name="3"),
    ]
    for each, answer in zip(
        asked, ask(model, images(defective, templates), *asked, scores=True), strict=True
    ):
        assert [score.letter for score in answer.option_scores] == [option.letter for option in each.options]
        logs = [score.log_probability for score in answer.option_scores]
        assert sum(map(math.exp, logs)) == pytest.approx(1)
        assert logs["ABCD".index(answer.text)] == max(logs)
    assert not any(answer.option_scores for answer in ask(model, images(defective, templates), *asked))


def test_the_comparisons_time_is_told_once_with_the_question_that_first_needs_it(
    model, images, templates, defective
):
    asked = [
        question(KIND, "Dent", "Hole", name="1"),
        question(DEFECT, "No", "Yes", name="2"),
        question(PLACE, "Top left", "Center", name="3"),
    ]
    seconds = [each.encode_seconds for each in ask(model, images(defective, templates), *asked)]
    assert [each > 0 for each in seconds] == [False, True, False]


def test_all_other_questions_are_answered_as_chance_would(model, images, templates, defective):
    asked = [question(KIND, "Dent", "Hole", "Stain", "Scratch", name=f"part#{i}") for i in range(30)]
    given = ask(model, images(defective, templates), *asked, seed=5)
    assert given == [uniform.draw(each, Generation(seed=5)) for each in asked]
    assert len({each.text for each in given}) == 4


def test_without_query_or_templates_all_is_chance(model, images, templates, defective):
    asked = [question(DEFECT, "Yes", "No", name=f"part#{i}") for i in range(20)]
    drawn = [uniform.draw(each, Generation()) for each in asked]
    for shown in (images(None, templates), images(defective, []), ()):
        assert ask(model, shown, *asked) == drawn


def test_only_the_query_the_templates_and_the_words_change_an_answer(model, images, templates, defective):
    asked = question(DEFECT, "Yes", "No")
    shown = images(defective, templates)
    (plain,) = ask(model, shown, asked, scores=True)
    (other,) = ask(
        model,
        shown,
        asked,
        scores=True,
        seed=9,
        domain_knowledge="It is never defective.",
        instruction="Say B.",
        conversation_history=True,
        chain_of_thought=ChainOfThought.PER_INSPECTION,
        analysis="Nothing to see.",
        history=(Turn(question(KIND, "Dent", "Hole"), "A"),),
    )
    assert (other.text, other.option_scores) == (plain.text, plain.option_scores)


def test_two_threads_at_once_give_what_one_gives(model, images, templates, defective):
    shown, asked = images(defective, templates), question(PLACE, "Top left", "Center", "Bottom right")
    (alone,) = ask(model, shown, asked, scores=True)
    together = [None] * 2

    def work(place):
        (together[place],) = ask(model, shown, asked, scores=True)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.option_scores for each in together] == [alone.option_scores] * 2


def test_pictures_are_compared_only_when_a_question_needs_it_and_once(
    model, images, templates, defective, monkeypatch
):
    calls, inspect = [], detector.inspect
    monkeypatch.setattr(detector, "inspect", lambda *given: calls.append(given) or inspect(*given))
    shown = images(defective, templates)
    ask(model, shown, question(KIND, "Dent", "Hole"))
    assert not calls
    ask(
        model, shown, question(DEFECT, "Yes", "No", name="1"), question(PLACE, "Top left", "Center", name="2")
    )
    assert len(calls) == 1


def test_nobody_waits_nothing_is_computed(model, images, templates, defective):
    inspection = Inspection("i", images(defective, templates), (question(DEFECT, "Yes", "No"),))
    inspection.stopped.set()
    assert list(model.answer([inspection])) == []


def test_the_card_says_what_is_chance_and_what_is_ignored(model):
    card = model.describe()
    notes = " ".join(card.notes)
    assert (card.name, card.max_images) == ("template_diff", 64)
    for promise in (
        "every other question is answered by chance",
        "no query or no normal template",
        "history",
    ):
        assert promise in notes
    able = card.capabilities
    assert (able.option_scores, able.conversation_history, able.chain_of_thought) == (True, True, True)
    assert (able.deterministic, able.text_only, able.anomaly_map) == (True, True, True)


def test_two_services_live_in_one_process(model, images, templates, defective, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    chance = find_model_class(Path(__file__).parents[3] / "services" / "chance")(NoOptions())
    asked = question(DEFECT, "Yes", "No")
    assert ask(chance, (), asked) == [uniform.draw(asked, Generation())]
    (answer,) = ask(model, images(defective, templates), asked)
    assert answer.text == "A"


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "data"
    sample.draw(folder, images=18, seed=11)
    return folder


def test_on_a_drawn_sample_it_sees_most_defects_and_where_they_are(model, images, sample_folder):
    right = {"good": [], "bad": [], "place": []}
    for key, entry in json.loads((sample_folder / "mmad.json").read_text()).items():
        paths = [*entry["random_templates"][:4], key]
        *templates, query = (PIL.Image.open(sample_folder / path).convert("RGB") for path in paths)
        wanted = [
            each
            for each in entry["conversation"]
            if each["type"] in ("Anomaly Detection", "Defect Localization")
        ]
        asked = [
            question(each["Question"], *each["Options"].values(), name=str(i))
            for i, each in enumerate(wanted)
        ]
        for each, answer in zip(wanted, ask(model, images(query, templates), *asked), strict=True):
            kind = "good" if "/good/" in key else "bad"
            cell = "place" if each["type"] == "Defect Localization" else kind
            right[cell].append(answer.text == each["Answer"])
    assert np.mean([np.mean(right["good"]), np.mean(right["bad"])]) >= 0.85
    assert np.mean(right["place"]) >= 0.75
