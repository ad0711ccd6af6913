"""What is said to a model about its hint: what was drawn, how, and how far it can be trusted.

One text for each style and source, the same beside every picture: it tells no label. An oracle's does not
speak of a detector, and a detector's does not promise that it is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.options import HintStyle

_ORACLE: Final = (
    "the image under inspection once more, with the true defects marked: {marks}. Where there is no mark, "
    "there is no defect."
)
_DETECTOR: Final = (
    "the image under inspection once more, with the output of an anomaly detector drawn on it: {marks}. The "
    "detector can be wrong: it may mark what is no defect, and miss one."
)
_TRUE_MARKS: Final[Mapping[HintStyle, str]] = {
    HintStyle.BOX: "each lies within a red box with white edges",
    HintStyle.CONTOUR: "each is outlined in red with white edges",
    HintStyle.HIGHLIGHT: "each is tinted magenta",
    HintStyle.MASK: "each is painted over in magenta",
    HintStyle.HEATMAP: "each is tinted red",
}
_DETECTED_MARKS: Final[Mapping[HintStyle, str]] = {
    HintStyle.BOX: "a red box with white edges lies around each region that it takes for abnormal",
    HintStyle.CONTOUR: "each region that it takes for abnormal is outlined in red with white edges",
    HintStyle.HIGHLIGHT: "each region that it takes for abnormal is tinted magenta",
    HintStyle.MASK: "each region that it takes for abnormal is painted over in magenta",
    HintStyle.HEATMAP: (
        "a heat map, from blue over green and yellow to red where it finds most that is abnormal; where it "
        "finds nothing, the image is as it was"
    ),
}


def caption(style: HintStyle, *, oracle: bool) -> str:
    """Return what is said of every hint of a run."""
    if oracle:
        return _ORACLE.format(marks=_TRUE_MARKS[style])
    return _DETECTOR.format(marks=_DETECTED_MARKS[style])
