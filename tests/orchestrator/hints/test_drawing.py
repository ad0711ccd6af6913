"""What the styles look like."""

import io

import numpy as np
import PIL.Image
import pytest

from orchestrator.hints.drawing import Marking, draw
from orchestrator.options import HintStyle

LEVELS = np.zeros((40, 60), np.float32)
LEVELS[12:22, 20:36] = 1.0
SPOT = Marking(LEVELS, 0.5)
RED, WHITE, MAGENTA = (255, 0, 0), (255, 255, 255), (255, 0, 255)
every_style = pytest.mark.parametrize("style", HintStyle)


@every_style
def test_the_same_gives_the_same_bytes(encode, grey, style):
    assert draw(encode(grey), SPOT, style) == draw(encode(grey), SPOT, style)


@every_style
@pytest.mark.parametrize(
    "marking", [None, Marking(np.zeros((8, 12), np.float32), 0.5)], ids=["none", "empty"]
)
def test_what_marks_nothing_leaves_every_pixel_as_it_was(encode, decode, grey, style, marking):
    assert (decode(draw(encode(grey), marking, style)) == grey).all()


@every_style
def test_marked_and_unmarked_hints_are_of_one_kind_and_size(encode, grey, style):
    heads = [draw(encode(grey, "JPEG"), marking, style)[:33] for marking in (SPOT, None)]
    assert heads[0] == heads[1]  # up to the end of the PNG's header: size, depth, colours


@every_style
def test_the_picture_far_from_the_marks_keeps_its_pixels(encode, decode, grey, style):
    drawn = decode(draw(encode(grey), SPOT, style))
    assert (drawn[:5] == 128).all()
    assert (drawn != grey).any()


@every_style
def test_a_map_of_another_size_covers_the_whole_picture(encode, decode, grey, style):
    small = Marking(np.kron(np.array([[0, 0], [0, 1]], np.float32), np.ones((5, 5), np.float32)), 0.5)
    drawn = decode(draw(encode(grey), small, style))
    changed = (drawn != grey).any(axis=2)
    assert changed[30:, 45:].any()
    assert not changed[:8, :12].any()


@pytest.mark.parametrize("shade", [0, 128, 255])
@every_style
def test_every_mark_shows_on_any_background(encode, decode, style, shade):
    plain = np.full((40, 60, 3), shade, np.uint8)
    difference = np.abs(decode(draw(encode(plain), SPOT, style)).astype(int) - plain)
    assert difference.max() > 60


def test_lines_show_on_their_own_colour_too(encode, decode):
    red = np.full((40, 60, 3), RED, np.uint8)
    for style in (HintStyle.BOX, HintStyle.CONTOUR):
        drawn = decode(draw(encode(red), SPOT, style))
        assert (drawn == WHITE).all(axis=2).any()


@pytest.mark.parametrize("style", [HintStyle.BOX, HintStyle.CONTOUR])
def test_lines_hide_nothing_of_what_they_surround(encode, decode, grey, style):
    drawn = decode(draw(encode(grey), SPOT, style))
    assert (drawn[12:22, 20:36] == 128).all()
    assert tuple(drawn[16, 35 + 2]) == RED
    assert tuple(drawn[16, 35 + 1]) == tuple(drawn[16, 35 + 4]) == WHITE


def test_fills_cover_the_region_and_a_highlight_lets_it_through(encode, decode, grey):
    solid = decode(draw(encode(grey), SPOT, HintStyle.MASK))
    assert (solid[12:22, 20:36] == MAGENTA).all()
    assert ((solid != grey).any(axis=2)).sum() == 10 * 16
    grey = grey.copy()
    grey[15, 25] = 10
    tinted = decode(draw(encode(grey), SPOT, HintStyle.HIGHLIGHT))
    assert tinted[15, 25].tolist() != tinted[15, 26].tolist()
    assert ((tinted != grey).any(axis=2)).sum() == 10 * 16


def test_the_threshold_decides_where_a_region_begins(encode, decode, grey):
    slope = np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1))
    for threshold in (0.25, 0.75):
        drawn = decode(draw(encode(grey), Marking(slope, threshold), HintStyle.MASK))
        columns = (drawn != grey).any(axis=(0, 2))
        assert columns.sum() == (slope[0] >= threshold).sum()


def test_a_heat_map_grows_from_nothing_to_red(encode, decode, grey):
    slope = np.tile(np.linspace(0, 1.5, 60, dtype=np.float32), (40, 1))
    row = decode(draw(encode(grey), Marking(slope, 0.5), HintStyle.HEATMAP))[20].astype(int)
    assert (row[:8] == 128).all()
    red_less_blue = row[:, 0] - row[:, 2]
    assert red_less_blue[12] < 0 < red_less_blue[-1]
    assert (row[40:] == row[-1]).all()  # beyond the strongest is the strongest


def test_lines_are_as_wide_as_the_picture_asks_for(encode, decode):
    widths = []
    for side in (200, 2000):
        plain = np.full((side, side, 3), 128, np.uint8)
        levels = np.zeros((10, 10), np.float32)
        levels[4:6, 4:6] = 1
        drawn = decode(draw(encode(plain), Marking(levels, 0.5), HintStyle.BOX))
        widths.append((drawn[side // 2] == RED).all(axis=1).sum() / 2)
    assert widths == [2, 12]


@every_style
@pytest.mark.parametrize("size", [(2000, 12), (1024, 6), (14, 3000), (1, 900), (1, 1)])
def test_a_picture_may_be_as_flat_as_it_likes(encode, decode, style, size):
    plain = np.full((*reversed(size), 3), 128, np.uint8)
    drawn = decode(draw(encode(plain), Marking(np.ones((1, 1), np.float32), 0.5), style))
    assert drawn.shape == plain.shape
    assert (drawn != plain).any()
    if style is HintStyle.BOX:
        assert (drawn == RED).all(axis=2).any()


def test_a_picture_lies_as_it_is_shown(encode, decode):
    wide = np.zeros((40, 60), np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    drawn = decode(draw(encode(wide, "JPEG", exif=exif), None, HintStyle.BOX))
    assert drawn.shape == (60, 40, 3)


def test_pictures_of_every_kind_become_the_same_pixels_as_in_services(encode):
    """The query and its hint differ by the marks alone."""
    from mmad_answer.images import decode as kit_decode
    from mmad_answer.images import read_header

    rng = np.random.default_rng(0)
    pictures = [
        encode(rng.integers(0, 65535, (9, 9), np.uint16)),
        encode(rng.integers(0, 255, (9, 9, 4), np.uint8)),
        encode(rng.integers(0, 255, (9, 9), np.uint8)),
        encode(rng.integers(0, 255, (9, 9, 3), np.uint8), "JPEG"),
        encode(rng.integers(0, 255, (9, 9, 3), np.uint8), "WEBP"),
    ]
    file = io.BytesIO()
    PIL.Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).convert("P").save(file, "PNG")
    pictures.append(file.getvalue())
    for content in pictures:
        drawn = PIL.Image.open(io.BytesIO(draw(content, None, HintStyle.BOX)))
        assert drawn.tobytes() == kit_decode(content, read_header(content)).tobytes()


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(OSError, match="cannot identify"):
        draw(content, None, HintStyle.BOX)


def test_pixels_without_a_white_are_refused(encode):
    with pytest.raises(ValueError, match="32-bit"):
        draw(encode(np.zeros((4, 4), np.float32), "TIFF"), None, HintStyle.BOX)
