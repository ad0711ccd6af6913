from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.dataset import masks
from orchestrator.errors import DataError
from orchestrator.vocabulary import Sample

MARKED = np.zeros((6, 8), bool)
MARKED[1:3, 2:5] = True


def abnormal(mask: str, key: str = "DS/nut/image/broken/000.JPG") -> Sample:
    return Sample(key, "DS", "nut", "broken", True, (), mask, (), ())


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def test_a_normal_image_has_no_mask(tmp_path: Path) -> None:
    assert masks.resolve(tmp_path, abnormal("")) == ()


@pytest.mark.parametrize("folder", ["DS/nut", "DS/nut/image"])
def test_both_rules_for_joining_the_path_are_tried(tmp_path: Path, folder: str) -> None:
    path = save(tmp_path / folder / "mask/broken/000.png", MARKED.astype(np.uint8))
    assert masks.resolve(tmp_path, abnormal("mask/broken/000.png")) == (path,)


def test_the_suffix_may_differ_from_the_one_written(tmp_path: Path) -> None:
    path = save(tmp_path / "DS/nut/mask/[1].png", MARKED.astype(np.uint8))
    save(tmp_path / "DS/nut/mask/1.png", MARKED.astype(np.uint8))
    assert masks.resolve(tmp_path, abnormal("mask/[1].JPG")) == (path,)


def test_a_folder_of_masks_counts_as_their_union(tmp_path: Path) -> None:
    for index in range(2):
        part = np.zeros_like(MARKED)
        part[1 + index, 2:5] = MARKED[1 + index, 2:5]
        save(tmp_path / f"DS/nut/ground_truth/000/{index:03}.png", part.astype(np.uint8) * 255)
    (tmp_path / "DS/nut/ground_truth/000/notes.txt").write_text("not a mask")
    files = masks.resolve(tmp_path, abnormal("ground_truth/000"))
    assert len(files) == 2
    assert np.array_equal(masks.load(files), MARKED)


def test_a_mask_that_is_nowhere_is_an_error_that_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither .*DS/nut/mask/x\.png nor .*DS/nut/image/mask/x\.png"):
        masks.resolve(tmp_path, abnormal("mask/x.png"))


@pytest.mark.parametrize("value", [1, 38, 255])
def test_any_grey_level_above_zero_is_marked(tmp_path: Path, value: int) -> None:
    path = save(tmp_path / "m.png", MARKED.astype(np.uint8) * value)
    assert np.array_equal(masks.load([path]), MARKED)


def test_colours_palettes_bits_and_transparency_are_understood(tmp_path: Path) -> None:
    colour = np.zeros((*MARKED.shape, 3), np.uint8)
    colour[MARKED] = (0, 0, 200)
    opaque = np.dstack([colour, np.full(MARKED.shape, 255, np.uint8)])
    dark = Image.fromarray(MARKED.astype(np.uint8), "P")
    dark.putpalette([0, 0, 0] * 256)
    dark.save(tmp_path / "palette.png")
    paths = [
        save(tmp_path / "colour.png", colour),
        save(tmp_path / "opaque.png", opaque),
        save(tmp_path / "bits.png", MARKED),
        tmp_path / "palette.png",
    ]
    for path in paths:
        assert np.array_equal(masks.load([path]), MARKED), path


def test_masks_of_different_sizes_have_no_union(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n}.png", np.ones((4, n), np.uint8)) for n in (4, 5)]
    with pytest.raises(DataError, match=r"5\.png.*size differs"):
        masks.load(paths)


def test_a_mask_that_is_no_image_is_an_error_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"m\.png: the mask cannot be read"):
        masks.load([path])
