"""How errors are sorted, in the forms in which servers of this protocol write them."""

import pytest

from mmad_answer.remote.faults import Kind
from openai_proxy import faults
from openai_proxy.options import OpenAiOptions

AT_M = OpenAiOptions(model="m")
SAID = "what the provider says"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "invalid_api_key", Kind.UNUSABLE),
        (400, "invalid_api_key", Kind.UNUSABLE),
        (403, None, Kind.NO_ROUTE),
        (404, "model_not_found", Kind.UNUSABLE),
        (404, None, Kind.NO_ROUTE),
        (429, "insufficient_quota", Kind.BUDGET_SPENT),
        (400, "billing_hard_limit_reached", Kind.BUDGET_SPENT),
        (402, None, Kind.BUDGET_SPENT),
        (429, "rate_limit_exceeded", Kind.RATE_LIMITED),
        (400, "context_length_exceeded", Kind.CONTEXT_TOO_LONG),
        (400, "content_policy_violation", Kind.REFUSED),
        (400, "content_filter", Kind.REFUSED),
        (400, "invalid_image", Kind.REQUEST),
        (413, None, Kind.REQUEST),
        (500, None, Kind.PASSING),
        (503, None, Kind.PASSING),
    ],
)
def test_codes_and_statuses_are_sorted(error, status, code, kind):
    fault = faults.fault(status, error(SAID, code), AT_M)
    assert (fault.kind, str(fault)) == (kind, SAID)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": SAID}},
        {"error": SAID},
        [{"error": {"message": SAID}}],
        {"detail": SAID},
        {"message": SAID, "object": "error"},
    ],
)
def test_the_words_are_found_in_every_form(body):
    assert str(faults.fault(500, body, AT_M)) == SAID


@pytest.mark.parametrize("body", [None, [], "text", {}, {"error": None}, {"error": {"message": None}}])
def test_an_error_of_any_shape_is_sorted_by_its_status(body):
    assert faults.fault(503, body, AT_M).kind is Kind.PASSING


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "The decoder prompt (length 9000) is longer than the maximum model length of 4096.",
        "The input (9000 tokens) is longer than the model's context length (4096 tokens).",
        "the request exceeds the available context size",
        "prompt is too long: 9000 tokens",
    ],
)
def test_prompts_that_are_too_long_are_known_by_the_words_of_the_engines(error, words):
    assert faults.fault(400, error(words), AT_M).kind is Kind.CONTEXT_TOO_LONG


def test_a_model_that_is_not_there_is_told_from_a_route_that_is_not_there(error):
    assert faults.fault(404, error("The model `m` does not exist."), AT_M).kind is Kind.UNUSABLE
    assert faults.fault(404, {"detail": "Not Found"}, AT_M).kind is Kind.NO_ROUTE
    assert faults.fault(404, {"error": "Cannot GET /v1/models/m"}, AT_M).kind is Kind.NO_ROUTE


def test_a_request_larger_than_a_minutes_allowance_is_never_asked_again(error):
    words = "Request too large for m on tokens per min (TPM): Limit 30000, Requested 45000."
    assert faults.fault(429, error(words, "rate_limit_exceeded"), AT_M).kind is Kind.REQUEST


def test_azures_and_openrouters_refusals_are_refusals(error):
    azure = error("The response was filtered")
    azure["error"]["innererror"] = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    assert faults.fault(400, azure, AT_M).kind is Kind.REFUSED
    moderated = error("Your input was flagged")
    moderated["error"]["metadata"] = {"reasons": ["violence"], "flagged_input": "..."}
    assert faults.fault(403, moderated, AT_M).kind is Kind.REFUSED


def test_a_server_that_serves_another_model_has_no_such_model(error):
    words = "Server is pinned to 'a', got 'm'"
    assert faults.fault(400, error(words), AT_M).kind is Kind.UNUSABLE
