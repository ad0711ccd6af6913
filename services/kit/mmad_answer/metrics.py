"""A service's metrics, in Prometheus' format, on a port of their own. docs/metrics.md lists them.

Each carries the model's name, so that one view can hold many models. A thread serves them, not the event
loop: they can be read while that one is busy. The price: two numbers of one reading may be a moment apart.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from wsgiref.simple_server import WSGIServer

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.address import ListenError
from mmad_answer.observing import STATES, Call, Observer, Snapshot

_PREFIX: Final = "mmad_answer"
_SECONDS: Final = tuple(step * 10.0**power for power in range(-3, 3) for step in (1, 2.5, 5))
"""From a baseline's millisecond to the minutes of a long queue."""
_INSPECTIONS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_FAILURES: Final = {
    reason: name.removeprefix("FAILURE_REASON_").lower()
    for name, reason in pb.FailureReason.items()
    if reason != pb.FAILURE_REASON_UNSPECIFIED
}
_STAGES: Final = {"queue": "queue_seconds", "encode": "encode_seconds", "generate": "generate_seconds"}
"""Each stage's field in the contract's Timing."""
_TOKENS: Final = {
    "prompt": "prompt_tokens",
    "completion": "completion_tokens",
    "cached": "cached_prompt_tokens",
    "reasoning": "reasoning_tokens",
}
"""Each kind's field in the contract's Usage."""
_log = logging.getLogger(__name__)


class Metrics(Observer):
    """The numbers of one model. `look` tells how things stand, and is called in other threads."""

    def __init__(self, model: str, look: Callable[[], Snapshot], *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._serving: tuple[WSGIServer, threading.Thread] | None = None
        self._registry = _Registry()
        # All series from the beginning: one that is there at 0 shows its first increase.
        requests = self._counter("requests", "Calls of Answer that have ended, by status.", "code")
        self._requests = {code: requests.labels(model, code.name) for code in grpc.StatusCode}
        questions = self._counter(
            "questions", "Questions whose outcome was sent; a failed one has a reason.", "outcome", "reason"
        )
        self._answered = questions.labels(model, "answered", "")
        self._refused = questions.labels(model, "refused", "")
        self._failed = {reason: questions.labels(model, "failed", name) for reason, name in _FAILURES.items()}
        tokens = self._counter("tokens", "Tokens of the answers that were sent, by kind.", "kind")
        self._tokens = {field: tokens.labels(model, kind) for kind, field in _TOKENS.items()}
        batches = self._histogram(
            "batch_inspections", "Inspections that the model got together.", _INSPECTIONS
        )
        self._batches = batches.labels(model)
        whole = self._histogram("request_seconds", "Whole calls, of those that had a response.", _SECONDS)
        self._whole = whole.labels(model)
        stages = self._histogram("stage_seconds", "Their time in each stage.", _SECONDS, "stage")
        self._stages = {field: stages.labels(model, stage) for stage, field in _STAGES.items()}
        self._registry.register(_Standing(model, look))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def start(self) -> None:
        """Listen. Whoever can reach the port can read it.

        Raises:
            ListenError: the port cannot be had.
        """
        try:
            self._serving = start_http_server(self._port, self._host, self._registry)
        except OSError as error:
            reason = f"{error.strerror or error}: choose another --metrics-port, or 0 for a free one"
            raise ListenError(f"cannot serve {_url(self._host, self._port)}: {reason}") from None
        _log.info("metrics on %s", _url(self._host, self._serving[0].server_port))

    async def close(self) -> None:
        """Stop listening."""
        if self._serving is not None:
            server, thread = self._serving
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            thread.join()

    def ended(self, call: Call) -> None:
        """Count a call, and what it took."""
        self._requests[call.code].inc()
        if not call.responses:  # a refusal's microseconds would hide how long answers take
            return
        self._whole.observe(call.seconds)
        for field, stage in self._stages.items():
            stage.observe(getattr(call.spent, field))

    def responded(self, response: pb.AnswerResponse) -> None:
        """Count a question and its tokens."""
        if response.HasField("failure"):
            self._failed[response.failure.reason].inc()
            return
        answered = response.answered
        (self._refused if answered.finish_reason == pb.FINISH_REASON_REFUSED else self._answered).inc()
        for field, tokens in self._tokens.items():
            tokens.inc(getattr(answered.usage, field))

    def batch_begun(self, inspections: int) -> None:
        """Count a batch."""
        self._batches.observe(inspections)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ("model", *labels), _PREFIX, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, ("model", *labels), _PREFIX, registry=self._registry, buckets=buckets)


class _Registry(CollectorRegistry):
    """Without the `_created` series: for each counter when it began, as long as the counters themselves."""

    def collect(self) -> Iterator[Metric]:
        """All families."""
        for family in super().collect():
            family.samples = [each for each in family.samples if not each.name.endswith("_created")]
            yield family


class _Standing(Collector):
    """What is not counted as it happens, but looked up when somebody reads."""

    def __init__(self, model: str, look: Callable[[], Snapshot]) -> None:
        self._model = model
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """All families, anew."""
        now = self._look()
        yield self._gauge("queue_depth", "Inspections that wait for the model.", now.waiting)
        yield self._gauge("in_flight", "Inspections that wait or are worked on.", now.in_flight)
        yield self._gauge(
            "max_in_flight", "How many are taken in at once; more are refused.", now.max_in_flight
        )
        yield self._gauge("image_cache_bytes", "Decoded templates that are kept.", now.image_cache_bytes)
        yield self._counter(
            "image_cache_hits", "Images whose decoded picture was kept.", now.image_cache_hits
        )
        yield self._counter("image_cache_misses", "Templates that had to be decoded.", now.image_cache_misses)
        state = GaugeMetricFamily(
            f"{_PREFIX}_state", "1 for the state that it is in.", labels=("model", "state")
        )
        for name in STATES.values():
            state.add_metric((self._model, name), float(name == now.state))
        yield state
        yield InfoMetricFamily(
            f"{_PREFIX}_model",
            "Who answers.",
            {
                "model": self._model,
                "family": now.card.family,
                "checkpoint": now.card.checkpoint,
                "revision": now.card.revision,
                "quantization": now.card.quantization,
            },
        )

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=("model",))
        family.add_metric((self._model,), value)
        return family

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(f"{_PREFIX}_{name}", text, labels=("model",))
        family.add_metric((self._model,), value)
        return family


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
