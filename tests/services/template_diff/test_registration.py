"""Registration finds how a template lies on the query, whatever the light, and leaves what has no pose."""

import math

import numpy as np
import PIL.Image
import pytest

from template_diff.picture import WORKING_SIZE, planes
from template_diff.pose import IDENTITY, Pose, warp
from template_diff.registration import Registrar, levels


def register(template, query):
    return Registrar(levels(planes(query))).register(levels(planes(template)))


@pytest.mark.parametrize(
    ("angle", "shift", "scale"),
    [
        (0, (0, 0), 1),
        (0, (21, -14), 1),
        (7, (0, 0), 1),
        (-9, (9, 5), 1.0),
        (3, (-12, 8), 1.04),
        (-2, (5, 5), 0.95),
    ],
)
def test_known_shifts_rotations_and_scales_are_recovered(part, angle, shift, scale):
    template = part(angle=angle, shift=shift, scale=scale, noise=1)
    pose, _ = register(template, part(noise=2))
    assert math.degrees(pose.angle) == pytest.approx(angle, abs=0.3)
    assert pose.scale == pytest.approx(scale, abs=0.005)
    # The query's middle lies in the template where the shift has taken it.
    assert (pose.x * 400, pose.y * 400) == pytest.approx(shift, abs=0.8)


def test_a_registered_template_shows_what_the_query_shows_where_the_query_shows_it(part):
    query = planes(part(noise=1))
    template = planes(part(angle=6, shift=(10, -8), scale=1.03, noise=2))
    pose, _ = Registrar(levels(query)).register(levels(template))
    aligned = np.stack([warp(plane, pose, query.shape[1:]) for plane in template])
    assert np.nanmean(np.abs(aligned - query)) < 0.012
    assert np.nanmean(np.abs(template - query)) > 0.04


def test_light_from_the_other_side_does_not_move_the_pose(part):
    pose, _ = register(part(angle=4, shift=(6, 3), light=0.7, slope=0.3), part(light=1.1, slope=-0.2))
    assert math.degrees(pose.angle) == pytest.approx(4, abs=0.3)
    assert (pose.x * 400, pose.y * 400) == pytest.approx((6, 3), abs=0.8)


def test_elements_out_of_place_do_not_pull_the_pose(part):
    def bars(offset):
        def draw(pen):
            for x in range(150 + offset, 320 + offset, 24):
                pen.rectangle((x, 130, x + 8, 255), (250, 250, 250))

        return draw

    pose, _ = register(part(mark=bars(4), noise=3), part(mark=bars(0)))
    assert math.degrees(pose.angle) == pytest.approx(0, abs=0.2)
    assert (pose.x * 400, pose.y * 400) == pytest.approx((0, 0), abs=0.5)


def test_pictures_of_different_sizes_are_registered(part):
    query = part()
    template = part(angle=3).resize((800, 640), PIL.Image.Resampling.BICUBIC)
    pose, _ = register(template, query)
    assert max(planes(template).shape) == WORKING_SIZE
    assert math.degrees(pose.angle) == pytest.approx(3, abs=0.3)
    assert pose.scale == pytest.approx(1, abs=0.005)


def test_what_has_no_pose_fits_no_worse_than_as_it_lies():
    def texture(seed):
        grain = np.random.default_rng(seed).integers(0, 255, (300, 300, 3)).astype(np.uint8)
        return PIL.Image.fromarray(grain)

    query, template = levels(planes(texture(1))), levels(planes(texture(2)))
    _, misfit = Registrar(query).register(template)
    as_it_lies = float(np.abs(query.refine[-1] - template.refine[-1]).mean())
    assert misfit <= as_it_lies + 1e-6


def test_the_nearer_template_has_the_smaller_misfit(part):
    _, same = register(part(angle=2, noise=1), part(noise=2))
    _, other = register(part(mark=lambda pen: pen.rectangle((90, 80, 300, 240), (90, 20, 20))), part(noise=2))
    assert same < other


def test_a_pose_of_nothing_changes_nothing():
    plane = np.random.default_rng(0).random((20, 30), np.float32)
    assert warp(plane, IDENTITY, (20, 30)) == pytest.approx(plane)
    shifted = warp(plane, Pose(x=3 / 30), (20, 30))
    assert shifted[:, :-3] == pytest.approx(plane[:, 3:])
    assert np.isnan(shifted[:, -3:]).all()
