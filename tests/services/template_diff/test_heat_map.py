"""The difference map as a file."""

import io

import numpy as np
import PIL.Image
import pytest

from mmad_answer.model import Generation, Inspection, Option, Question
from template_diff.heat_map import STEPS_PER_UNIT, anomaly_map
from template_diff.picture import WORKING_SIZE, reduced_size

ASKED = tuple(
    Question(name, "What is it?", (Option("A", "This"), Option("B", "That"))) for name in ("q1", "q2", "q3")
)


def decoded(content):
    with PIL.Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", "I;16")
        return np.asarray(image)


@pytest.fixture(scope="module")
def asked(model, images):
    """The answers to three questions that need no look at the picture, with a map."""

    def ask(query, templates, *, wanted=True):
        inspection = Inspection(
            "i", images(query, templates), ASKED, generation=Generation(anomaly_map=wanted)
        )
        return [reply.outcome for reply in model.answer([inspection])]

    return ask


@pytest.fixture(scope="module")
def spot(part):
    return part(mark=lambda pen: pen.ellipse((100, 70, 120, 90), (220, 215, 100)), noise=9)


def test_the_scale_is_fixed_whatever_the_map_holds():
    faint, strong = np.full((4, 4), 0.5, np.float32), np.full((4, 4), 20.0, np.float32)
    assert (decoded(anomaly_map(faint)) == STEPS_PER_UNIT // 2).all()
    assert (decoded(anomaly_map(strong)) == 20 * STEPS_PER_UNIT).all()


def test_the_largest_possible_difference_is_not_cut_off():
    """From black to white, where nothing differs among the templates."""
    from template_diff.calibration import judge

    black_to_white = np.full((20, 20), np.sqrt(3), np.float32)
    nothing = np.zeros((20, 20), np.float32)
    for templates in (1, 4):
        content = anomaly_map(judge([black_to_white, *[nothing] * templates]).heat)
        assert 65535 > decoded(content).max() > 40_000


def test_the_same_map_gives_the_same_bytes():
    heat = np.random.default_rng(0).uniform(0, 9, (30, 40)).astype(np.float32)
    assert anomaly_map(heat) == anomaly_map(heat.copy())


def test_the_map_comes_with_the_first_answer_whatever_is_asked(asked, spot, templates):
    first, *others = asked(spot, templates)
    assert first.anomaly_map
    assert not any(other.anomaly_map for other in others)
    assert not any(answer.anomaly_map for answer in asked(spot, templates, wanted=False))


def test_the_comparisons_time_is_told_with_the_map(asked, spot, templates):
    first, *others = asked(spot, templates)
    assert first.encode_seconds > 0
    assert not any(other.encode_seconds for other in others)


def test_the_map_has_the_working_size_and_its_peak_lies_on_the_defect(asked, spot, templates):
    values = decoded(asked(spot, templates)[0].anomaly_map)
    width, height = reduced_size(*spot.size, WORKING_SIZE)
    assert values.shape == (height, width)
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert (column / width, row / height) == pytest.approx((110 / 400, 80 / 320), abs=0.03)


def test_a_normal_pictures_map_stays_low(asked, part, spot, templates):
    normal, defective = (
        decoded(asked(query, templates)[0].anomaly_map).max() for query in (part(angle=2, noise=8), spot)
    )
    assert normal * 3 < defective


def test_without_templates_there_is_no_map_and_the_answers_come(asked, spot):
    answers = asked(spot, [])
    assert len(answers) == 3
    assert not any(answer.anomaly_map for answer in answers)
