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


def refused(error, words, param=None, **options):
    return faults.fault(400, error(words, param=param), OpenAiOptions(model="m", **options))


@pytest.mark.parametrize(
    ("words", "param", "options", "remedy"),
    [
        ("Unsupported value: 'temperature' does not support 0.", "temperature", {}, "--omit temperature"),
        ("That cannot be.", "temperature", {}, "--omit temperature"),
        ("Too many.", "top_logprobs", {}, "--omit logprobs, or a smaller --top-logprobs"),
        ("Too many.", "top_logprobs", {"top_logprobs": 1}, "--omit logprobs"),
        ("Only gpt-4o has this.", "messages[1].content[0].image_url.detail", {}, "--omit detail"),
        ("'system' is not for this model", "messages[0].role", {}, "--system-role user"),
        ("Not here.", "model", {}, "another --model"),
        (
            "Not so hard.",
            "reasoning_effort",
            {"reasoning_effort": "xhigh"},
            "another --reasoning-effort, or none",
        ),
        (
            "Unsupported parameter: 'top_p'",
            None,
            {"omit": "temperature,seed"},
            "--omit seed,temperature,top_p",
        ),
        ("Unrecognized request argument supplied: seed", None, {}, "--omit seed"),
        ("invalid temperature: only 1 is allowed for this model", None, {}, "--omit temperature"),
        ("messages.1.content.0.image_url.detail: Extra inputs are not permitted", None, {}, "--omit detail"),
        (
            "Requested sample logprobs of 20, which is greater than max allowed: 5",
            None,
            {},
            "--omit logprobs, or a smaller --top-logprobs",
        ),
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            None,
            {"token_limit_field": "max_tokens"},
            "--token-limit-field max_completion_tokens, or let answers have fewer tokens",
        ),
        (
            "Unexpected fields in the request: {'max_completion_tokens'}",
            None,
            {},
            "--token-limit-field max_tokens, or let answers have fewer tokens",
        ),
        ("Unexpected message role 'developer'", None, {"system_role": "developer"}, "--system-role user"),
        ("System role not supported", None, {}, "--system-role user"),
        ("At most 2 image(s) may be provided in one prompt.", None, {}, "--max-images 2"),
        ("Conversation roles must alternate user/assistant", None, {}, "--system-role user"),
    ],
)
def test_a_setting_that_is_refused_is_named_with_the_option_that_helps(error, words, param, options, remedy):
    fault = refused(error, words, param, **options)
    assert (fault.kind, str(fault)) == (Kind.UNUSABLE, f"{words} Start the service with {remedy}.")


@pytest.mark.parametrize(
    ("words", "param", "options"),
    [
        ("unsupported image format", None, {}),
        ("temperature is too high", None, {}),
        ("An unexpected error while reading image: truncated file (seed 3)", None, {}),
        ("Invalid image.", "messages[1].content[1].image_url.url", {}),
        ("Unexpected value in {'model': 'm', 'temperature': 0.0, 'messages': [7]}", None, {}),
    ],
)
def test_words_about_something_else_than_our_settings_stop_no_run(error, words, param, options):
    assert refused(error, words, param, **options).kind is Kind.REQUEST


@pytest.mark.parametrize(
    ("words", "param", "options"),
    [
        ("Unsupported: 'seed'", "seed", {"omit": "seed"}),
        ("Unsupported: 'detail'", None, {"omit": "detail"}),
        ("Unsupported: 'logprobs'", "top_logprobs", {"omit": "logprobs"}),
        ("Unsupported: 'max_tokens'", "max_tokens", {}),
        ("Unsupported: 'reasoning_effort'", None, {}),
        ("System role not supported", "messages[0].role", {"system_role": "user"}),
        ("At most 2 image(s) may be provided in one prompt.", None, {"max_images": 2}),
    ],
)
def test_no_remedy_is_advised_that_is_in_force_already(error, words, param, options):
    assert refused(error, words, param, **options).kind is Kind.REQUEST


def test_a_server_that_serves_another_model_has_no_such_model(error):
    assert refused(error, "Server is pinned to 'a', got 'm'").kind is Kind.UNUSABLE
