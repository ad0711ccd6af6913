"""The contract's two calls. Every refusal becomes its status here, and nowhere else.

A request may have 64 MiB, so a call is refused before its message is read wherever that can be: a flood
holds no more messages in memory than there are places, over all connections (400 calls of 8 MiB: 240 MiB,
where reading first took 734). The price: whoever sends slowly takes a place up meanwhile, which is why a
message has a limited time to come. gRPC's own limits would not do: `maximum_concurrent_rpcs` refuses without
the RetryInfo that is promised, and `grpc.max_concurrent_streams` resets streams opened in good faith.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import convert
from mmad_answer.checks import check_request
from mmad_answer.model import Model
from mmad_answer.observing import Observer, observed
from mmad_answer.pipeline import Pipeline
from mmad_answer.refusal import RefusalError, invalid, unavailable

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["AnswerService"].full_name
_ARRIVAL_SECONDS: Final = 60.0
"""For a message to come in whole: 64 MiB at 9 Mbit/s."""
_log = logging.getLogger(__name__)


class AnswerServicer:
    """Answers while READY; says who it is in every state."""

    def __init__(
        self,
        model: Model[Any],
        pipeline: Pipeline,
        *,
        max_request_bytes: int,
        environment: Mapping[str, str],
        observer: Observer,
    ) -> None:
        self.state: pb.State.ValueType = pb.STATE_LOADING
        self._model = model
        self._pipeline = pipeline
        self._max_request_bytes = max_request_bytes
        self._environment = environment
        self._observer = observer

    def handlers(self) -> grpc.GenericRpcHandler:
        """What gRPC needs to know of the two calls.

        Answer is declared with a stream of requests, of which the contract has one: gRPC would read that one
        by itself otherwise. On the wire there is no difference.
        """
        get_model = grpc.unary_unary_rpc_method_handler(
            self.get_model, pb.GetModelRequest.FromString, pb.GetModelResponse.SerializeToString
        )
        answer = grpc.stream_stream_rpc_method_handler(
            self.answer, pb.AnswerRequest.FromString, pb.AnswerResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE_NAME, {"GetModel": get_model, "Answer": answer})

    async def get_model(
        self, request: pb.GetModelRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetModelResponse:
        """Say which model this is, and its limits."""
        return convert.card(
            self._model.describe(),
            state=self.state,
            state_detail=self._state_detail(),
            max_in_flight=self._pipeline.admission.limit,
            max_request_bytes=self._max_request_bytes,
            environment=self._environment,
        )

    async def answer(
        self,
        _: AsyncIterator[pb.AnswerRequest],
        context: grpc.aio.ServicerContext[pb.AnswerRequest, pb.AnswerResponse],
    ) -> None:
        """Answer all the questions of one inspection, each by itself."""
        inspection_id = ""
        try:
            with observed(self._observer) as call:
                self._check_ready()
                request = await self._arrived(context)
                inspection_id = request.inspection_id
                self._check_ready()
                check_request(request, self._model.describe())
                # Written to the context, not yielded: a cancellation then always arrives inside this frame.
                async with contextlib.aclosing(self._pipeline.answer(request)) as responses:
                    async for response in responses:
                        await context.write(response)
                        call.responded(response)
        except RefusalError as refusal:
            _log.info("refused %r: %s: %s", inspection_id, refusal.code.name, refusal)
            status = refusal.status()
            await context.abort(status.code, status.details, status.trailing_metadata)

    async def _arrived(
        self, context: grpc.aio.ServicerContext[pb.AnswerRequest, pb.AnswerResponse]
    ) -> pb.AnswerRequest:
        """Read the call's message, which has a place from now on, and so a limited time to come."""
        try:
            with self._pipeline.admission.arrival():
                # Not from the iterator: that one holds the message until the garbage collector finds it.
                request = await asyncio.wait_for(context.read(), _ARRIVAL_SECONDS)
        except TimeoutError:
            raise unavailable(f"no request came within {_ARRIVAL_SECONDS:.0f} s") from None
        except DecodeError:
            raise invalid([("", "the message cannot be read as an AnswerRequest")]) from None
        if not isinstance(request, pb.AnswerRequest):
            raise invalid([("questions", "no request came")])  # if it was too large, gRPC says so instead
        return request

    def _check_ready(self) -> None:
        if self.state != pb.STATE_READY:
            raise unavailable(self._state_detail())

    def _state_detail(self) -> str:
        if self.state == pb.STATE_LOADING:
            return "loading"
        return "draining: this replica is about to stop" if self.state == pb.STATE_DRAINING else "ready"
