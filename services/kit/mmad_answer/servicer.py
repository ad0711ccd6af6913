"""The contract's two calls. Every refusal becomes its status here, and nowhere else."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

import grpc.aio

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc
from mmad_answer import convert
from mmad_answer.checks import check_request
from mmad_answer.model import Model
from mmad_answer.pipeline import Pipeline
from mmad_answer.refusal import RefusalError, unavailable

_log = logging.getLogger(__name__)


class AnswerServicer(answer_pb2_grpc.AnswerServiceServicer):
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

    async def GetModel(  # noqa: N802
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

    async def Answer(  # type: ignore[override]  # noqa: N802
        self, request: pb.AnswerRequest, context: grpc.aio.ServicerContext[Any, pb.AnswerResponse]
    ) -> None:
        """Answer all the questions of one inspection, each by itself."""
        try:
            if self.state != pb.STATE_READY:
                raise unavailable(self._state_detail())
            check_request(request, self._model.describe())
            # Written to the context, not yielded: a cancellation then always arrives inside this frame.
            async with contextlib.aclosing(self._pipeline.answer(request)) as responses:
                async for response in responses:
                    await context.write(response)
        except RefusalError as refusal:
            _log.info("refused %r: %s: %s", request.inspection_id, refusal.code.name, refusal)
            status = refusal.status()
            await context.abort(status.code, status.details, status.trailing_metadata)

    def _state_detail(self) -> str:
        if self.state == pb.STATE_LOADING:
            return f"loading for {time.monotonic() - self._began:.0f} s"
        return "draining: this replica is about to stop" if self.state == pb.STATE_DRAINING else "ready"
