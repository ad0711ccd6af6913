"""A service that does as it is told, and the run's side of the dispatcher, in memory."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.dispatch import ConnectedModel, Effort, Ending, Prompting, wire
from orchestrator.dispatch.client import CONTRACT
from orchestrator.dispatch.fanout import fan_out
from orchestrator.dispatch.pace import Pace
from orchestrator.hints.images import Hints
from orchestrator.vocabulary import (
    AskedQuestion,
    Attempt,
    Endpoint,
    ImageReference,
    ImageRole,
    Inspection,
    Option,
    Reply,
    Sample,
)

PNG = base64.b64decode(  # one grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
PACE = Pace(  # short where a test waits for it, long where only a busy machine would
    backoff_seconds=0.005,
    backoff_max_seconds=0.02,
    cool_down_seconds=0.02,
    cool_down_max_seconds=0.05,
    look_apart_seconds=0.01,
    drain_seconds=10.0,
)

Step = Callable[["ScriptedService", pb.AnswerRequest, Any], AsyncIterator[pb.AnswerResponse]]


def answered(question: pb.Question, text: str = "") -> pb.AnswerResponse:
    return pb.AnswerResponse(
        question_id=question.question_id,
        answered=pb.Answered(
            text=text or f"A, to {question.question_id}",
            finish_reason=pb.FINISH_REASON_STOP,
            reasoning="looked closely",
        ),
    )


class Steps:
    """What a scripted service can do with one call."""

    @staticmethod
    def answer(delay_seconds: float = 0.0) -> Step:
        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions:
                await asyncio.sleep(delay_seconds)
                yield answered(question)

        return step

    @staticmethod
    def refuse(code: grpc.StatusCode, message: str = "as scripted", *details: Any, after: int = 0) -> Step:
        """Answer `after` questions, then end the stream with a status."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions[:after]:
                yield answered(question)
            packed = []
            for detail in details:
                packed.append(any_pb2.Any())
                packed[-1].Pack(detail)
            await context.abort_with_status(
                rpc_status.to_status(status_pb2.Status(code=code.value[0], message=message, details=packed))
            )

        return step

    @staticmethod
    def leave_out(count: int) -> Step:
        """Answer all questions but the last `count`, and end well."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions[: len(request.questions) - count]:
                yield answered(question)

        return step

    @staticmethod
    def send(*responses: pb.AnswerResponse) -> Step:
        """Send these, then answer everything."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for response in responses:
                yield response
            for question in request.questions:
                yield answered(question)

        return step

    @staticmethod
    def fail(failure: pb.Failure, answer: int = 0) -> Step:
        """Answer `answer` questions, and give this failure to the others."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions[:answer]:
                yield answered(question)
            for question in request.questions[answer:]:
                yield pb.AnswerResponse(question_id=question.question_id, failure=failure)

        return step

    @staticmethod
    def garble(after: int = 0) -> Step:
        """Answer `after` questions, then send bytes that are no message of the contract."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions[:after]:
                yield answered(question)
            yield b"\xff\xff\xff"

        return step

    @staticmethod
    def mismeasure(number: float) -> Step:
        """Answer everything, with this number wherever the contract has one."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions:
                response = answered(question)
                response.answered.option_scores.add(letter="A", log_probability=number)
                response.timing.queue_seconds = response.timing.generate_seconds = number
                yield response

        return step

    @staticmethod
    def hang(after: int = 0) -> Step:
        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions[:after]:
                yield answered(question)
            await asyncio.Event().wait()

        return step

    @staticmethod
    def die(after: int = 0) -> Step:
        """Answer `after` questions, then cut every connection, as a killed process does."""

        async def step(service: ScriptedService, request: pb.AnswerRequest, context: Any) -> Any:
            for question in request.questions[:after]:
                yield answered(question)
            await asyncio.sleep(0.02)  # let what was answered leave
            service.kill()
            await asyncio.Event().wait()

        return step


class ScriptedService:
    """A grpc.aio service. Each call takes the next step of `script`; after those, `otherwise`."""

    def __init__(self, name: str) -> None:
        self.card = pb.GetModelResponse(
            name=name,
            checkpoint="v1",
            limits=pb.Limits(max_images=8, max_in_flight=4),
            capabilities=pb.Capabilities(conversation_history=True, chain_of_thought=True, text_only=True),
            state=pb.STATE_READY,
        )
        self.script: list[Step] = []
        self.otherwise: Step = Steps.answer()
        self.requests: list[pb.AnswerRequest] = []
        self.garbled_card: bytes | None = None
        self.probes = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.port = 0
        self._server: grpc.aio.Server | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.http2.min_ping_interval_without_data_ms", 100),
                ("grpc.keepalive_permit_without_calls", 1),
            ]
        )
        self._server.add_generic_rpc_handlers([_handler(self)])
        self.port = self._server.add_insecure_port(self.target)
        await self._server.start()

    def kill(self) -> None:
        """Cut every connection and listen no more."""
        task = asyncio.create_task(self.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)

    async def GetModel(  # noqa: N802
        self, request: pb.GetModelRequest, context: Any
    ) -> pb.GetModelResponse | bytes:
        self.probes += 1
        return self.card if self.garbled_card is None else self.garbled_card

    async def Answer(  # noqa: N802
        self, request: pb.AnswerRequest, context: Any
    ) -> AsyncIterator[pb.AnswerResponse]:
        self.requests.append(request)
        step = self.script.pop(0) if self.script else self.otherwise
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            async for response in step(self, request, context):
                yield response
        finally:
            self.in_flight -= 1


def _handler(service: ScriptedService) -> grpc.GenericRpcHandler:
    """Serve the contract as generated code does, but let bytes through that are no message."""

    def serialised(message: Any) -> bytes:
        return message if isinstance(message, bytes) else message.SerializeToString()

    return grpc.method_handlers_generic_handler(
        CONTRACT,
        {
            "GetModel": grpc.unary_unary_rpc_method_handler(
                service.GetModel, pb.GetModelRequest.FromString, serialised
            ),
            "Answer": grpc.unary_stream_rpc_method_handler(
                service.Answer, pb.AnswerRequest.FromString, serialised
            ),
        },
    )


class Memory:
    """A recorder and observer that remembers."""

    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], Reply] = {}
        self.attempts: list[Attempt] = []
        self.begun: list[Attempt] = []
        self.states: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str]] = []
        self.on_keep: Callable[[Reply], None] = lambda reply: None

    def kept(self, model: str, inspection: Inspection) -> dict[str, Reply]:
        return {
            question.question_id: self.replies[model, question.question_id]
            for question in inspection.questions
            if (model, question.question_id) in self.replies
        }

    async def keep(self, model: str, inspection: Inspection, reply: Reply) -> None:
        self.on_keep(reply)
        assert (model, reply.question_id) not in self.replies, "kept twice"
        self.replies[model, reply.question_id] = reply
        await asyncio.sleep(0)

    def attempting(self, attempt: Attempt) -> None:
        self.begun.append(attempt)

    async def attempted(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def state(self, model: str, text: str) -> None:
        self.states.append((model, text))

    def note(self, model: str, text: str) -> None:
        self.notes.append((model, text))

    def of(self, model: str) -> list[Reply]:
        return [reply for (name, _), reply in self.replies.items() if name == model]

    def codes(self) -> list[str]:
        return [attempt.code for attempt in self.attempts]


class House:
    """Services, a data set, and a run over them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.memory = Memory()
        self.prompting = Prompting()
        self.effort = Effort(timeout_seconds=20, patience_seconds=10)
        self.pace = PACE
        self.stop = asyncio.Event()
        self.hints: Hints | None = None
        self.taken: dict[str, int] = {}
        self.inspections_of: dict[str, list[Inspection]] = {}
        """Of models that do not get the same as all the others."""
        self.services: list[ScriptedService] = []

    async def service(self, name: str = "model") -> ScriptedService:
        service = ScriptedService(name)
        await service.start()
        self.services.append(service)
        return service

    def model(self, *services: ScriptedService, name: str = "") -> ConnectedModel:
        name = name or services[0].card.name
        endpoints = tuple(Endpoint(name, service.target, "test") for service in services)
        return ConnectedModel(name, wire.model_card(services[0].card), endpoints)

    def inspections(self, count: int, questions: int = 3, products: int = 1) -> list[Inspection]:
        """So many, of the products "part", "part1", ... in turns."""
        names = [f"part{number or ''}" for number in range(products)]
        return [self.inspection(f"DS/{names[n % products]}/good/{n:03}.png", questions) for n in range(count)]

    def inspection(self, key: str, questions: int = 3, templates: Sequence[str] = ()) -> Inspection:
        for path in (key, *templates):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(PNG)
        options = (Option("A", "Yes"), Option("B", "No"))
        return Inspection(
            inspection_id=key,
            sample=Sample(key, "DS", key.removeprefix("DS/").split("/")[0], "good", False, (), "", (), ()),
            repeat=0,
            images=(
                *(ImageReference(ImageRole.NORMAL_TEMPLATE, path) for path in templates),
                ImageReference(ImageRole.QUERY, key),
            ),
            questions=tuple(
                AskedQuestion(
                    f"{key}#{index}", index, 0, f"Question {index}?", options, "A", ("A", "B"), None
                )
                for index in range(questions)
            ),
            domain_knowledge="",
            seed=7,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - for conditions of any kind
                await asyncio.sleep(0.005)

    async def run(
        self, inspections: Sequence[Inspection], *models: ConnectedModel, **effort: Any
    ) -> list[Ending]:
        def taking(card: Any) -> Iterator[Inspection]:
            for inspection in self.inspections_of.get(card.identity.name, inspections):
                self.taken[card.identity.name] = self.taken.get(card.identity.name, 0) + 1
                yield inspection

        return await fan_out(
            self.root,
            taking,
            models,
            self.prompting,
            dataclasses.replace(self.effort, **effort),
            self.memory,
            self.memory,
            self.stop,
            self.pace,
            self.hints,
        )


@pytest.fixture
def steps() -> type[Steps]:
    return Steps


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    try:
        yield house
    finally:
        with contextlib.suppress(Exception):
            await asyncio.gather(*(service.stop() for service in house.services))
