"""Fixtures for the kit: scripted models, a real server in this process, requests and images to send."""

import asyncio
import contextlib
import dataclasses
import io
import logging
import sys
import threading

import grpc.aio
import PIL.Image
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc
from mmad_answer.model import Answer, Capabilities, Card, Model, NoOptions, Reply
from mmad_answer.server import AnswerServer, Settings
from mmad_answer.servicer import SERVICE_NAME

ABLE = Capabilities(
    option_scores=True, conversation_history=True, chain_of_thought=True, deterministic=True, text_only=True
)


class ScriptedModel(Model):
    """Answers "A", or as `script(batch)` says. Waits at `gate`, when closed, and keeps what it was handed."""

    def __init__(self, script=None, *, card=None, workers=1, batch_size=1, load=None):
        super().__init__(NoOptions())
        self.card = card or Card("scripted", "test", capabilities=ABLE)
        self.workers, self.batch_size = workers, batch_size
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.closed = False
        self._script = script or self.all_a
        self._load = load

    @staticmethod
    def all_a(batch):
        for inspection in batch:
            for question in inspection.questions:
                yield Reply(inspection, question.question_id, Answer("A"))

    @property
    def seen(self):
        return [inspection.inspection_id for batch in self.batches for inspection in batch]

    def describe(self):
        return self.card

    def load(self):
        if self._load:
            self._load()

    def answer(self, batch):
        self.batches.append(batch)
        self.begun.release()
        assert self.gate.wait(20), "the test never opened the gate"
        return self._script(batch)

    def close(self):
        self.closed = True

    async def has_begun(self):
        """Wait until a batch has begun that no earlier call has counted."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=20)


@pytest.fixture
def scripted():
    models = []

    def make(*args, **kwargs):
        models.append(ScriptedModel(*args, **kwargs))
        return models[-1]

    yield make
    for model in models:
        model.gate.set()


@dataclasses.dataclass
class Served:
    """A server under test and a client's view of it."""

    server: AnswerServer
    address: str
    channel: grpc.aio.Channel
    stub: answer_pb2_grpc.AnswerServiceStub

    def without_a_message(self, serializer=pb.AnswerRequest.SerializeToString):
        """An Answer call whose message has not been sent yet; `write` sends it."""
        return self.channel.stream_stream(
            f"/{SERVICE_NAME}/Answer",
            request_serializer=serializer,
            response_deserializer=pb.AnswerResponse.FromString,
        )(timeout=60)

    @property
    def admission(self):
        return self.server._pipeline.admission

    @property
    def in_next_batch(self):
        """How many inspections wait for the next batch to go."""
        return len(self.server._pipeline._batcher._pending)

    @staticmethod
    async def answers(call):
        """All responses of a call, in order, as (question id, text)."""
        return [(response.question_id, response.answered.text) async for response in call]

    async def refusal(self, call):
        """(status code, message, {details type: details}) of a call that gives no answer."""
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await self.answers(call)
        details = {}
        if status := rpc_status.from_call(failed.value):
            for packed in status.details:
                for kind in (
                    error_details_pb2.BadRequest,
                    error_details_pb2.RetryInfo,
                    error_details_pb2.ErrorInfo,
                ):
                    if packed.Is(kind.DESCRIPTOR):
                        details[kind] = kind()
                        packed.Unpack(details[kind])
        return failed.value.code(), failed.value.details(), details

    async def health(self, service=SERVICE_NAME):
        """The state that the health service tells."""
        request = health_pb2.HealthCheckRequest(service=service)
        response = await health_pb2_grpc.HealthStub(self.channel).Check(request, timeout=20)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)

    async def until(self, condition):
        """Wait until something is so; it must become so."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.002)


@pytest.fixture
async def serve():
    async with contextlib.AsyncExitStack() as stack:

        async def start(model, *, loaded=True, options=(), environment=(), **settings):
            settings = Settings(**{"address": "127.0.0.1:0", **settings})
            server = AnswerServer(model, settings, dict(environment))
            address = await server.start()
            stack.push_async_callback(server.abandon)
            if gate := getattr(model, "gate", None):
                stack.callback(gate.set)
            if loaded:
                await server.load()
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            return Served(server, address, channel, answer_pb2_grpc.AnswerServiceStub(channel))

        yield start


def _encoded(size=(32, 24), mode="RGB", format="PNG", colour=None, **save):  # noqa: A002
    buffer = io.BytesIO()
    picture = PIL.Image.new(mode, size) if colour is None else PIL.Image.new(mode, size, colour)
    picture.save(buffer, format, **save)
    return buffer.getvalue()


@pytest.fixture
def encoded():
    """Make an image file's bytes."""
    return _encoded


@pytest.fixture
def ask():
    """Make a valid request: ids of the questions, images as contents (the last is the query)."""

    def make(inspection_id="i", questions=("q1",), images=(), **fields):
        roles = [pb.IMAGE_ROLE_NORMAL_TEMPLATE] * (len(images) - 1) + [pb.IMAGE_ROLE_QUERY]
        return pb.AnswerRequest(
            inspection_id=inspection_id,
            images=[pb.Image(role=role, content=each) for role, each in zip(roles, images, strict=False)],
            questions=[
                pb.Question(question_id=each, text="?", options=[pb.Option(letter=x, text=x) for x in "ABCD"])
                for each in questions
            ],
            **fields,
        )

    return make


@pytest.fixture
def service_folder(tmp_path, monkeypatch):
    """Write a service's folder; what importing it leaves behind is undone."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "service", raising=False)

    def make(source, requirements=None):
        (tmp_path / "service.py").write_text(source)
        if requirements is not None:
            (tmp_path / "requirements.txt").write_text(requirements)
        return tmp_path

    yield make
    sys.modules.pop("service", None)


@pytest.fixture
def unlogged():
    """No log: what UTF-8 cannot hold in it could not be sent from a test process to the one that reports."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
