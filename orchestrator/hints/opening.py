"""`--hints`: which source it names, and how much of it is there, told before anything is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from orchestrator.errors import DataError, UserError
from orchestrator.hints.detector_maps import DetectorMaps
from orchestrator.hints.formats import SUFFIXES
from orchestrator.hints.ground_truth import GroundTruth
from orchestrator.hints.images import Hints
from orchestrator.hints.source import Source
from orchestrator.options import GROUND_TRUTH, HintStyle
from orchestrator.vocabulary import Dataset, Sample

_DEFAULT_STYLE: Final = HintStyle.HEATMAP
"""It shows what a detector says as it is, without a threshold."""


def open_hints(
    given: str,
    style: HintStyle | None,
    threshold: float | None,
    dataset: Dataset,
    samples: Sequence[Sample],
    note: Callable[[str], None],
) -> Hints:
    """Return the hints for `samples` that `--hints` names.

    Args:
        given: "ground-truth", or a folder. A folder of that name can be given as "./ground-truth".
        style: how they are drawn; None: as heat maps.
        threshold: from where box, contour, highlight and mask mark, in the maps' own range.
        dataset: the whole data set.
        samples: those to be asked about.
        note: is told, in one line, how many markings are missing.

    Raises:
        UserError: the folder is not there, or none of the markings is.
    """
    source: Source
    if given == GROUND_TRUTH:
        source = GroundTruth(Path(dataset.root))
    else:
        folder = Path(given)
        if not folder.is_dir():
            raise UserError(
                f"--hints {given}: there is no such folder. Give a folder of anomaly maps, or ground-truth."
            )
        products = dict.fromkeys((sample.dataset, sample.product) for sample in samples)
        source = DetectorMaps(folder, dataset, products, threshold)
    expected = [sample for sample in samples if source.expects(sample)]
    missing = [line for sample in expected if (line := source.missing(sample))]
    kind = "masks" if source.oracle else f"anomaly maps (image's path, {', '.join(SUFFIXES)})"
    if missing and len(missing) == len(expected):
        raise DataError(
            f"--hints {given}: not one of {len(expected):,} {kind} is there, for example {missing[0]}."
        )
    if missing:
        note(
            f"Note: {len(missing):,} of {len(expected):,} {kind} are missing, for example {missing[0]}. "
            "Their images will not be asked about, and count as failed."
        )
    return Hints(source, style or _DEFAULT_STYLE)
