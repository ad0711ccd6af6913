"""The gRPC server around one model: addresses, options, health, reflection, and its states in their order.

Loading, ready, draining: the process can be contacted from the first on, so that GetModel and the health
service can say what goes on; only in the second is there an answer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.address import ListenError, SocketFile, host_of, is_unix, probe
from mmad_answer.loading import own_code
from mmad_answer.model import Model
from mmad_answer.observing import STATES, Observer, Snapshot
from mmad_answer.pipeline import Pipeline
from mmad_answer.servicer import SERVICE_NAME, AnswerServicer

if TYPE_CHECKING:
    from mmad_answer.metrics import Metrics

_LAST_WORDS_SECONDS = 0.5  # for statuses under way to the wire, and for health watchers to be cut off


_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to serve, whatever the model."""

    address: str = "127.0.0.1:50051"
    """A gRPC address: "host:port" (port 0 takes a free one) or "unix:///path"."""
    max_queue: int = 8
    """Inspections that may wait, beyond those being worked on."""
    batch_size: int | None = None
    """None: the model's own."""
    batch_wait_seconds: float = 0.0
    drain_seconds: float = 30.0
    max_request_bytes: int = 64 * 2**20
    max_connection_age_seconds: float = 300.0
    """0: connections may grow old."""
    image_cache_bytes: int = 256 * 2**20
    pixel_bytes: int = 2**30
    """Decoded pictures of the inspections that the model works on and of those ahead of it."""
    metrics_port: int | None = None
    """Where metrics can be read, on the address's host; 0 takes a free one, None: nowhere."""


class AnswerServer:
    """One model, served. Make it inside a running event loop."""

    def __init__(self, model: Model[Any], settings: Settings, environment: Mapping[str, str]) -> None:
        self._model = model
        self._settings = settings
        self._metrics = self._make_metrics(settings.metrics_port)
        observer = self._metrics or Observer()
        self._pipeline = Pipeline(
            model,
            max_queue=settings.max_queue,
            batch_size=settings.batch_size or model.batch_size,
            batch_wait_seconds=settings.batch_wait_seconds,
            image_cache_bytes=settings.image_cache_bytes,
            pixel_bytes=settings.pixel_bytes,
            observer=observer,
        )
        self._servicer = AnswerServicer(
            model,
            self._pipeline,
            max_request_bytes=settings.max_request_bytes,
            environment=environment,
            observer=observer,
        )
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=_channel_options(settings))
        self._socket_file: SocketFile | None = None

    async def start(self) -> str:
        """Listen, in state LOADING; returns the address to contact.

        Raises:
            ListenError: the address, or the port for metrics, cannot be had.
        """
        self._server.add_generic_rpc_handlers((self._servicer.handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        address = self._settings.address
        probe(address)
        socket_file = SocketFile(address) if is_unix(address) else None
        try:
            port = self._server.add_insecure_port(socket_file.address_to_bind if socket_file else address)
        except RuntimeError:
            port = 0
        if not port:
            raise ListenError(f"cannot listen on {address}")
        if self._metrics is not None:
            self._metrics.start()
        await self._server.start()
        if socket_file is None:
            return f"{address.rpartition(':')[0]}:{port}"
        socket_file.publish()
        self._socket_file = socket_file
        return address

    async def load(self) -> None:
        """Load the model in its own thread, then be ready.

        Raises:
            LoadError: from the model.
            ServiceError: whatever else the model raises.
        """

        def work() -> None:
            with own_code(type(self._model)):
                self._model.load()

        await asyncio.get_running_loop().run_in_executor(self._pipeline.model_threads, work)
        if self._servicer.state == pb.STATE_LOADING:
            self._servicer.state = pb.STATE_READY
            await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> bool:
        """Take nothing new and wait for what is under way; whether it ended within the drain time."""
        self._servicer.state = pb.STATE_DRAINING
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        return await self._pipeline.drain(self._settings.drain_seconds)

    @property
    def under_way(self) -> list[str]:
        """The ids of the inspections that wait or are worked on."""
        return self._pipeline.admission.under_way

    async def close(self) -> None:
        """Free the model, stop listening and cut off what is left. The model must be at rest."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pipeline.model_threads, self._model.close)
        except Exception:
            _log.exception("the model failed to close")
        await self._stop(_LAST_WORDS_SECONDS)

    async def abandon(self) -> None:
        """Stop at once, the model never having been ready."""
        await self._stop(None)

    async def _stop(self, grace_seconds: float | None) -> None:
        if self._socket_file is not None:
            self._socket_file.remove()
        await self._server.stop(grace_seconds)
        await self._pipeline.close()
        if self._metrics is not None:
            await self._metrics.close()

    def _make_metrics(self, port: int | None) -> Metrics | None:
        if port is None:
            return None
        from mmad_answer.metrics import Metrics  # a third of the command's start, for who wants it

        host = host_of(self._settings.address)
        return Metrics(self._model.describe().name, self._snapshot, host=host, port=port)

    def _snapshot(self) -> Snapshot:
        admission, cache = self._pipeline.admission, self._pipeline.cache
        return Snapshot(
            card=self._model.describe(),
            state=STATES[self._servicer.state],
            waiting=admission.waiting,
            in_flight=admission.in_flight,
            max_in_flight=admission.limit,
            image_cache_bytes=cache.bytes,
            image_cache_hits=cache.hits,
            image_cache_misses=cache.misses,
        )

    async def _set_health(self, status: int) -> None:
        await self._health.set(SERVICE_NAME, status)


def _channel_options(settings: Settings) -> list[tuple[str, int]]:
    options = [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", -1),
        # Two servers on one port would share its calls by chance.
        ("grpc.so_reuseport", 0),
        # Callers ping every 2 s to notice a hung server; by default that is "too many pings".
        ("grpc.http2.min_ping_interval_without_data_ms", 1000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        # Our own pings notice callers that vanished without a word.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    if settings.max_connection_age_seconds:
        # Callers look their replicas up anew when a connection ends. Streams under way are never cut.
        options.append(("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)))
        options.append(("grpc.max_connection_age_grace_ms", 2**31 - 1))
    return options
