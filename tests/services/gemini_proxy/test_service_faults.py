"""Each fault of the provider, through the service in its own environment: what the caller gets."""

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from mmad.answer.v1 import answer_pb2 as pb

RETRY_INFO, ERROR_INFO = error_details_pb2.RetryInfo, error_details_pb2.ErrorInfo


def retry_after(seconds):
    return "RetryInfo", {"retryDelay": f"{seconds}s"}


def quota(name):
    return "QuotaFailure", {"violations": [{"subject": "", "quotaId": name}]}


@pytest.fixture
def play(api, error):
    """Have an error played: `play(503, "UNAVAILABLE", ...)`; `times` how often, `when` for which question."""

    def make(code, status, *details, message="what the provider says", times=1, **fields):
        body = error(code, status, message, *details)
        api.play(*[{"status": code, "body": body, **fields}] * times)

    return make


def refusal(served, request):
    """(status code, message, details) of a call that gives no answer."""
    with pytest.raises(grpc.RpcError) as failed:
        served.ask(request)
    details = {}
    for packed in rpc_status.from_call(failed.value).details if failed.value.trailing_metadata() else ():
        for kind in (RETRY_INFO, ERROR_INFO):
            if packed.Is(kind.DESCRIPTOR):
                details[kind] = kind()
                packed.Unpack(details[kind])
    return failed.value.code(), failed.value.details(), details


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "reset"},
        {"fault": "half", "body": {"candidates": []}},
        {"raw": "<html><title>Bad gateway</title></html>", "status": 502},
        {"raw": "<html>Please log in</html>"},
        {"body": {"usageMetadata": {"promptTokenCount": 1}}},
    ],
    ids=["reset", "half a body", "an HTML error", "an HTML page", "no candidate"],
)
def test_what_passes_is_asked_again_and_answered(service, api, ask, fault):
    api.play(fault)
    assert service().ask(ask("Any defect?"))["q1"].answered.text == "A"
    first, second = api.requests
    assert first["body"] == second["body"]


@pytest.mark.parametrize("code", [500, 503, 504])
def test_an_outage_that_passes_is_waited_out(service, api, ask, play, code):
    play(code, {500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}[code])
    assert service().ask(ask("Any defect?"))["q1"].answered.text == "A"
    assert len(api.requests) == 2


def test_a_provider_that_says_nothing_is_asked_again_after_the_timeout(service, api, ask):
    api.play({"fault": "silent"})
    served = service("--timeout-seconds", "0.5")
    assert served.ask(ask("Any defect?"))["q1"].answered.text == "A"
    first, second = api.requests
    assert second["at_seconds"] - first["at_seconds"] >= 0.5


def test_a_rate_limit_is_waited_out_for_as_long_as_its_details_say(service, api, ask, play):
    play(429, "RESOURCE_EXHAUSTED", quota("RequestsPerMinute"), retry_after(0.7))
    assert service().ask(ask("Any defect?"))["q1"].answered.text == "A"
    first, second = api.requests
    assert second["at_seconds"] - first["at_seconds"] >= 0.7


def test_a_rate_limit_without_details_is_waited_out_too(service, api, ask, play):
    play(429, "RESOURCE_EXHAUSTED")
    assert service().ask(ask("Any defect?"))["q1"].answered.text == "A"
    assert len(api.requests) == 2


def test_a_longer_wait_than_allowed_is_the_callers(service, api, ask, play):
    play(429, "RESOURCE_EXHAUSTED", retry_after(3600))
    served = service("--max-wait-seconds", "59")  # of its own: it rests for the hour
    code, message, details = refusal(served, ask("Any defect?"))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "what the provider says" in message
    assert details[RETRY_INFO].retry_delay.seconds in range(3590, 3601)
    assert len(api.requests) == 1


