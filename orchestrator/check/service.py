"""The service that is checked: one connection to it, what it has said of itself, and what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

import grpc
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from orchestrator.check import BrokenError, NotTriedError, Settings
from orchestrator.dispatch.client import CONTRACT, Client, MessageT, parsed
from orchestrator.dispatch.faults import CallError, Verdict, call_error
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.stubs import answer_pb2 as pb
from orchestrator.vocabulary import Endpoint

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_SHORTEST_RETRY_SECONDS = 0.05


class Process(Protocol):
    """The service's process, where it is ours to stop."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    async def exited(self) -> int | None:
        """Wait for its end; its exit code, or None where nobody can tell."""

    def gone(self) -> str:
        """Return that it has ended, and how, in one line; "" while it runs."""

    def last_words(self) -> str:
        """Return the end of its log under a heading; "" where that can be read by whoever started it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """What the engine says of the image and of its container."""

    name: str
    labels: dict[str, str]
    user: str
    healthcheck: tuple[str, ...]
    """As in the image's configuration: ("CMD", ...) or ("CMD-SHELL", ...); empty: none."""
    container_health: Callable[[], str]
    """What the engine has found with it: "starting", "healthy" or "unhealthy"."""


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a service that is starting."""

    process_health: str
    service_health: str
    state: pb.State.ValueType
    card: pb.GetModelResponse
    answer_code: str = ""
    """What an inspection got that was put while it was loading, and still was afterwards."""


@dataclasses.dataclass(slots=True)
class Call:
    """One call of Answer and all that came back."""

    responses: list[pb.AnswerResponse]
    error: CallError | None
    seconds: float

    @property
    def code(self) -> str:
        """The status."""
        return "OK" if self.error is None else self.error.code


class Service:
    """A service under check."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        process: Process | None = None,
        image: Image | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.process = process
        self.image = image
        self.client = self.connect()
        self.card = pb.GetModelResponse()
        """As it was when the service was first ready."""
        self.snapshots: list[Snapshot] = []
        """What was seen before that."""
        self.inspections = 0
        """That were answered, at least in part."""
        self.questions = 0
        """That were answered."""
        self.question_seconds = float("inf")
        """The shortest time for one question so far."""
        self._observed: dict[Callable[[Service], Awaitable[Any]], Any] = {}

    @property
    def checked(self) -> str:
        """What the user has named: an image, or an address."""
        return self.image.name if self.image else self.endpoint.target

    @property
    def max_in_flight(self) -> int:
        """What the card says; where it says nothing, 1, as for the orchestrator."""
        return self.card.limits.max_in_flight or 1

    def connect(self) -> Client:
        """Return another connection, with the orchestrator's own settings."""
        return Client(self.endpoint, Pace(ping_seconds=self.settings.ping_seconds))

    async def get_model(self) -> pb.GetModelResponse:
        """Ask who is there.

        Raises:
            CallError: there was no answer, or none that can be read.
        """
        return await self._ask(f"/{CONTRACT}/GetModel", pb.GetModelRequest(), pb.GetModelResponse())

    async def health(self, name: str) -> str:
        """Return "SERVING", "NOT_SERVING", or the status with which the question was refused."""
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            response = await self._ask(f"/{_HEALTH}/Check", request, health_pb2.HealthCheckResponse())
        except CallError as error:
            return str(error)
        return _status(response)

    async def _ask(self, method: str, request: Message, response: MessageT) -> MessageT:
        # In bytes, as in Client: gRPC would return None for a response that does not parse.
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.client.channel.unary_unary(method)
        try:
            content = await ask(request.SerializeToString(), timeout=Pace().probe_seconds)
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None
        return parsed(response, content)

    async def watch(self, client: Client) -> AsyncGenerator[str, None]:
        """Yield each health of the service as it changes, without end.

        Raises:
            CallError: the stream broke, or brought what cannot be read.
        """
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
        watch = client.channel.unary_stream(f"/{_HEALTH}/Watch")
        call = watch(health_pb2.HealthCheckRequest(service=CONTRACT).SerializeToString())
        try:
            async for content in call:
                yield _status(parsed(health_pb2.HealthCheckResponse(), content))
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None
        finally:
            call.cancel()

    async def call(
        self,
        request: pb.AnswerRequest | bytes,
        *,
        timeout_seconds: float | None = None,
        client: Client | None = None,
        on_response: Callable[[], None] = lambda: None,
    ) -> Call:
        """Put a request, and return what came of it, whatever that is."""
        content = request if isinstance(request, bytes) else request.SerializeToString()
        call = Call([], None, 0.0)
        started = time.monotonic()
        responses = (client or self.client).answer(content, timeout_seconds or self.settings.timeout_seconds)
        try:
            async with contextlib.aclosing(responses):
                async for response in responses:
                    call.responses.append(response)
                    on_response()
        except CallError as error:
            call.error = error
        finally:
            call.seconds = time.monotonic() - started
            if count := len(call.responses):
                self.inspections += 1
                self.questions += count
                if call.error is None:
                    self.question_seconds = min(self.question_seconds, call.seconds / count)
        return call

    async def ask(self, request: pb.AnswerRequest) -> Call:
        """Put a valid request, as often as the service says "later", and return the call that went well.

        Raises:
            BrokenError: it did not end with OK, or not each question has exactly one answer.
        """
        until = time.monotonic() + self.settings.timeout_seconds
        while (call := await self.call(request)).error is not None:
            wait_seconds = call.error.wait_seconds or 0.0
            if call.error.verdict is not Verdict.LATER or time.monotonic() + wait_seconds > until:
                break
            await asyncio.sleep(max(wait_seconds, _SHORTEST_RETRY_SECONDS))
        check_answered(request, call)
        return call

    async def alive(self) -> bool:
        """Whether it still says who it is."""
        with contextlib.suppress(CallError):
            await self.get_model()
            return True
        return False

    async def observe(self, observation: Callable[[Service], Awaitable[Any]]) -> Any:
        """Return what an observation gives that several promises share and that is made once."""
        if observation not in self._observed:
            self._observed[observation] = await observation(self)
        return self._observed[observation]

    def needs(self, capability: str) -> None:
        """Do not try what the card does not claim.

        Raises:
            NotTriedError: it does not.
        """
        if not getattr(self.card.capabilities, capability):
            raise NotTriedError(f"the card does not claim {capability}")

    async def close(self) -> None:
        """Close the connection."""
        await self.client.close()


