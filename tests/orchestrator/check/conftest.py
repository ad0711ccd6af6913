"""A small service, written against the contract and not on the kit's server, that keeps every promise.

Tests break it in one way each. Of the kit it has only the checks of requests and images, and the statuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import io

import grpc
import PIL.Image
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from rich.console import Console

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import images
from mmad_answer.checks import check_request
from mmad_answer.model import Capabilities, Card
from mmad_answer.refusal import RefusalError, full, invalid, unavailable
from orchestrator.check import Settings
from orchestrator.check.checking import check_service
from orchestrator.check.screen import CheckScreen
from orchestrator.check.service import Image, Service
from orchestrator.dispatch.client import CONTRACT
from orchestrator.vocabulary import Endpoint

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ABLE = tuple(field.name for field in pb.Capabilities.DESCRIPTOR.fields)
MAX_REQUEST_BYTES = 2**20
SETTINGS = Settings(
    timeout_seconds=20.0,
    wait_seconds=10.0,
    silence_seconds=0.2,
    work_seconds=0.2,
    stop_seconds=10.0,
)


class HonestService:
    """Keeps every promise; a subclass breaks one."""

    able = ABLE
    max_in_flight = 3
    options = (
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.http2.min_ping_interval_without_data_ms", 10),
        ("grpc.http2.max_ping_strikes", 0),
    )
    health_kind = health.aio.HealthServicer
    question_seconds = 0.002
    image = Image(
        "honest",
        {"org.mmad.answer.contract": "v1", "org.mmad.answer.port": "50051"},
        "10001:10001",
        ("CMD", "health"),
        lambda: "healthy",
    )

    def __init__(self):
        self.server = grpc.aio.server(options=self.options)
        self.health = self.health_kind()
        self.state = pb.STATE_LOADING
        self.looks = 0
        self.in_flight = self.under_way = 0
        """The places that are taken, and the calls that are there."""
        self.idle = asyncio.Event()
        self.ended = asyncio.Future()

    # -------------------------------------------------------------------------------------- its life

    async def start(self):
        answer = grpc.unary_stream_rpc_method_handler(
            self.answer, self.parsed, pb.AnswerResponse.SerializeToString
        )
        get_model = grpc.unary_unary_rpc_method_handler(
            self.get_model, pb.GetModelRequest.FromString, pb.GetModelResponse.SerializeToString
        )
        handlers = {"GetModel": get_model, "Answer": answer, **self.more_methods()}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(CONTRACT, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.reflect()
        port = self.server.add_insecure_port("127.0.0.1:0")
        await self.tell_health(SERVING, NOT_SERVING)
        await self.server.start()
        return f"127.0.0.1:{port}"

    def more_methods(self):
        return {}

    def parsed(self, content):
        return pb.AnswerRequest.FromString(content)

    def reflect(self):
        reflection.enable_server_reflection((CONTRACT, reflection.SERVICE_NAME), self.server)

    async def tell_health(self, process, service):
        await self.health.set("", process)
        await self.health.set(CONTRACT, service)

    async def ready(self):
        self.state = pb.STATE_READY
        await self.tell_health(SERVING, SERVING)

    def terminate(self):
        """SIGTERM; called in another thread, as a signal comes from elsewhere."""
        self.loop.call_soon_threadsafe(lambda: setattr(self, "draining", self.loop.create_task(self.drain())))

    async def drain(self):
        self.state = pb.STATE_DRAINING
        await self.tell_health(SERVING, NOT_SERVING)
        while self.under_way:
            await self.idle.wait()
        await asyncio.sleep(0.05)
        await self.exit(0)

    async def exit(self, code):
        await self.server.stop(0.05)
        self.ended.set_result(code)

    async def exited(self):
        return await asyncio.shield(self.ended)

    def gone(self):
        return f"its process has ended with code {self.ended.result()}" if self.ended.done() else ""

    def last_words(self):
        return "Its last words:\n    good-bye"

    # -------------------------------------------------------------------------------------- its two calls

    def card(self):
        return pb.GetModelResponse(
            name="honest",
            family="test",
            checkpoint="none",
            revision="1",
            quantization="none",
            device="cpu",
            prompt_sha256="0" * 64,
            state=self.state,
            limits=pb.Limits(
                max_images=8, max_in_flight=self.max_in_flight, max_request_bytes=MAX_REQUEST_BYTES
            ),
            capabilities=pb.Capabilities(**dict.fromkeys(self.able, True)),
        )

    async def get_model(self, request, context):
        self.looks += 1
        if self.looks == 4 and self.state == pb.STATE_LOADING:
            await self.ready()
        return self.card()

    async def answer(self, request, context):
        try:
            self.check_state()
            with self.place(context):
                self.check(request)
                async for response in self.responses(request):
                    yield response
        except RefusalError as refusal:
            await self.refuse(refusal, context)

    def check_state(self):
        if self.state != pb.STATE_READY:
            raise unavailable("not ready")

    @contextlib.contextmanager
    def place(self, context):
        if self.in_flight >= self.room():
            raise self.full()
        self.in_flight += 1
        self.under_way += 1
        self.idle.clear()
        cancelled = False
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            cancelled = True
            raise
        finally:
            self.under_way -= 1
            if not cancelled or self.gives_back(context):
                self.in_flight -= 1
            if not self.under_way:
                self.idle.set()

    def room(self):
        return self.max_in_flight

    def full(self):
        return full(0.02)

    def gives_back(self, context):
        """Whether a call that was cancelled, or past its deadline, gives its place back."""
        return True

    def check(self, request):
        able = Capabilities(**dict.fromkeys(self.able, True))
        check_request(request, Card("honest", "test", capabilities=able, max_images=8))
        contents = [image.content for image in request.images]
        for i, (content, header) in enumerate(zip(contents, images.inspect(contents), strict=True)):
            try:
                images.decode(content, header)
            except images.BrokenImageError as error:
                raise invalid([(f"images[{i}].content", str(error))]) from None

    async def refuse(self, refusal, context):
        status = refusal.status()
        await context.abort(status.code, status.details, status.trailing_metadata)

    async def responses(self, request):
        for i, question in enumerate(request.questions):
            await asyncio.sleep(self.question_seconds)
            yield pb.AnswerResponse(
                question_id=question.question_id,
                answered=self.answered(request, question, first=i == 0),
                timing=pb.Timing(generate_seconds=self.question_seconds),
            )

    def answered(self, request, question, first):
        answered = pb.Answered(text=self.text(question), finish_reason=pb.FINISH_REASON_STOP)
        if request.generation.option_scores:
            answered.option_scores.extend(self.scores(question))
        if request.prompting.chain_of_thought == pb.CHAIN_OF_THOUGHT_PER_INSPECTION:
            answered.reasoning = self.analysis(request)
        if request.generation.anomaly_map and self.sends_map(first):
            answered.anomaly_map = self.map()
        return answered

    def text(self, question):
        return question.options[len(question.text) % len(question.options)].letter

    def scores(self, question):
        return [pb.OptionScore(letter=each.letter, log_probability=-2.0) for each in question.options]

    def analysis(self, request):
        return request.analysis or "nothing to be seen"

    def sends_map(self, first):
        return first

    def map(self, mode="I;16", size=(24, 16)):
        content = io.BytesIO()
        PIL.Image.new(mode, size).save(content, "PNG")
        return content.getvalue()


@pytest.fixture
def honest_service():
    return HonestService


@pytest.fixture
def settings():
    return SETTINGS


@pytest.fixture
def check(settings):
    """Check a service of this process: `await check(kind)` gives the report, and what the screen showed."""

    async def call(kind, promises=None, settings=settings):
        served = kind()
        served.loop = asyncio.get_running_loop()
        endpoint = Endpoint("check", await served.start(), "test")
        service = Service(endpoint, settings, served, served.image)
        shown = io.StringIO()
        screen = CheckScreen(Console(file=shown, width=80))
        try:
            report = await check_service(service, screen, promises=promises)
        finally:
            await service.close()
            await served.server.stop(None)
        return report, shown.getvalue()

    return call
