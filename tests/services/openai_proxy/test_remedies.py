"""Which refusals are of a setting of ours, and what each advises."""

import pytest

from mmad_answer.remote.faults import Kind
from openai_proxy import faults
from openai_proxy.options import OpenAiOptions


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
        ("Invalid temperature: only 1 is allowed for this model", None, {}, "--omit temperature"),
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
