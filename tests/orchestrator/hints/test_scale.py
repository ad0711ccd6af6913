"""One scale for all of a product's maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.hints.scale import BEGINS, Extent, Scale, extent, scale_over


def maps(flawless, defective, seed=0, factor=1.0, offset=0.0):
    """Noise for flawless pictures; the same with a spot for defective ones."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(flawless + defective):
        values = rng.uniform(0, 2, (30, 40))
        if n >= flawless:
            values[10:15, 10:15] = rng.uniform(8, 20)
        made.append((values * factor + offset).astype(np.float32))
    return made


def peaks(made):
    scale = scale_over([extent(each) for each in made])
    return [float(scale.levels(each).max()) for each in made]


@pytest.mark.parametrize(("factor", "offset"), [(1, 0), (1e-4, 0), (1000, 0), (3, -500), (0.05, 0.3)])
@pytest.mark.parametrize(("flawless", "defective"), [(20, 20), (8, 30), (45, 5)])
def test_defects_stand_out_and_flawless_pictures_do_not_whatever_the_range(
    flawless, defective, factor, offset
):
    reached = peaks(maps(flawless, defective, factor=factor, offset=offset))
    assert max(reached[:flawless]) < BEGINS
    assert min(reached[flawless:]) >= BEGINS


def test_a_flawless_map_is_never_stretched_by_itself():
    made = maps(20, 20)
    together, alone = peaks(made)[0], peaks(made[:1])[0]
    assert together < 0.4
    assert alone == pytest.approx(1)  # the price that the module names, for a product's only map


def test_the_labels_and_the_order_change_nothing():
    made = maps(10, 10)
    assert scale_over([extent(m) for m in made]) == scale_over([extent(m) for m in reversed(made)])


def test_a_freak_does_not_hide_the_defects():
    made = maps(20, 20)
    made[0][0, 0] = 1e6
    reached = peaks(made)
    assert min(reached[20:]) >= BEGINS
    assert max(reached[1:20]) < BEGINS


def test_maps_that_show_nothing_mark_nothing():
    for values in (np.zeros((3, 3), np.float32), np.full((3, 3), 7.5, np.float32)):
        assert peaks([values, values]) == [0.0, 0.0]
    assert scale_over([]).level(1e9) >= 0


def test_the_named_points_have_the_named_levels():
    scale = scale_over([*[Extent(1.0, 3.0)] * 5, *[Extent(1.0, 33.0)] * 5])
    assert scale.level(1.0) == 0
    assert scale.level(33.0) == pytest.approx(1)
    assert scale.level(1 + (2 * 32) ** 0.5) == pytest.approx(BEGINS)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=20),
    st.floats(-1e3, 1e3, width=32),
    st.floats(2**-7, 1e3, width=32),
)
def test_more_is_never_less(values, nothing, span):
    scale = Scale(nothing, nothing + span, 0.5)
    levels = scale.levels(np.sort(np.array(values, np.float32)))
    assert np.isfinite(levels).all()
    assert (np.diff(levels) >= 0).all()
    assert levels.min() >= 0
