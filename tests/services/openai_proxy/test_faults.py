"""How errors are sorted, in the forms in which servers of this protocol write them."""

import pytest

from mmad_answer.remote.faults import Kind
from openai_proxy import faults

SAID = "what the provider says"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "invalid_api_key", Kind.UNUSABLE),
        (400, "invalid_api_key", Kind.UNUSABLE),
        (403, None, Kind.UNUSABLE),
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
    fault = faults.fault(status, error(SAID, code), "m")
    assert (fault.kind, str(fault)) == (kind, SAID)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": SAID}},
        {"error": SAID},
        {"detail": SAID},
        {"message": SAID, "object": "error"},
    ],
)
def test_the_words_are_found_in_every_form(body):
    assert str(faults.fault(500, body, "m")) == SAID


@pytest.mark.parametrize("body", [None, [], "text", {}, {"error": None}, {"error": {"message": None}}])
def test_an_error_of_any_shape_is_sorted_by_its_status(body):
    assert faults.fault(503, body, "m").kind is Kind.PASSING


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
    assert faults.fault(400, error(words), "m").kind is Kind.CONTEXT_TOO_LONG


def test_a_model_that_is_not_there_is_told_from_a_route_that_is_not_there(error):
    assert faults.fault(404, error("The model `m` does not exist."), "m").kind is Kind.UNUSABLE
    assert faults.fault(404, {"detail": "Not Found"}, "m").kind is Kind.NO_ROUTE


def test_a_request_larger_than_a_minutes_allowance_is_never_asked_again(error):
    words = "Request too large for m on tokens per min (TPM): Limit 30000, Requested 45000."
    assert faults.fault(429, error(words, "rate_limit_exceeded"), "m").kind is Kind.REQUEST


def test_azures_and_openrouters_refusals_are_refusals(error):
    azure = error("The response was filtered")
    azure["error"]["innererror"] = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    assert faults.fault(400, azure, "m").kind is Kind.REFUSED
    moderated = error("Your input was flagged")
    moderated["error"]["metadata"] = {"reasons": ["violence"], "flagged_input": "..."}
    assert faults.fault(403, moderated, "m").kind is Kind.REFUSED


@pytest.mark.parametrize(
    ("words", "param", "remedy"),
    [
        ("Unsupported value: 'temperature' does not support 0.", "temperature", "--omit temperature"),
        ("Unrecognized request argument supplied: seed", None, "--omit seed"),
        ("Unsupported parameter: 'max_tokens'. Use another.", "max_tokens", "max_completion_tokens"),
        (
            "Unexpected fields in the request: {'max_completion_tokens'}",
            None,
            "--token-limit-field max_tokens",
        ),
        ("You are not allowed to request logprobs: unsupported", "logprobs", "--omit logprobs"),
    ],
)
def test_a_field_that_is_refused_is_named_with_the_option_that_helps(error, words, param, remedy):
    fault = faults.fault(400, error(words, "unsupported_parameter", param=param), "m")
    assert fault.kind is Kind.UNUSABLE
    assert str(fault).startswith(words)
    assert remedy in str(fault)


def test_words_about_something_else_than_our_fields_stop_no_run(error):
    assert faults.fault(400, error("unsupported image format"), "m").kind is Kind.REQUEST
    assert faults.fault(400, error("temperature is too high"), "m").kind is Kind.REQUEST
