"""The service's own modules as the kit loads them, requests to it, and replies of its protocol."""

import dataclasses
import io
import sys
from pathlib import Path

import PIL.Image
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.loading import find_model_class

FOLDER = Path(__file__).parents[3] / "services" / "openai_proxy"
MODEL_CLASS = find_model_class(FOLDER)  # puts the folder on the path, as when the service is started
sys.modules.pop("service", None)

KEY = "sk-test-4f1d0c8e2b"


@pytest.fixture(scope="session")
def key():
    return KEY


@pytest.fixture(scope="session")
def model_class():
    return MODEL_CLASS


def _completion(content="A", finish="stop", *, logprobs=None, usage=None, **message):
    """The body of a reply with one choice; `logprobs` are the first token's: {token: log probability}."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
    }
    if logprobs:
        listed = [{"token": token, "logprob": value} for token, value in logprobs.items()]
        choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
    usage = usage or {"prompt_tokens": 300, "completion_tokens": 1, "total_tokens": 301}
    return {"object": "chat.completion", "model": "m-2026", "choices": [choice], "usage": usage}


@pytest.fixture(scope="session")
def completion():
    return _completion


def _error(message="what the provider says", code=None, kind="invalid_request_error", param=None):
    """The body of an error, in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@pytest.fixture(scope="session")
def error():
    return _error


def _picture(colour="red", size=(28, 28), form="PNG"):
    file = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


@pytest.fixture(scope="session")
def encoded():
    """An encoded image of one colour."""
    return _picture


def _ask(*questions, images=None, **fields):
    """A request: a template and a query, and questions with two options each."""
    if images is None:
        images = [(pb.IMAGE_ROLE_NORMAL_TEMPLATE, _picture("blue")), (pb.IMAGE_ROLE_QUERY, _picture("red"))]
    options = [pb.Option(letter="A", text="Yes"), pb.Option(letter="B", text="No")]
    return pb.AnswerRequest(
        inspection_id="i",
        images=[pb.Image(role=role, content=content, media_type="x/y") for role, content in images],
        questions=[
            pb.Question(question_id=each, text=f"Is {each} so?", options=options)
            for each in questions or ["q1"]
        ],
        **fields,
    )


@pytest.fixture(scope="session")
def ask():
    return _ask


@pytest.fixture
def proxy(running, provider, key, tmp_path, completion):
    """Run the service on the scripted provider: `with proxy("--detail", "low") as service`."""
    provider.play(provider.reply(200, completion()))
    (tmp_path / "key").write_text(f"{key}\n")

    def start(*options):
        given = ["--base-url", f"{provider.url}/v1", "--model", "m", "--key-file", tmp_path / "key"]
        return running("openai_proxy", *given, *options)

    return start


@dataclasses.dataclass
class Sent:
    """A request's body, taken apart."""

    body: dict

    @property
    def roles(self):
        return [message["role"] for message in self.body["messages"]]

    @property
    def parts(self):
        """Of the first user turn: texts, and "image" for images."""
        [first, *_] = [message for message in self.body["messages"] if message["role"] == "user"]
        return [part.get("text", "image") for part in first["content"]]

    @property
    def pictures(self):
        return [
            part["image_url"]
            for message in self.body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        ]


@pytest.fixture
def sent(provider):
    """What the provider was asked so far."""
    return lambda: [Sent(post.body) for post in provider.posts]
