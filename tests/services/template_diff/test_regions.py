"""Words name parts of the picture, and a map's peak picks the option whose words name its place."""

import numpy as np
import pytest

from template_diff.regions import read_region, shares

# Each word list and a point that lies inside, and one that lies outside (x, y in shares of the picture).
NAMED = [
    ("Top left", (0.1, 0.1), (0.9, 0.1)),
    ("In the upper right corner", (0.9, 0.1), (0.1, 0.1)),
    ("bottom-right", (0.9, 0.9), (0.9, 0.1)),
    ("At the lower left of the object", (0.1, 0.9), (0.5, 0.5)),
    ("Top middle", (0.5, 0.1), (0.1, 0.1)),
    ("top center", (0.5, 0.1), (0.5, 0.5)),
    ("Middle left", (0.1, 0.5), (0.1, 0.1)),
    ("Center right", (0.9, 0.5), (0.5, 0.5)),
    ("Center", (0.5, 0.5), (0.1, 0.5)),
    ("In the centre of the picture", (0.5, 0.5), (0.9, 0.9)),
    ("the central part", (0.5, 0.5), (0.5, 0.9)),
    ("Near the bottom edge", (0.2, 0.95), (0.2, 0.5)),
    ("On the left side", (0.1, 0.8), (0.6, 0.8)),
    ("The right-hand edge", (0.95, 0.3), (0.5, 0.3)),
    ("The upper half", (0.9, 0.4), (0.9, 0.6)),
    ("Right half of the board", (0.6, 0.1), (0.4, 0.1)),
    ("In one of the corners", (0.95, 0.95), (0.5, 0.05)),
    ("Along the edges", (0.5, 0.05), (0.5, 0.5)),
    ("From left to right across the middle", (0.5, 0.5), (0.1, 0.1)),
]


@pytest.mark.parametrize(("words", "inside", "outside"), NAMED, ids=[each[0] for each in NAMED])
def test_words_name_a_part_of_the_picture(words, inside, outside):
    region = read_region(words)
    size = region.shape[0]

    def covered(point):
        return region[int(point[1] * size), int(point[0] * size)]

    assert covered(inside)
    assert not covered(outside)


@pytest.mark.parametrize("words", ["All over the surface", "Throughout", "The entire object"])
def test_some_words_name_all_of_it(words):
    assert read_region(words).all()


@pytest.mark.parametrize(
    "words",
    [
        "Scratch",
        "",
        "Some upright and some level",
        "A brightly coloured thread",
        "It topples",
        "Yes",
        "A curved dark hair lies on top",
        "One of the teeth on the rim is broken off",
        "The printed star is shifted and turned, no longer in the middle of its ring",
        "8",
        "Copyright",
    ],
)
def test_other_words_name_no_place(words):
    assert read_region(words) is None


def heat(x, y, size=(200, 300)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    away = np.hypot(rows / size[0] - y, columns / size[1] - x)
    return np.exp(-((away / 0.05) ** 2)).astype(np.float32)


def best(options, x, y):
    return options[int(shares(heat(x, y), [read_region(each) for each in options]).argmax())]


NINTHS = [
    *("Top left", "Top middle", "Top right"),
    *("Middle left", "Center", "Middle right"),
    *("Bottom left", "Bottom middle", "Bottom right"),
]


@pytest.mark.parametrize(("place", "name"), list(enumerate(NINTHS)))
def test_each_ninth_is_picked_for_a_peak_in_it(place, name):
    row, column = divmod(place, 3)
    assert best(NINTHS, (column + 0.5) / 3, (row + 0.5) / 3) == name


def test_the_nearest_region_is_picked_for_a_peak_in_none():
    assert best(["Top left", "Bottom right", "Top right"], 0.5, 0.9) == "Bottom right"
    assert best(["Scratch", "Bottom right", "Top right"], 0.62, 0.05) == "Top right"


def test_of_two_regions_that_hold_the_peak_the_smaller_is_picked():
    assert best(["Top", "Top left", "All over"], 0.15, 0.15) == "Top left"
    assert best(["Top", "Top left", "All over"], 0.5, 0.1) == "Top"


def test_shares_are_positive_and_add_up_to_one_even_of_an_empty_map():
    for each in (heat(0.5, 0.5), np.zeros((50, 50), np.float32)):
        found = shares(each, [read_region("Top left"), None, read_region("Center")])
        assert (found > 0).all()
        assert found.sum() == pytest.approx(1)
