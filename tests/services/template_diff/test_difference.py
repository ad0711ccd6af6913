"""A difference is what no pixel nearby, in no template, shows."""

import numpy as np

from template_diff.difference import against_each_other

PICTURE = np.random.default_rng(0).random((3, 30, 40), np.float32)
EVERYWHERE = np.ones((3, 30, 40), bool)


def maps(*pictures, inside=EVERYWHERE):
    return against_each_other(np.stack(pictures), inside[: len(pictures)])


def test_a_shift_by_one_pixel_makes_no_difference_and_one_by_three_does():
    query, _, _ = maps(PICTURE, np.roll(PICTURE, 1, axis=2), np.roll(PICTURE, 1, axis=1))
    assert query[2:-2, 2:-2].max() == 0
    query, _, _ = maps(PICTURE, np.roll(PICTURE, 3, axis=2), np.roll(PICTURE, 3, axis=1))
    assert query.mean() > 0.05


def test_what_one_template_shows_is_no_difference():
    marked = PICTURE.copy()
    marked[:, 10:15, 10:15] = 2
    query, plain, other = maps(marked, PICTURE, marked)
    assert query.max() == 0
    assert plain[12, 12] > 1
    assert other[12, 12] > 1


def test_a_template_is_not_compared_with_itself_or_the_query():
    _, only = maps(PICTURE, PICTURE)
    assert only.max() == 0  # there is nothing to compare with
    _, first, second = maps(PICTURE, PICTURE, PICTURE + 1)
    assert min(first.min(), second.min()) > 0.5


def test_where_a_template_shows_nothing_it_is_not_asked():
    inside = EVERYWHERE.copy()
    inside[1, :, :20] = False
    query, _, _ = maps(PICTURE, PICTURE, PICTURE + 1, inside=inside)
    assert query[:, 20:].max() == 0
    assert query[:, :20].min() > 0.5
