"""The contract's two calls. Every refusal becomes its status here, and nowhere else.

A request may have 64 MiB, so a call is refused before its message is read wherever that can be: a flood
holds no more messages in memory than there are places, over all connections (400 calls of 8 MiB: 240 MiB,
where reading first took 734). The price: whoever sends slowly takes a place up meanwhile. gRPC's own limits
would not do: `maximum_concurrent_rpcs` refuses without the RetryInfo that is promised, and
`grpc.max_concurrent_streams` resets streams that a client opened in good faith.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
import grpc.aio

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import convert
from mmad_answer.checks import check_request
from mmad_answer.model import Model
from mmad_answer.pipeline import Pipeline
from mmad_answer.refusal import RefusalError, invalid, unavailable

SERVICE_NAME: Final = pb.DESCRIPTOR.services_by_name["AnswerService"].full_name
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
    ) -> None:
        self.state: pb.State.ValueType = pb.STATE_LOADING
        self._model = model
        self._pipeline = pipeline
        self._max_request_bytes = max_request_bytes
        self._environment = environment
        self._began = time.monotonic()

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
            self._check_ready()
            with self._pipeline.admission.arrival():
                # Not from the iterator: that one holds the message until the garbage collector finds it.
                request = await context.read()
            if not isinstance(request, pb.AnswerRequest):
                raise invalid([("questions", "no request came")])  # if it was too large, gRPC says so instead
            inspection_id = request.inspection_id
            self._check_ready()
            check_request(request, self._model.describe())
            # Written to the context, not yielded: a cancellation then always arrives inside this frame.
            async with contextlib.aclosing(self._pipeline.answer(request)) as responses:
                async for response in responses:
                    await context.write(response)
        except RefusalError as refusal:
            _log.info("refused %r: %s: %s", inspection_id, refusal.code.name, refusal)
            status = refusal.status()
            await context.abort(status.code, status.details, status.trailing_metadata)

    def _check_ready(self) -> None:
        if self.state != pb.STATE_READY:
            raise unavailable(self._state_detail())

    def _state_detail(self) -> str:
        if self.state == pb.STATE_LOADING:
            return f"loading for {time.monotonic() - self._began:.0f} s"
        return "draining: this replica is about to stop" if self.state == pb.STATE_DRAINING else "ready"
