"""Services that keep the contract pass; what is not tried says why."""

from orchestrator.check import Outcome


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
