"""What an error means, in the forms in which the API was seen to give them."""

import pytest

from gemini_proxy.faults import fault
from mmad_answer.remote.faults import Kind

PER_MINUTE = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}
PER_DAY = {
    "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
    "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    "quotaDimensions": {"location": "global", "model": "gemini-2.5-pro"},
    "quotaValue": "50",
}


def quota(*violations):
    return "QuotaFailure", {"violations": list(violations)}


RETRY = ("RetryInfo", {"retryDelay": "34.074824224s"})


def test_a_rate_limit_says_how_long_to_wait(error):
    got = fault(429, error(429, "RESOURCE_EXHAUSTED", "Slow down.", quota(PER_MINUTE), RETRY))
    assert (got.kind, got.retry_seconds) == (Kind.RATE_LIMITED, 34.074824224)
    assert str(got) == "Slow down."


def test_a_rate_limit_without_details_says_nothing_about_waiting(error):
    got = fault(429, error(429, "RESOURCE_EXHAUSTED"))
    assert (got.kind, got.retry_seconds) == (Kind.RATE_LIMITED, None)


def test_a_spent_daily_quota_is_a_spent_budget_whatever_the_retry_delay_says(error):
    got = fault(429, error(429, "RESOURCE_EXHAUSTED", "quota", quota(PER_MINUTE, PER_DAY), RETRY))
    assert got.kind is Kind.BUDGET_SPENT


@pytest.mark.parametrize("delay", ["soon", "5s or so", "-1s", "1e999s", "NaN", 3, None])
def test_a_retry_delay_that_is_no_duration_is_none(error, delay):
    got = fault(429, error(429, "RESOURCE_EXHAUSTED", "m", ("RetryInfo", {"retryDelay": delay})))
    assert got.retry_seconds is None


@pytest.mark.parametrize(
    ("code", "status", "details"),
    [
        (400, "INVALID_ARGUMENT", [("ErrorInfo", {"reason": "API_KEY_INVALID"})]),
        (400, "FAILED_PRECONDITION", []),
        (401, "UNAUTHENTICATED", []),
        (403, "PERMISSION_DENIED", []),
        (404, "NOT_FOUND", []),
    ],
)
def test_a_wrong_key_country_or_model_makes_the_service_unusable(error, code, status, details):
    assert fault(code, error(code, status, "m", *details)).kind is Kind.UNUSABLE


def test_a_prompt_over_the_models_limit_is_told_from_other_invalid_arguments(error):
    words = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
    assert fault(400, error(400, "INVALID_ARGUMENT", words)).kind is Kind.CONTEXT_TOO_LONG
    assert fault(400, error(400, "INVALID_ARGUMENT", "Unsupported MIME type")).kind is Kind.REQUEST


def test_a_request_that_is_too_large_says_which_options_make_it_smaller(error):
    words = "Request payload size exceeds the limit: 20971520 bytes."
    got = fault(400, error(400, "INVALID_ARGUMENT", words))
    assert got.kind is Kind.REQUEST
    assert "--max-image-bytes" in str(got)


@pytest.mark.parametrize(
    ("code", "status"), [(500, "INTERNAL"), (503, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED")]
)
def test_an_outage_passes(error, code, status):
    assert fault(code, error(code, status)).kind is Kind.PASSING


@pytest.mark.parametrize("body", [None, [], "down", {"error": "down"}, {"error": {"details": [1]}}, {}])
def test_of_a_body_of_any_other_shape_the_http_status_counts(body):
    assert fault(502, body).kind is Kind.PASSING
    assert fault(401, body).kind is Kind.UNUSABLE


@pytest.mark.parametrize("violations", [None, {}, "x", [None, 7, "x"], [{}]])
def test_details_of_any_shape_are_no_fault_of_ours(error, violations):
    body = error(429, "RESOURCE_EXHAUSTED", "m", ("QuotaFailure", {"violations": violations}))
    assert fault(429, body).kind is Kind.RATE_LIMITED


@pytest.mark.parametrize("details", [None, [None], [7, "x"]])
def test_the_words_are_found_whatever_the_details_are(details):
    body = {"error": {"code": 400, "message": "Unsupported MIME type", "details": details}}
    assert (str(fault(400, body)), fault(400, body).kind) == ("Unsupported MIME type", Kind.REQUEST)


def test_the_words_are_found_in_an_error_that_is_wrapped_into_a_list(error):
    got = fault(400, [error(400, "FAILED_PRECONDITION", "User location is not supported.")])
    assert (str(got), got.kind) == ("User location is not supported.", Kind.UNUSABLE)
