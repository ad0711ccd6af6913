"""Services that only say who they are, and addresses that are not what they should be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc
from orchestrator.dispatch.client import CONTRACT
from orchestrator.vocabulary import Endpoint


class Speaker(answer_pb2_grpc.AnswerServiceServicer):
    """Says who it is."""

    def __init__(self, **card: Any) -> None:
        self.card = pb.GetModelResponse(
            name="model", limits=pb.Limits(max_images=8, max_in_flight=4), state=pb.STATE_READY
        )
        self.card.MergeFrom(pb.GetModelResponse(**card))
        self.error: tuple[grpc.StatusCode, str] | None = None
        self.silent = False
        self.asked = 0

    async def GetModel(self, request: Any, context: Any) -> pb.GetModelResponse:  # noqa: N802
        self.asked += 1
        while self.silent:  # noqa: ASYNC110 - the test gives no sign
            await asyncio.sleep(0.02)
        if self.error:
            await context.abort(*self.error)
        return self.card


@pytest.fixture
def speaker() -> type[Speaker]:
    return Speaker


@pytest.fixture
async def servers() -> AsyncIterator[Callable[..., Any]]:
    """Start a gRPC server, of a Speaker or of anything else; return its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(speaker: Speaker | None = None, *names: str, target: str = "127.0.0.1:0") -> str:
            server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
            if speaker is not None:
                answer_pb2_grpc.add_AnswerServiceServicer_to_server(speaker, server)
            if names:
                reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
            port = server.add_insecure_port(target)
            await server.start()
            stack.push_async_callback(server.stop, None)
            return target if target.startswith("unix") else f"127.0.0.1:{port}"

        yield start


@pytest.fixture
async def garbler() -> AsyncIterator[str]:
    """The address of a service whose card is no message of the contract."""

    async def get_model(request: bytes, context: Any) -> bytes:
        return b"\xff\xff\xff"

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    methods = {"GetModel": grpc.unary_unary_rpc_method_handler(get_model)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(CONTRACT, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Any]]:
    """Listen on a TCP port and send a fixed text to whoever connects, or nothing at all."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(text: bytes) -> str:
            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with contextlib.suppress(ConnectionError):
                    if text:
                        await reader.read(100)
                        writer.write(text)
                        await writer.drain()
                    else:
                        await reader.read()
                writer.close()

            server = await asyncio.start_server(talk, "127.0.0.1", 0)
            stack.callback(server.close)
            return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

        yield start


@pytest.fixture
def endpoint() -> Callable[..., Endpoint]:
    return lambda target, name="model", origin="--endpoint": Endpoint(name, target, origin)
