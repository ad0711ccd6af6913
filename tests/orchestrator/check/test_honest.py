"""Services that keep the contract pass; what is not tried says why."""

import re

import grpc
import pytest
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2

from orchestrator.check import Outcome
from orchestrator.check.registry import all_promises
from orchestrator.dispatch.client import CONTRACT


async def test_an_honest_service_passes_and_everything_is_tried(check, honest_service):
    report, shown = await check(honest_service)
    assert [(r.promise.id, r.detail) for r in report.results if r.outcome is Outcome.FAILED] == [], shown
    untried = {r.promise.id: r.detail for r in report.results if r.outcome is not Outcome.OK}
    assert untried.keys() == {
        "refusals.no_image",
        "refusals.lacks_option_scores",
        "refusals.lacks_conversation_history",
        "refusals.lacks_chain_of_thought",
        "refusals.lacks_anomaly_map",
    }
    assert all("the card claims" in reason for reason in untried.values())


@pytest.mark.parametrize("seconds", [0.002, 0.0])
@pytest.mark.parametrize("most", [1, 3, 40])
async def test_no_more_is_answered_than_was_announced(check, honest_service, most, seconds):
    """A quick service answers also what is put to fill it."""
    kind = type("Quick", (honest_service,), {"max_in_flight": most, "question_seconds": seconds})
    report, shown = await check(kind)
    announced = int(re.search(r"at most\s+(\d+)\s+inspections", shown)[1])
    assert most < report.inspections <= announced


async def test_the_newer_name_of_reflection_is_as_good(check, honest_service):
    def reflect(self):
        handler = (
            grpc.stream_stream_rpc_method_handler(  # the library has only v1alpha; the messages are the same
                reflection.aio.ReflectionServicer((CONTRACT,)).ServerReflectionInfo,
                reflection_pb2.ServerReflectionRequest.FromString,
                reflection_pb2.ServerReflectionResponse.SerializeToString,
            )
        )
        methods = {"ServerReflectionInfo": handler}
        generic = grpc.method_handlers_generic_handler("grpc.reflection.v1.ServerReflection", methods)
        self.server.add_generic_rpc_handlers((generic,))

    kind = type("Newer", (honest_service,), {"reflect": reflect})
    report, _ = await check(kind, [each for each in all_promises() if each.id == "protocol.reflection"])
    assert [(result.outcome, result.detail) for result in report.results] == [(Outcome.OK, "")]


async def test_what_health_was_before_the_service_listened_is_not_held_against_it(check, honest_service):
    class ComesUp(health.aio.HealthServicer):
        async def Check(self, request, context):  # noqa: N802 - gRPC's name
            if not served[0].looks:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "as where nothing listens")
            return await super().Check(request, context)

    served = []

    class Slow(honest_service):
        health_kind = ComesUp

        def __init__(self):
            super().__init__()
            served.append(self)

    report, _ = await check(Slow, [each for each in all_promises() if each.group == "health"])
    assert {result.outcome for result in report.results} == {Outcome.OK}
