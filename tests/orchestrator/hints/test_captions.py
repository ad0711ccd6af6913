"""What is said of a hint."""

import pytest

from orchestrator.hints.captions import caption
from orchestrator.options import HintStyle


@pytest.mark.parametrize("oracle", [True, False])
def test_each_style_is_described_in_its_own_words(oracle):
    assert len({caption(style, oracle=oracle) for style in HintStyle}) == len(HintStyle)


@pytest.mark.parametrize("style", HintStyle)
def test_an_oracle_is_not_called_a_detector_and_a_detector_not_called_right(style):
    assert "detector" not in caption(style, oracle=True)
    assert "anomaly detector" in caption(style, oracle=False)
    assert "can be wrong" in caption(style, oracle=False)


@pytest.mark.parametrize(
    ("style", "word"),
    [
        (HintStyle.BOX, "red box"),
        (HintStyle.CONTOUR, "outlined in red"),
        (HintStyle.HIGHLIGHT, "tinted magenta"),
        (HintStyle.MASK, "painted over in magenta"),
        (HintStyle.HEATMAP, "red"),
    ],
)
def test_the_colours_are_those_that_are_drawn(style, word):
    assert all(word in caption(style, oracle=oracle) for oracle in (True, False))
