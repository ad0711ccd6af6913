"""A map drawn onto its picture, in one of the styles, as a PNG of the picture's size.

What a map says nothing of keeps the picture's own pixels, in every style: a map that marks nothing gives the
unmarked picture. Lines have white edges and fills a colour that products hardly have, so that both show on
any background; widths follow the picture's size. PNG, since a JPEG would smear thin coloured lines; quickly
compressed, as most of the time goes there.
"""

from __future__ import annotations

import dataclasses
import io
from typing import Final

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageOps

from orchestrator.hints.formats import FloatArray
from orchestrator.hints.regions import BoolArray, bands, boxes
from orchestrator.options import HintStyle

_LINE: Final = (255, 0, 0)
_EDGE: Final = (255, 255, 255)
_FILL: Final = (255, 0, 255)
_LINE_SHARE: Final = 0.006
"""Of the picture's long side; its white edges are half as wide, on either side."""
_GAP_SHARE: Final = 0.02
"""Of the picture's long side: parts so near to each other share a box."""
_TINT: Final = 0.5
"""How much of a highlighted region is colour."""
_HEAT: Final = ((0, 0, 255), (0, 255, 255), (255, 255, 0), (255, 0, 0))
"""From nothing to the strongest, at equal steps."""
_HEAT_OPACITY: Final = 0.6
_HEAT_FADES: Final = (0.2, 0.5)
"""Levels between which the heat map fades in: what flawless pictures reach hardly shows."""
_COMPRESSION: Final = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Marking:
    """What is said of a picture: a map of any size on its product's scale, and where regions begin."""

    levels: FloatArray
    threshold: float


def draw(content: bytes, marking: Marking | None, style: HintStyle) -> bytes:
    """Draw a marking (None: there is nothing to say) onto an encoded picture, and return it as a PNG.

    Raises:
        OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError: the picture cannot be read.
    """
    picture = _upright(content)
    if marking is not None:
        picture = _marked(picture, marking, style)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()


def _upright(content: bytes) -> PIL.Image.Image:
    """Decode as services do: upright, 8-bit RGB, transparency on white, 16-bit grey by its high byte."""
    with PIL.Image.open(io.BytesIO(content)) as image:
        image.load()
        upright = PIL.ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16") or (upright.mode == "I" and image.format == "PNG"):
        return PIL.Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8)).convert("RGB")
    if upright.mode in ("I", "F"):
        raise ValueError("it has 32-bit pixels, whose white is not defined")
    if upright.has_transparency_data:
        white = PIL.Image.new("RGBA", upright.size, "white")
        return PIL.Image.alpha_composite(white, upright.convert("RGBA")).convert("RGB")
    return upright.convert("RGB")


def _marked(picture: PIL.Image.Image, marking: Marking, style: HintStyle) -> PIL.Image.Image:
    levels = PIL.Image.fromarray(marking.levels)
    if levels.size != picture.size:
        levels = levels.resize(picture.size, PIL.Image.Resampling.BILINEAR)
    values: FloatArray = np.asarray(levels)
    if style is HintStyle.HEATMAP:
        return _heat(picture, values)
    marked = values >= marking.threshold
    match style:
        case HintStyle.BOX:
            return _boxed(picture, marked)
        case HintStyle.CONTOUR:
            return _outlined(picture, marked)
        case HintStyle.HIGHLIGHT:
            return _filled(picture, marked, _TINT)
        case HintStyle.MASK:
            return _filled(picture, marked, 1.0)


def _boxed(picture: PIL.Image.Image, marked: BoolArray) -> PIL.Image.Image:
    line, edge = _widths(picture)
    pen = PIL.ImageDraw.Draw(picture)
    right_most, bottom_most = picture.width - 1, picture.height - 1
    for left, top, right, bottom in boxes(marked, round(max(picture.size) * _GAP_SHARE)):
        out = line + 2 * edge
        corners = (
            *(max(0, left - out), max(0, top - out)),
            *(min(right_most, right + out), min(bottom_most, bottom + out)),
        )
        pen.rectangle(corners, outline=_EDGE, width=out)
        # A flat picture has no room for the whole edge.
        inset = min(edge, (corners[2] - corners[0]) // 2, (corners[3] - corners[1]) // 2)
        inner = (corners[0] + inset, corners[1] + inset, corners[2] - inset, corners[3] - inset)
        pen.rectangle(inner, outline=_LINE, width=line)
    return picture


def _outlined(picture: PIL.Image.Image, marked: BoolArray) -> PIL.Image.Image:
    line, edge = _widths(picture)
    inner, middle, outer = bands(marked, edge, line, edge)
    for band, colour in ((inner | outer, _EDGE), (middle, _LINE)):
        picture.paste(colour, mask=PIL.Image.fromarray(band))
    return picture


def _filled(picture: PIL.Image.Image, marked: BoolArray, opacity: float) -> PIL.Image.Image:
    picture.paste(
        _FILL, mask=PIL.Image.fromarray(np.where(marked, np.uint8(round(255 * opacity)), np.uint8(0)))
    )
    return picture


def _heat(picture: PIL.Image.Image, values: FloatArray) -> PIL.Image.Image:
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    steps = np.linspace(0, 1, len(_HEAT))
    share = np.arange(256) / 255
    colours = np.stack([np.interp(share, steps, channel) for channel in zip(*_HEAT, strict=True)], axis=1)
    opacity = np.interp(share, _HEAT_FADES, (0, _HEAT_OPACITY)) * 255
    layer = PIL.Image.fromarray(np.rint(colours).astype(np.uint8)[levels])
    picture.paste(layer, mask=PIL.Image.fromarray(np.rint(opacity).astype(np.uint8)[levels]))
    return picture


def _widths(picture: PIL.Image.Image) -> tuple[int, int]:
    """Pixels of a line and of each of its edges."""
    line = max(2, round(max(picture.size) * _LINE_SHARE))
    return line, max(1, line // 2)
