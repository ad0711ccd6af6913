"""Health, before the model is ready and after."""

from __future__ import annotations

from orchestrator.check import BrokenError, NotTriedError, Promises
from orchestrator.check.service import Service, Snapshot
from orchestrator.dispatch.client import CONTRACT
from orchestrator.dispatch.stubs import answer_pb2 as pb

promises = Promises("health")
_QUICK = "it was ready before the first look"


def _loading(service: Service) -> list[Snapshot]:
    loading = [each for each in service.snapshots if each.state == pb.STATE_LOADING]
    if not loading:
        raise NotTriedError(_QUICK)
    return loading


@promises.add("loading_process", 'While loading, the process is alive: health of ""')
async def loading_process(service: Service) -> str:
    return _same(_loading(service), "process_health", "SERVING", '""')


@promises.add("loading_service", "While loading, health is NOT_SERVING")
async def loading_service(service: Service) -> str:
    return _same(_loading(service), "service_health", "NOT_SERVING", f'"{CONTRACT}"')


def _same(snapshots: list[Snapshot], field: str, expected: str, name: str) -> str:
    for snapshot in snapshots:
        if (came := getattr(snapshot, field)) != expected:
            raise BrokenError(
                f"health of {name}: {expected} while GetModel says STATE_LOADING",
                came,
                f"set it with grpc.health.v1 as soon as the server listens: {expected}",
            )
    return f"{len(snapshots)} look{'s' if len(snapshots) > 1 else ''}"


@promises.add("loading_answer", "While loading, Answer is refused with UNAVAILABLE")
async def loading_answer(service: Service) -> str:
    codes = [each.answer_code for each in _loading(service) if each.answer_code]
    if not codes:
        raise NotTriedError(_QUICK)
    for code in codes:
        if not code.startswith("UNAVAILABLE"):
            raise BrokenError(
                "UNAVAILABLE while GetModel says STATE_LOADING",
                code,
                "refuse until the model is ready: callers come again, or ask another replica",
            )
    return ""


@promises.add("ready_process", 'When ready, the process is alive: health of ""')
async def ready_process(service: Service) -> str:
    return await _serving(service, "")


@promises.add("ready_service", "When ready, health is SERVING")
async def ready_service(service: Service) -> str:
    return await _serving(service, CONTRACT)


async def _serving(service: Service, name: str) -> str:
    if (came := await service.health(name)) != "SERVING":
        raise BrokenError(
            f'grpc.health.v1.Health/Check says SERVING of "{name}"',
            came,
            "register grpc.health.v1 and set this name to SERVING when the model can answer",
        )
    return ""
