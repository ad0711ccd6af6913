"""The data set's own masks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from orchestrator.hints.formats import HintError
from orchestrator.hints.ground_truth import GroundTruth


@pytest.fixture
def source(housed):
    return GroundTruth(Path(housed.root))


async def test_an_abnormal_query_has_its_mask_and_a_normal_one_no_mark(source, housed):
    for sample in housed.samples:
        marking = (await source.find(sample)).decode()
        if sample.abnormal:
            assert marking.levels.shape == (40, 60)
            assert (marking.levels >= marking.threshold).sum() in (110, 130)
        else:
            assert marking is None


async def test_a_folder_of_masks_is_marked_as_their_union(source, housed, encode):
    sample = housed.samples[1]
    place = Path(housed.root) / "Parts" / "gear" / sample.mask
    place.unlink()
    place = place.with_suffix("")
    place.mkdir()
    for row in (3, 30):
        mask = np.zeros((40, 60), np.uint8)
        mask[row, 5:10] = 1
        (place / f"{row:03}.png").write_bytes(encode(mask))
    sample = dataclasses.replace(sample, mask=sample.mask.removesuffix(".png"))
    marking = (await source.find(sample)).decode()
    assert (marking.levels >= marking.threshold).sum() == 10


async def test_an_abnormal_query_without_a_mask_fails_rather_than_looks_normal(source, housed):
    sample = housed.samples[1]
    unnamed = dataclasses.replace(sample, mask="")
    for lost in (unnamed, dataclasses.replace(sample, mask="mask/none.png")):
        assert sample.key in source.missing(lost)
        with pytest.raises(HintError, match="mask"):
            await source.find(lost)
    assert source.missing(sample) == ""


async def test_a_broken_mask_is_named(source, housed):
    sample = housed.samples[1]
    (Path(housed.root) / "Parts" / "gear" / sample.mask).write_bytes(b"broken")
    with pytest.raises(HintError, match="the mask cannot be read"):
        (await source.find(sample)).decode()


async def test_a_changed_mask_is_another_marking(source, housed, encode):
    sample = housed.samples[1]
    before = (await source.find(sample)).key
    (Path(housed.root) / "Parts" / "gear" / sample.mask).write_bytes(encode(np.ones((40, 60), np.uint8)))
    assert (await source.find(sample)).key != before
