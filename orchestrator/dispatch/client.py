"""One address and the two calls of the contract.

Retries are the dispatcher's, never gRPC's: C-core silently stops retrying requests over 256 KiB, and an
attempt that the journal does not know of cannot be counted. A hung server is noticed by pings; it takes all
four of their settings. Requests are not compressed: the images are already. They are serialised once, by
the caller, who has to know their size anyway.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from orchestrator.dispatch import wire
from orchestrator.dispatch.faults import CallError, Verdict, call_error
from orchestrator.dispatch.pace import Pace
from orchestrator.dispatch.stubs import answer_pb2
from orchestrator.vocabulary import Endpoint, ModelCard

CONTRACT = answer_pb2.DESCRIPTOR.services_by_name["AnswerService"].full_name


class Client:
    """A connection to one address, made when it is first needed and made again after a loss."""

    def __init__(self, endpoint: Endpoint, pace: Pace) -> None:
        self.endpoint = endpoint
        self.channel = grpc.aio.insecure_channel(endpoint.target, options=_options(endpoint.target, pace))
        # Both in bytes: gRPC would print a traceback for a response that does not parse, and return None.
        self._get_model: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(
            f"/{CONTRACT}/GetModel"
        )
        self._answer: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(
            f"/{CONTRACT}/Answer"
        )

    def connected(self) -> bool:
        """Whether the connection stands. After a loss it does not, until the next call has made it anew."""
        return self.channel.get_state() is grpc.ChannelConnectivity.READY

    async def get_model(self, timeout_seconds: float) -> ModelCard:
        """Ask who is there.

        Raises:
            CallError: there was no answer, or none that can be read.
        """
        request = answer_pb2.GetModelRequest().SerializeToString()
        try:
            response = await self._get_model(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None
        return wire.model_card(parsed(answer_pb2.GetModelResponse(), response))

    async def answer(
        self, request: bytes, timeout_seconds: float
    ) -> AsyncGenerator[answer_pb2.AnswerResponse, None]:
        """Put a serialised AnswerRequest, and yield the responses as they come.

        Close the iterator to cancel the call.

        Raises:
            CallError: the call did not end with OK, or a response cannot be read.
        """
        call = self._answer(request, timeout=timeout_seconds)
        try:
            async for response in call:
                yield parsed(answer_pb2.AnswerResponse(), response)
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None
        finally:
            call.cancel()  # of no effect on a call that has ended

    async def close(self) -> None:
        """Close the connection, and cancel what is under way."""
        await self.channel.close()


MessageT = TypeVar("MessageT", bound=Message)


def parsed(message: MessageT, content: bytes) -> MessageT:
    """Return the message, filled in from what came.

    Raises:
        CallError: it cannot be read.
    """
    try:
        message.ParseFromString(content)
    except DecodeError:
        package = message.DESCRIPTOR.file.package
        detail = f"the service sent what cannot be read: does it speak {package}?"
        raise CallError(Verdict.BROKEN, "INTERNAL", detail) from None
    return message


def _options(target: str, pace: Pace) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", _milliseconds(pace.ping_seconds)),
        ("grpc.keepalive_timeout_ms", _milliseconds(pace.ping_timeout_seconds)),
        ("grpc.http2.ping_timeout_ms", _milliseconds(pace.ping_timeout_seconds)),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.min_reconnect_backoff_ms", _milliseconds(pace.connect_seconds)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # A subchannel that is shared with others in this process would share their back-off too.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
    ]
    if _is_near(target):
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _is_near(target: str) -> bool:
    """Whether it is reached without the proxy that the environment may name.

    No proxy reaches this machine's own loopback. Private addresses are what the names of a site or a cluster
    stand for, and what excepts those from a proxy ("no_proxy=.svc") does not know their addresses.
    """
    host = target.removeprefix("dns:///").rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return target.startswith("unix:") or host == "localhost"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