def enum_name(kind: EnumDescriptor, number: int) -> str:
    """Return what a value is called; a service may send any number, also one that has no name."""
    value = kind.values_by_number.get(number)
    return value.name if value else f"{number}, which is no {kind.name}"


def _status(response: health_pb2.HealthCheckResponse) -> str:
    return enum_name(health_pb2.HealthCheckResponse.ServingStatus.DESCRIPTOR, response.status)


def check_answered(request: pb.AnswerRequest, call: Call) -> None:
    """Make sure that a call went well.

    Raises:
        BrokenError: it did not end with OK, or not each question has exactly one answer.
    """
    asked = [question.question_id for question in request.questions]
    if call.error is not None:
        raise BrokenError(
            "OK for a valid request",
            f"{call.error} (after {len(call.responses)} of {len(asked)} answers, {call.seconds:.1f} s)",
            "see the service's log; --timeout gives slow models longer",
        )
    came = [response.question_id for response in call.responses]
    wrong = [
        *(f"no answer to {each!r}" for each in asked if each not in came),
        *(f"{came.count(each)} answers to {each!r}" for each in asked if came.count(each) > 1),
        *(f"an answer to {each!r}, which was not asked" for each in came if each not in asked),
    ]
    if wrong:
        raise BrokenError(
            f"exactly one response for each of {len(asked)} questions",
            "; ".join(wrong),
            "send one AnswerResponse per question, with the question's own question_id",
        )
    for response in call.responses:
        if not response.HasField("answered"):
            reason = enum_name(pb.FailureReason.DESCRIPTOR, response.failure.reason)
            raise BrokenError(
                "an answer to a plain question",
                f"a failure of {response.question_id!r}: {reason}: {response.failure.message}"
                if response.HasField("failure")
                else f"neither an answer nor a failure for {response.question_id!r}",
                "see the service's log: what it was asked is small and valid",
            )