def test_a_spent_daily_quota_ends_the_call_and_says_so(service, api, ask, play):
    play(429, "RESOURCE_EXHAUSTED", quota("RequestsPerDayPerProject"), retry_after(1), always=True)
    code, message, details = refusal(service(), ask("Any defect?"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert details[ERROR_INFO].reason == "BUDGET_SPENT"
    assert "what the provider says" in message
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("code", "status", "details"),
    [
        (400, "INVALID_ARGUMENT", [("ErrorInfo", {"reason": "API_KEY_INVALID", "domain": "googleapis.com"})]),
        (403, "PERMISSION_DENIED", []),
        (404, "NOT_FOUND", []),
    ],
    ids=["a key that has expired", "a key without the right", "a model withdrawn"],
)
def test_what_only_other_settings_mend_ends_the_call(service, api, ask, play, code, status, details):
    play(code, status, *details, always=True)
    code, message, details = refusal(service(), ask("Any defect?"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert ERROR_INFO not in details
    assert "what the provider says" in message
    assert len(api.requests) == 1


def test_an_outage_that_does_not_pass_sends_the_caller_elsewhere(service, api, ask, play):
    play(503, "UNAVAILABLE", always=True)
    code, message, _ = refusal(service("--attempts", "2"), ask("Any defect?"))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "what the provider says" in message
    assert len(api.requests) == 2


TOO_LONG = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (TOO_LONG, pb.FAILURE_REASON_CONTEXT_TOO_LONG),
        ("Unsupported MIME type", pb.FAILURE_REASON_PROVIDER),
        ("Request payload size exceeds the limit: 20971520 bytes.", pb.FAILURE_REASON_PROVIDER),
    ],
)
def test_a_question_that_cannot_be_answered_costs_only_itself(service, api, ask, play, message, reason):
    play(400, "INVALID_ARGUMENT", message=message, when="First?", always=True)
    got = service().ask(ask("First?", "Second?"))
    assert got["q1"].failure.reason == reason
    assert message in got["q1"].failure.message
    assert got["q2"].answered.text == "A"
    assert len(api.requests) == 2


def test_a_blocked_prompt_is_refused_in_the_providers_words(service, api, ask):
    api.play({"body": {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}})
    got = service().ask(ask("Any defect?"))["q1"].answered
    assert got.finish_reason == pb.FINISH_REASON_REFUSED
    assert got.text == "prompt blocked: PROHIBITED_CONTENT"
    assert len(api.requests) == 1


@pytest.mark.parametrize("finish", ["SAFETY", "RECITATION", "SPII"])
def test_a_blocked_answer_is_refused_in_the_providers_words(service, api, ask, candidate, finish):
    api.play({"body": candidate("", finish, finishMessage="Not this.")})
    got = service().ask(ask("Any defect?"))["q1"].answered
    assert (got.finish_reason, got.text) == (pb.FINISH_REASON_REFUSED, f"answer blocked: {finish}: Not this.")


def test_a_cut_answer_says_so(service, api, ask, candidate):
    api.play({"body": candidate("The pill is", "MAX_TOKENS")})
    got = service().ask(ask("Any defect?"))["q1"].answered
    assert (got.finish_reason, got.text) == (pb.FINISH_REASON_LENGTH, "The pill is")


def test_a_reply_that_never_holds_a_candidate_costs_only_its_question(service, api, ask):
    empty = {"usageMetadata": {"promptTokenCount": 1}}
    api.play({"body": empty, "when": "First?", "always": True})
    got = service("--attempts", "2").ask(ask("First?", "Second?"))
    assert got["q1"].failure.reason == pb.FAILURE_REASON_PROVIDER
    assert "no candidate" in got["q1"].failure.message
    assert got["q2"].answered.text == "A"


def test_a_key_that_the_provider_repeats_comes_no_further(service, ask, play, key):
    play(400, "INVALID_ARGUMENT", message=f"the key {key} is of another project", when="First?")
    got = service().ask(ask("First?", "Second?"))
    assert got["q1"].failure.message.endswith("the key [key] is of another project")
    assert key not in service().log.read_text()


def test_the_key_is_in_no_log_however_much_is_logged(service, ask, api, key):
    api.play({"fault": "reset"})
    served = service("--log-level", "debug")
    assert served.ask(ask("Any defect?"))["q1"].answered.text == "A"
    log = served.log.read_text()
    assert "attempt 1" in log
    assert key not in log
