"""Asks a service whether it can answer, for people, scripts and a container's HEALTHCHECK."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def check(target: str, service: str, timeout_seconds: float) -> str:
    """The state in one word: "SERVING", "NOT_SERVING", or why there was no answer ("UNAVAILABLE", ...)."""
    options = [("grpc.enable_http_proxy", 0)] if _is_loopback(target) else []
    with grpc.insecure_channel(target, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            response = stub.Check(request, timeout=timeout_seconds)  # type: ignore[attr-defined]
        except grpc.RpcError as error:
            return str(error.code().name) if isinstance(error, grpc.Call) else str(error)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


def own_target(environment: Mapping[str, str]) -> str:
    """Where a service that has this environment listens, as one beside it reaches it."""
    listen = environment.get("MMAD_ANSWER_LISTEN")
    if listen and listen.startswith("unix:"):
        return listen
    host, _, port = (listen or "").rpartition(":")
    host = host.strip("[]") or environment.get("MMAD_ANSWER_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - listened on, not bound here
    port = port or environment.get("MMAD_ANSWER_PORT") or "50051"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(target: str) -> bool:
    """Whether a proxy, which is another machine, would look for the target in the wrong place."""
    host = target.rpartition("/")[2].rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
