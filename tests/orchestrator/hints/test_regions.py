"""Where regions are, and the lines around them."""

import numpy as np

from orchestrator.hints.regions import bands, boxes, grown


def marked(*places, shape=(40, 60)):
    found = np.zeros(shape, bool)
    for place in places:
        found[place] = True
    return found


def test_each_region_has_its_box_from_the_top_down():
    found = marked(np.s_[30:35, 5:10], np.s_[4:6, 40:50])
    assert boxes(found, 0) == [(40, 4, 49, 5), (5, 30, 9, 34)]


def test_parts_near_to_each_other_share_a_box_and_the_box_is_no_larger_than_they_are():
    found = marked(np.s_[10:12, 10:12], np.s_[10:12, 15:17])
    assert len(boxes(found, 1)) == 2
    assert boxes(found, 4) == [(10, 10, 16, 11)]


def test_corners_that_touch_are_one_region():
    assert boxes(marked(np.s_[1, 1], np.s_[2, 2]), 0) == [(1, 1, 2, 2)]


def test_nothing_has_no_box_and_no_line():
    nothing = marked()
    assert boxes(nothing, 5) == []
    assert not any(band.any() for band in bands(nothing, 2, 3))


def test_lines_lie_outside_one_around_the_other():
    found = marked(np.s_[15:25, 20:40])
    inner, outer = bands(found, 1, 2)
    assert not (inner & found).any()
    assert not (outer & (found | inner)).any()
    assert (found | inner | outer).sum() == 16 * 26
    assert inner.sum() == 12 * 22 - 10 * 20


def test_what_reaches_the_border_is_lined_within_it_and_the_whole_picture_too():
    everything = ~marked()
    outer = bands(everything, 1, 2)[1]
    assert outer[0].all()
    assert not outer[20, 30]
    inner = bands(everything, 1, 2)[0]
    assert inner[2, 30]
    assert not (inner & outer).any()


def test_growing_stays_within_the_picture():
    assert grown(marked(np.s_[0, 0]), 2).sum() == 9
