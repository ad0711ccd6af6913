"""A folder of a detector's maps."""

import asyncio
import dataclasses

import numpy as np
import pytest

from orchestrator.errors import DataError
from orchestrator.hints.detector_maps import DetectorMaps
from orchestrator.hints.formats import HintError


@pytest.fixture
def source(housed, maps, products):
    maps.fill(housed)
    return DetectorMaps(maps.folder, housed, products)


async def test_a_map_is_read_on_its_products_scale(source, housed):
    reader = source.reader()
    reached = {s.key: (await reader.find(s)).decode() for s in housed.samples}
    for sample in housed.samples:
        marking = reached[sample.key]
        assert (marking.levels.max() >= marking.threshold) == sample.abnormal


async def test_products_have_scales_of_their_own(source, housed, maps):
    """One product's maps are a thousand times larger: nothing changes for either."""
    before = [(await source.reader().find(s)).decode().levels for s in housed.samples]
    for sample in housed.samples:
        if sample.product == "tile":
            path = (maps.folder / sample.key).with_suffix(".npy")
            np.save(path, np.load(path) * 1000 - 7)
    after = [(await source.reader().find(s)).decode().levels for s in housed.samples]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


async def test_a_threshold_is_in_the_maps_own_range(housed, maps, products):
    maps.fill(housed)
    marked = []
    for threshold in (0.9, 5.0, 11.0):
        reader = DetectorMaps(maps.folder, housed, products, threshold).reader()
        markings = [(await reader.find(sample)).decode() for sample in housed.samples]
        marked.append([bool((m.levels >= m.threshold).any()) for m in markings])
    assert all(marked[0])
    assert marked[1] == [sample.abnormal for sample in housed.samples]
    assert not any(marked[2])


async def test_the_scale_is_over_all_maps_of_the_product_and_does_not_know_the_labels(source, housed, maps):
    swapped = dataclasses.replace(
        housed, samples=tuple(dataclasses.replace(s, abnormal=not s.abnormal) for s in housed.samples)
    )
    other = DetectorMaps(maps.folder, swapped, [("Parts", "gear"), ("Parts", "tile")])
    for sample in housed.samples:
        one, two = (await source.reader().find(sample)), (await other.reader().find(sample))
        assert one.key == two.key


async def test_a_limit_changes_no_hint(source, housed, maps):
    """The first query alone is asked about, but its product's other maps still make the scale."""
    some = DetectorMaps(maps.folder, housed, [("Parts", "gear")])
    first = housed.samples[0]
    assert (await some.reader().find(first)).key == (await source.reader().find(first)).key


async def test_another_map_beside_it_makes_it_another_marking(source, housed, maps):
    first, second = housed.samples[:2]
    before = (await source.reader().find(first)).key
    maps.put(second, np.full((4, 4), 1000.0))
    assert (await source.reader().find(first)).key != before


async def test_a_missing_and_a_broken_map_fail_by_name_and_leave_the_others_alone(source, housed, maps):
    first, second, third, fourth = housed.samples[:4]
    (maps.folder / first.key).with_suffix(".npy").unlink()
    maps.put(second, np.full((4, 4), np.nan))
    reader = source.reader()
    with pytest.raises(HintError, match=r"000\.png: no such file"):
        await reader.find(first)
    with pytest.raises(HintError, match=r"001\.npy: holds numbers that are not finite"):
        (await reader.find(second)).decode()
    for other in (third, fourth):
        assert np.isfinite((await reader.find(other)).decode().levels).all()


async def test_readers_at_once_share_one_look_at_the_product(source, housed, monkeypatch):
    from orchestrator.hints import detector_maps

    looked, original = [], detector_maps._extent
    monkeypatch.setattr(
        detector_maps, "_extent", lambda folder, key: looked.append(key) or original(folder, key)
    )
    reader = source.reader()
    await asyncio.gather(*(reader.find(sample) for sample in housed.samples))
    assert sorted(looked) == sorted(sample.key for sample in housed.samples)


def test_what_is_missing_is_told_with_its_place(source, housed, maps):
    assert not any(source.missing(sample) for sample in housed.samples)
    first = housed.samples[0]
    (maps.folder / first.key).with_suffix(".npy").unlink()
    assert source.missing(first) == str(maps.folder / first.key)


async def test_maps_whose_suffix_is_in_capitals_are_read_and_belong_to_the_identity(source, housed, maps):
    first = housed.samples[0]
    small = (maps.folder / first.key).with_suffix(".npy")
    before = await source.reader().find(first)
    small.rename(small.with_suffix(".NPY"))
    assert source.missing(first) == ""
    assert (await source.reader().find(first)).key == before.key
    renamed = DetectorMaps(maps.folder, housed, [("Parts", "gear")]).identity
    small.with_suffix(".NPY").unlink()
    assert DetectorMaps(maps.folder, housed, [("Parts", "gear")]).identity != renamed


def test_the_identity_tells_other_maps_and_thresholds_apart_and_copies_not(
    source, housed, maps, products, tmp_path
):
    import shutil

    def identity(folder=maps.folder, threshold=None, which=products):
        return DetectorMaps(folder, housed, which, threshold).identity

    before = identity()
    copy = shutil.copytree(maps.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert identity(copy) == before
    assert identity(threshold=1.0) != before
    first, second = housed.samples[:2]
    path = maps.put(first, np.full((20, 30), 3.0, np.float32))
    changed = identity()
    assert changed != before
    path.unlink()
    assert identity() not in (before, changed)
    maps.put(second, np.full((20, 30), 3.0, np.float32))
    assert identity(which=products[1:]) == identity(copy, which=products[1:])  # another product's maps


def test_queries_that_would_share_a_map_are_refused(housed, maps, products):
    twin = dataclasses.replace(housed.samples[0], key=housed.samples[0].key.replace(".png", ".jpg"))
    both = dataclasses.replace(housed, samples=(*housed.samples, twin))
    with pytest.raises(DataError, match="at the same place"):
        DetectorMaps(maps.folder, both, products)
