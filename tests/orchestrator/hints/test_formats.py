"""Maps in every form that detectors write, and what is no map."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from orchestrator.errors import DataError
from orchestrator.hints import formats
from orchestrator.hints.formats import HintError

VALUES = np.array([[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64", ">f4"]
)
def test_an_array_of_any_real_numbers_is_read_as_it_is(tmp_path, dtype):
    values = VALUES.astype(dtype)
    np.save(tmp_path / "m.npy", values)
    read = formats.decode((tmp_path / "m.npy").read_bytes(), tmp_path / "m.npy")
    assert read.dtype == np.float32
    assert (read == values.astype(np.float32)).all()


@pytest.mark.parametrize("low", [-1e6, -0.25, 0.0, 40_000.0])
def test_any_range_is_kept(tmp_path, low):
    np.save(tmp_path / "m.npy", VALUES + low)
    read = formats.decode((tmp_path / "m.npy").read_bytes(), tmp_path / "m.npy")
    assert read.min() == np.float32(low)


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3, 1), (1, 1, 2, 3)])
def test_axes_of_length_one_are_dropped(tmp_path, shape):
    np.save(tmp_path / "m.npy", VALUES.reshape(shape))
    assert formats.decode((tmp_path / "m.npy").read_bytes(), tmp_path / "m.npy").shape == (2, 3)


@pytest.mark.parametrize(
    ("dtype", "suffix"),
    [
        ("uint8", ".png"),
        ("uint16", ".png"),
        ("uint8", ".tif"),
        ("uint16", ".tiff"),
        ("int32", ".tiff"),
        ("float32", ".tiff"),
    ],
)
def test_pictures_of_8_16_and_32_bits_are_read_as_they_are(tmp_path, dtype, suffix):
    path = tmp_path / f"m{suffix}"
    PIL.Image.fromarray((VALUES * 50).astype(dtype)).save(path)
    assert (formats.decode(path.read_bytes(), path) == VALUES * 50).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_grey_in_any_clothes_is_grey(tmp_path, mode):
    path = tmp_path / "m.png"
    grey = PIL.Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8))
    grey.convert(mode).save(path)
    read = formats.decode(path.read_bytes(), path)
    assert read.shape == (2, 2)
    assert (read > 0).tolist() == [[False, True], [True, False]]


def test_a_coloured_rendering_is_no_map(tmp_path):
    path = tmp_path / "m.png"
    PIL.Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)).save(path)
    with pytest.raises(HintError, match=r"m\.png: is a coloured picture"):
        formats.decode(path.read_bytes(), path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path, bad):
    path = tmp_path / "m.npy"
    np.save(path, np.array([[0.0, bad]]))
    with pytest.raises(HintError, match=r"m\.npy: holds numbers that are not finite"):
        formats.decode(path.read_bytes(), path)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(4), "has the shape 4; a map is height x width"),
        (np.zeros((2, 5, 5)), "has the shape 2x5x5"),
        (np.zeros((0, 3)), "has the shape 0x3"),
        (np.zeros((2, 2), complex), "no array of real numbers"),
        (np.array([["a"]]), "no array of real numbers"),
    ],
)
def test_arrays_that_are_no_map_are_refused_with_the_reason(tmp_path, values, reason):
    path = tmp_path / "m.npy"
    np.save(path, values)
    with pytest.raises(HintError, match=reason):
        formats.decode(path.read_bytes(), path)


def test_several_pages_are_refused(tmp_path):
    path = tmp_path / "m.tiff"
    page = PIL.Image.fromarray(VALUES.astype(np.uint8))
    page.save(path, save_all=True, append_images=[page])
    with pytest.raises(HintError, match="holds 2 pictures"):
        formats.decode(path.read_bytes(), path)


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "m.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(HintError, match=r"m\.npy: cannot be read"):
        formats.decode(path.read_bytes(), path)


@pytest.mark.parametrize("suffix", formats.SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_damaged_files_are_named(suffix, content):
    with pytest.raises(HintError, match=rf"m\{suffix}: cannot be read"):
        formats.decode(content, Path(f"m{suffix}"))


def test_a_truncated_picture_is_named(tmp_path):
    path = tmp_path / "m.png"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)).save(path)
    with pytest.raises(HintError, match=r"m\.png: cannot be read"):
        formats.decode(path.read_bytes()[:-2000], path)


@pytest.mark.parametrize("suffix", [*formats.SUFFIXES, ".PNG", ".TIF", ".TIFF", ".NPY"])
def test_a_map_lies_at_its_querys_path_with_another_suffix(tmp_path, suffix):
    (tmp_path / "D" / "p").mkdir(parents=True)
    path = tmp_path / "D" / "p" / f"000.v2{suffix}"
    path.touch()
    assert formats.find(tmp_path, "D/p/000.v2.JPG") == path


def test_a_missing_map_is_told_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(HintError, match=r"D/000\.png: no such file \(nor \.tif, \.tiff, \.npy\)"):
        formats.find(tmp_path, "D/000.jpg")


@pytest.mark.parametrize("other", [".npy", ".NPY", ".PNG"])
def test_two_maps_of_one_query_are_refused_rather_than_chosen_from(tmp_path, other):
    for suffix in (".png", other):
        (tmp_path / f"000{suffix}").touch()
    with pytest.raises(HintError, match=rf"000\.png: there is also 000\{other}"):
        formats.find(tmp_path, "000.jpg")


def test_a_file_that_the_disk_finds_under_both_spellings_is_one_map(tmp_path):
    (tmp_path / "000.NPY").touch()
    if not (tmp_path / "000.npy").exists():  # as on a disk that takes capitals for small letters
        (tmp_path / "000.npy").hardlink_to(tmp_path / "000.NPY")
    assert formats.present(tmp_path, "000.jpg") == [tmp_path / "000.npy"]


def test_queries_that_would_share_a_map_are_refused():
    formats.refuse_shared(["a/0.png", "b/0.png", "a/1.png"])
    with pytest.raises(DataError, match=r"a/0\.png and a/0\.jpg"):
        formats.refuse_shared(["a/0.png", "a/0.jpg"])
