"""Services that keep the contract pass; what is not tried says why."""

import grpc
from grpc_health.v1 import health

from orchestrator.check import Outcome
from orchestrator.check.registry import all_promises


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
