"""A defect is found where it is; light, pose and what templates differ in are none."""

import numpy as np
import PIL.Image
import pytest

from template_diff import detector
from template_diff.calibration import judge
from template_diff.detector import inspect


def spot(x, y, radius=9, colour=(30, 25, 20)):
    return lambda pen: pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def peak(finding):
    """Of the heat, in pixels of the 400 x 320 picture."""
    row, column = np.unravel_index(finding.heat.argmax(), finding.heat.shape)
    return column * 400 / finding.heat.shape[1], row * 320 / finding.heat.shape[0]


@pytest.mark.parametrize(("x", "y"), [(210, 190), (100, 160), (300, 90), (200, 75)])
@pytest.mark.parametrize("shots", [1, 2, 3, 5])
def test_a_spot_on_a_part_is_found_and_the_peak_lies_there(part, templates, x, y, shots):
    finding = inspect(part(mark=spot(x, y), noise=9), templates[:shots])
    assert finding.probability > 0.9
    assert peak(finding) == pytest.approx((x, y), abs=10)


def test_a_thin_scratch_is_found(part, templates):
    query = part(mark=lambda pen: pen.line((165, 150, 150, 240), (225, 220, 210), 2), noise=9)
    assert inspect(query, templates).probability > 0.9


@pytest.mark.parametrize("shots", [3, 4, 5])
def test_a_normal_picture_in_another_pose_is_not_defective(part, templates, shots):
    finding = inspect(part(angle=-4, shift=(7, -6), scale=1.02, noise=9), templates[:shots])
    assert finding.probability < 0.5


@pytest.mark.parametrize(
    "light", [{"light": 0.75}, {"light": 1.2}, {"slope": 0.25}, {"light": 0.85, "slope": -0.25}]
)
def test_a_change_of_light_alone_is_no_defect(part, templates, light):
    assert inspect(part(noise=9, **light), templates).probability < 0.5


def test_what_varies_among_the_templates_is_normal(part, templates):
    # Print of another colour on every template, and on the query yet another one.
    def printed(shade):
        return lambda pen: pen.rectangle((160, 100, 290, 125), (shade, 90, 255 - shade))

    query = part(mark=printed(130), noise=9)
    varied = [part(angle=i, noise=i, mark=printed(40 * i + 20)) for i in range(5)]
    assert inspect(query, templates).probability > 0.9
    assert inspect(query, varied).probability < 0.5


def test_the_threshold_comes_from_the_templates_among_themselves():
    # The same map of the query, judged against quiet and against restless templates.
    rng = np.random.default_rng(0)
    query = np.zeros((64, 64), np.float32)
    query[30:36, 30:36] = 0.3

    def maps(height):
        return [np.abs(rng.normal(0, height, (64, 64))).astype(np.float32) for _ in range(4)]

    def restless():
        quiet = maps(0.005)
        for i, each in enumerate(quiet):
            each[16 * i : 16 * i + 6, 50:56] = 0.5
        return quiet

    assert judge([query, *maps(0.005)]).probability > 0.99
    assert judge([query, *restless()]).probability < 0.5
    assert judge([query, *maps(0.4)]).probability < 0.5


def test_a_template_as_the_query_is_normal(templates):
    for shots in (1, 2, 5):
        finding = inspect(templates[0], templates[:shots])
        assert finding.probability < 0.5
        assert np.isfinite(finding.heat).all()


def test_of_many_templates_those_that_fit_best_are_compared(part, templates, monkeypatch):
    # Three strangers come first; compared with them alone, any query would do.
    grain = np.random.default_rng(0).integers(0, 255, (320, 400, 3)).astype(np.uint8)
    strangers = [PIL.Image.fromarray(np.roll(grain, 50 * i, axis=1)) for i in range(3)]
    query = part(mark=spot(210, 190), noise=9)
    monkeypatch.setattr(detector, "MOST_TEMPLATES", 5)
    assert inspect(query, [*strangers, *templates]).probability == inspect(query, templates).probability


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (40, 30)])
def test_any_size_of_picture_gets_a_finding(part, size):
    small = part().resize(size)
    finding = inspect(small, [small.rotate(1), small, small.rotate(-1)])
    assert 0 < finding.probability < 1
    assert np.isfinite(finding.heat).all()


def test_flat_pictures_get_a_finding_and_no_alarm():
    grey = PIL.Image.new("RGB", (200, 150), (128, 128, 128))
    for shots in (1, 2, 4):
        assert inspect(grey, [grey] * shots).probability < 0.5
