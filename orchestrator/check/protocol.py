"""What gRPC itself must do: reflection, unknown methods, and bytes that are no message."""

from __future__ import annotations

import grpc

from orchestrator.check import BrokenError, Promises
from orchestrator.check.service import Service
from orchestrator.dispatch.client import CONTRACT
from orchestrator.dispatch.faults import CallError, call_error
from orchestrator.dispatch.pace import Pace
from orchestrator.endpoints.diagnosis import reflected

promises = Promises("protocol")


@promises.add("reflection", "Reflection is on, and names the contract")
async def reflection(service: Service) -> str:
    advice = "serve grpc.reflection.v1 or v1alpha, with AnswerService among its services"
    expected = f"server reflection (v1 or v1alpha) lists {CONTRACT}"
    try:
        services = await reflected(service.client.channel)
    except CallError as error:
        raise BrokenError(expected, str(error), advice) from None
    if CONTRACT not in services:
        raise BrokenError(expected, ", ".join(services) or "no service", advice)
    return ""


@promises.add("unknown_method", "A method that it does not have is UNIMPLEMENTED")
async def unknown_method(service: Service) -> str:
    code = await _code_of(service, "ThisMethodIsNotThere", b"")
    if not code.startswith("UNIMPLEMENTED"):
        raise BrokenError("UNIMPLEMENTED", code, "leave unknown methods to the gRPC library")
    return ""


@promises.add("garbage", "Bytes that are no message are refused, and do no harm")
async def garbage(service: Service) -> str:
    call = await service.call(b"\xff" * 64)
    if call.error is None or call.error.silent or call.code == "CANCELLED":
        raise BrokenError(
            "an error that says the request is wrong, such as INVALID_ARGUMENT or INTERNAL",
            str(call.error) if call.error else "OK",
            "answer an unreadable message with a status, and go on",
        )
    await service.get_model()
    return call.code


async def _code_of(service: Service, method: str, content: bytes) -> str:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = service.client.channel.unary_unary(
        f"/{CONTRACT}/{method}"
    )
    try:
        await call(content, timeout=Pace().probe_seconds)
    except grpc.aio.AioRpcError as error:
        return str(call_error(error))
    return "OK"
