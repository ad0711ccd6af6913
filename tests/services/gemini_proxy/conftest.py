"""The service as the kit loads it, and the API that it speaks to: a process that has the published schema."""

import contextlib
import io
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import PIL.Image
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.loading import find_model_class

FOLDER = Path(__file__).parents[3] / "services" / "gemini_proxy"
MODEL_CLASS = find_model_class(FOLDER)  # puts the folder on the path, as when the service is started
sys.modules.pop("service", None)

KEY = "test-key-4f1d0c8e"
GOOGLE_RPC = "type.googleapis.com/google.rpc."


def _error(code, status, message="what the provider says", *details):
    """The body of an error; details are (kind, fields)."""
    packed = [{"@type": GOOGLE_RPC + kind, **fields} for kind, fields in details]
    return {"error": {"code": code, "status": status, "message": message, "details": packed}}


def _candidate(text="A", finish="STOP", thoughts="", **fields):
    """The body of a reply with one candidate."""
    parts = [{"text": thoughts, "thought": True}] if thoughts else []
    parts += [{"text": text}] if text else []
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, **fields}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 1}}


@pytest.fixture(scope="session")
def error():
    return _error


@pytest.fixture(scope="session")
def candidate():
    return _candidate


@pytest.fixture(scope="session")
def model_class():
    return MODEL_CLASS


@pytest.fixture(scope="session")
def key():
    return KEY


class Api:
    """The provider, as a test directs it."""

    def __init__(self, address):
        self.address = address

    def play(self, *replies):
        """Forget all requests, and give these replies; see `Reply` in schema/server.py for their fields."""
        body = json.dumps(replies).encode()
        request = urllib.request.Request(f"{self.address}/script", body, method="PUT")
        with urllib.request.urlopen(request, timeout=60) as response:
            assert response.status == 200

    @property
    def requests(self):
        """The calls of generateContent since `play`; `problem` is what the schema has against one."""
        return [each for each in self._record() if each["method"] == "POST"]

    def _record(self):
        with urllib.request.urlopen(f"{self.address}/record", timeout=60) as response:
            return json.load(response)


@pytest.fixture(scope="session")
def schema(environment):
    """The interpreter that has the published schema."""
    return environment("tests/services/gemini_proxy/schema")


@pytest.fixture(scope="session")
def gemini(schema):
    server = Path(__file__).parent / "schema" / "server.py"
    command = [schema, "-W", "ignore::FutureWarning", server, "--key", KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Api(process.stdout.readline().strip())
        process.stdin.close()  # which ends it


@pytest.fixture
def api(gemini):
    """The provider, with nothing to play and nothing recorded; all requests must be as the schema demands."""
    gemini.play()
    yield gemini
    assert [each["problem"] for each in gemini.requests if each["problem"]] == []


@pytest.fixture(scope="session")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("secrets") / "gemini"
    path.write_text(KEY + "\n")
    return path


@pytest.fixture(scope="session")
def started(running):
    """The services that run, by their options. In the end, the key must be in no log."""
    services = {}
    with contextlib.ExitStack() as stack:
        yield services, stack
    for each in services.values():
        assert KEY not in each.log.read_text()


@pytest.fixture
def service(started, running, gemini, key_file):
    """Start the service, or give one that runs already with the same options."""
    services, stack = started

    def start(*options, model="gemini-plain"):
        line = ("--base-url", gemini.address, "--model", model, "--key-file", str(key_file), *options)
        if line not in services:
            services[line] = stack.enter_context(running("gemini_proxy", *line))
        return services[line]

    return start


@pytest.fixture(scope="session")
def question():
    """Make a question of the contract with two options."""

    def make(question_id, text):
        options = [pb.Option(letter="A", text="Yes"), pb.Option(letter="B", text="No")]
        return pb.Question(question_id=question_id, text=text, options=options)

    return make


@pytest.fixture(scope="session")
def ask(question):
    """Make a request: questions q1, q2, ... by their texts, images by their contents (the query last)."""

    def make(*texts, images=(), **fields):
        roles = [pb.IMAGE_ROLE_NORMAL_TEMPLATE] * (len(images) - 1) + [pb.IMAGE_ROLE_QUERY]
        return pb.AnswerRequest(
            inspection_id="i",
            images=[pb.Image(role=role, content=each) for role, each in zip(roles, images, strict=False)],
            questions=[question(f"q{i}", text) for i, text in enumerate(texts, 1)],
            **fields,
        )

    return make


@pytest.fixture(scope="session")
def encoded():
    """Make an image file's bytes."""

    def make(size=(40, 30), colour="teal", format="PNG"):  # noqa: A002 - Pillow's word
        file = io.BytesIO()
        PIL.Image.new("RGB", size, colour).save(file, format)
        return file.getvalue()

    return make
