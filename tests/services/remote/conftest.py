"""A small language to speak with the scripted provider, and inspections to ask it about."""

import asyncio
import contextlib
import dataclasses
import io
import logging

import PIL.Image
import pytest

from mmad_answer.model import Answer, Image, ImageRole, Inspection, Option, Question, Usage
from mmad_answer.remote.dialect import Dialect, Request
from mmad_answer.remote.faults import Kind, ProviderError, kind_of_status
from mmad_answer.remote.keys import Key
from mmad_answer.remote.options import RemoteOptions
from mmad_answer.remote.provider import Provider

KEY = "sk-test-0123456789"


class Plain(Dialect):
    """Sends what was said, and reads {"text": ...}."""

    version = ""

    def __init__(self):
        self.encoded = []

    def headers(self, key):
        return {"authorization": f"Bearer {key.reveal()}"} if key else {}

    async def check(self, provider):
        await provider.get("/models/m")

    def image_part(self, image):
        self.encoded.append(image)
        return {"image": f"{image.media_type} {image.width}x{image.height}"}

    def request(self, messages, wanted):
        said = [[message.speaker.value, *message.parts] for message in messages]
        bounds = {"max_tokens": wanted.max_tokens, "max_hidden_tokens": wanted.max_hidden_tokens}
        return Request("/ask", {"said": said} | bounds)

    def read(self, body, wanted):
        usage = Usage(**body.get("usage", {}))
        return Answer(body["text"], usage=usage)

    def fault(self, status, body):
        body = body if isinstance(body, dict) else {}
        kind = Kind[body["kind"]] if "kind" in body else kind_of_status(status)
        return ProviderError(kind, body.get("message", ""))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainOptions(RemoteOptions):
    base_url: str = "http://127.0.0.1:9"
    model: str = "m"


@pytest.fixture
def options():
    return PlainOptions


@pytest.fixture
def plain():
    return Plain()


@pytest.fixture
def opened(provider, plain):
    """Open a `Provider` on the scripted server; it asks again without waiting."""

    @contextlib.asynccontextmanager
    async def open_(key=KEY, backoff=0.0, **options):
        settings = PlainOptions(**({"base_url": provider.url, "timeout_seconds": 10} | options))
        async with Provider(plain, Key(key), settings, backoff) as one:
            yield one

    return open_


def question(number, options="AB"):
    return Question(f"q{number}", f"Question {number}?", tuple(Option(each, "text") for each in options))


def picture(role=ImageRole.QUERY, size=(8, 6), form="PNG", colour="red", **saving):
    pixels = PIL.Image.new("RGB", size, colour)
    file = io.BytesIO()
    pixels.save(file, form, **saving)
    return Image(role, file.getvalue(), f"image/{form.lower()}", "", f"{role}{size}{form}{colour}", pixels)


@pytest.fixture
def make_picture():
    return picture


@pytest.fixture
def inspect():
    """An inspection with so many questions."""

    def make(questions=1, images=None, **fields):
        shown = (picture(),) if images is None else tuple(images)
        return Inspection("i", shown, tuple(question(n) for n in range(1, questions + 1)), **fields)

    return make


@pytest.fixture
def no_key_in_the_log(caplog):
    """Whatever happens, at every level of every library."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert KEY not in caplog.text


@pytest.fixture
def until():
    """Wait, on the event loop, for a condition to hold."""

    async def wait(condition):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    return wait
