"""The service as the kit loads it, and pictures of a made-up part under varying light and pose."""

import io
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from mmad_answer.loading import find_model_class
from mmad_answer.model import Image, ImageRole, NoOptions

FOLDER = Path(__file__).parents[3] / "services" / "template_diff"
MODEL_CLASS = find_model_class(FOLDER)  # puts the folder on the path, as when the service is started
sys.modules.pop("service", None)


def _part(angle=0.0, shift=(0, 0), scale=1.0, light=1.0, slope=0.0, noise=0, mark=None, size=(400, 320)):
    """A plate with holes and print. `angle` in degrees clockwise, `shift` in pixels; `mark` draws on it."""
    width, height = size
    picture = PIL.Image.new("RGB", size, (60, 66, 70))
    pen = PIL.ImageDraw.Draw(picture)
    pen.rounded_rectangle((70, 60, 330, 260), 20, (170, 160, 140))
    pen.ellipse((95, 85, 135, 125), (40, 40, 45))
    pen.ellipse((275, 195, 305, 225), (40, 40, 45))
    pen.rectangle((160, 100, 290, 125), (60, 90, 170))
    pen.polygon([(110, 230), (150, 230), (130, 180)], (190, 80, 60))
    pen.line((180, 230, 250, 150), (230, 230, 220), 6)
    if mark:
        mark(pen)
    # PIL maps places of the result to places of the source, about the middle.
    radians = np.radians(angle)
    cos, sin = np.cos(radians) / scale, np.sin(radians) / scale
    x, y = (width - 1) / 2, (height - 1) / 2
    at_x, at_y = x + shift[0], y + shift[1]
    picture = picture.transform(
        size,
        PIL.Image.Transform.AFFINE,
        (cos, sin, x - cos * at_x - sin * at_y, -sin, cos, y + sin * at_x - cos * at_y),
        PIL.Image.Resampling.BICUBIC,
        fillcolor=(60, 66, 70),
    )
    across = np.linspace(-1, 1, width)[None, :, None]
    grain = np.random.default_rng(noise).normal(0, 2, (height, width, 1))
    pixels = np.asarray(picture, float) * light * (1 + slope * across) + grain
    return PIL.Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def part():
    return _part


@pytest.fixture(scope="session")
def templates():
    """Five normal pictures, each under a light and in a pose of its own."""
    return [
        _part(angle=2, shift=(4, -3), light=1.05, noise=1),
        _part(angle=-3, shift=(-6, 5), scale=1.02, light=0.95, slope=0.05, noise=2),
        _part(angle=1, shift=(2, 7), scale=0.98, slope=-0.05, noise=3),
        _part(angle=4, shift=(-3, -4), light=0.9, noise=4),
        _part(angle=-1, shift=(5, 1), scale=1.01, light=1.1, noise=5),
    ]


@pytest.fixture(scope="session")
def png():
    def encode(picture):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def model():
    return MODEL_CLASS(NoOptions())


@pytest.fixture(scope="session")
def images():
    """An inspection's images: templates first, then the query, if there is one."""

    def make(query, templates):
        pictures = [(ImageRole.NORMAL_TEMPLATE, each) for each in templates]
        pictures += [(ImageRole.QUERY, query)] if query else []
        return tuple(
            Image(role, b"", "image/png", "", str(i), each) for i, (role, each) in enumerate(pictures)
        )

    return make
