"""The pictures that are shown: a plate with or without a scratch, drawn here, so that no data are needed."""

from __future__ import annotations

import functools
import io
import random

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter

SIZE = (240, 160)
"""Width and height in pixels: not square, so that a map that lies on its side is seen."""


@functools.cache
def plate(seed: int, *, scratched: bool = False, form: str = "PNG") -> bytes:
    """Return an encoded picture, the same for the same arguments. `form` is Pillow's name of a format."""
    random_number = random.Random(seed)
    picture = PIL.Image.new("RGB", SIZE, (96, 100, 104))
    draw = PIL.ImageDraw.Draw(picture)
    for y in range(0, SIZE[1], 2):
        grey = 120 + random_number.randrange(-6, 7)
        draw.line((0, y, SIZE[0], y), fill=(grey, grey, grey + 4))
    for x, y in ((50, 45), (190, 45), (50, 115), (190, 115)):
        draw.ellipse((x - 14, y - 14, x + 14, y + 14), fill=(40, 42, 46), outline=(170, 172, 176), width=3)
    if scratched:
        draw.line((90, 120, 150, 60), fill=(225, 225, 228), width=4)
    content = io.BytesIO()
    picture.filter(PIL.ImageFilter.GaussianBlur(0.8)).save(content, form)
    return content.getvalue()
