"""What `--hints` names, and what is said before anything is asked."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.hints.opening import open_hints
from orchestrator.options import HintStyle


@pytest.fixture
def told():
    return []


@pytest.fixture
def opened(housed, told):
    def call(given, dataset=housed):
        return open_hints(str(given), None, None, dataset, dataset.samples, told.append)

    return call


def test_all_is_there_and_nothing_is_said(opened, housed, maps, told):
    maps.fill(housed)
    assert not opened(maps.folder).source.oracle
    assert opened("ground-truth").source.oracle
    assert told == []


def test_without_a_style_it_is_a_heat_map(opened):
    assert opened("ground-truth").style is HintStyle.HEATMAP


def test_missing_maps_are_counted_with_an_example(opened, housed, maps, told):
    maps.fill(housed)
    first, second = housed.samples[:2]
    for sample in (first, second):
        (maps.folder / sample.key).with_suffix(".npy").unlink()
    opened(maps.folder)
    assert len(told) == 1
    assert "2 of 8 anomaly maps" in told[0]
    assert str(maps.folder / first.key) in told[0]


def test_a_folder_without_a_single_map_is_refused_with_a_place_that_was_looked_at(opened, housed, maps):
    with pytest.raises(UserError, match="not one of 8 anomaly maps") as refused:
        opened(maps.folder)
    assert str(maps.folder / housed.samples[0].key) in str(refused.value)
    assert ".tiff" in str(refused.value)


def test_a_folder_that_is_not_there_is_refused(opened, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        opened(tmp_path / "none")


def test_missing_masks_are_counted_among_the_abnormal_and_none_at_all_is_refused(opened, housed, told):
    lost = housed.samples[1]
    (Path(housed.root) / "Parts" / "gear" / lost.mask).unlink()
    opened("ground-truth")
    assert "1 of 4 masks are missing" in told[0]
    shutil.rmtree(Path(housed.root) / "Parts" / "gear" / "mask")
    shutil.rmtree(Path(housed.root) / "Parts" / "tile" / "mask")
    with pytest.raises(UserError, match="not one of 4 masks is there"):
        opened("ground-truth")


def test_normal_queries_alone_need_no_mask(opened, housed, told):
    normal = dataclasses.replace(housed, samples=tuple(s for s in housed.samples if not s.abnormal))
    assert opened("ground-truth", normal).source.oracle
    assert told == []
