import logging
import math

import pytest

from mmad_answer.model import Answer, FinishReason, Generation, OptionScore, Usage
from mmad_answer.remote.dialect import Wanted
from mmad_answer.remote.faults import Kind, ProviderError
from openai_proxy import reading
from openai_proxy.dialect import ChatCompletions
from openai_proxy.options import OpenAiOptions


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", FinishReason.STOP),
        (None, FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.REFUSED),
    ],
)
def test_why_a_text_ends_is_told(completion, finish, reason):
    assert reading.answer(completion("A", finish), ()).finish_reason is reason


def test_tokens_are_counted_with_their_kinds(completion):
    usage = {
        "prompt_tokens": 900,
        "completion_tokens": 40,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    assert reading.answer(completion(usage=usage), ()).usage == Usage(900, 40, 800, 30)
    assert reading.answer(
        completion(usage={"prompt_tokens": 5, "prompt_tokens_details": None}), ()
    ).usage == Usage(5)


@pytest.mark.parametrize("count", [-1, 2**40, 10.5, "ten", True, [1], {"n": 1}])
def test_a_count_that_is_none_is_0_and_costs_no_answer(completion, count):
    details = {"cached_tokens": count}
    usage = {"prompt_tokens": count, "completion_tokens": "7", "prompt_tokens_details": details}
    answer = reading.answer(completion(usage=usage), ())
    assert (answer.text, answer.usage) == ("A", Usage(0, 7))


@pytest.mark.parametrize("usage", [7, [1], "few", {"prompt_tokens_details": [1]}])
def test_counts_in_another_form_cost_no_answer(completion, usage):
    assert reading.answer(completion(usage=usage), ()) == Answer("A")


CALL = {"id": "c", "type": "function", "function": {"name": "zoom", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("finish", "message", "named"),
    [
        ("tool_calls", {"tool_calls": [CALL, CALL]}, ": zoom, zoom"),
        ("stop", {"tool_calls": [CALL]}, ": zoom"),
        ("tool_calls", {"tool_calls": None}, ""),
        ("function_call", {"function_call": {"name": "zoom", "arguments": "{}"}}, ": zoom"),
    ],
)
def test_a_call_of_a_tool_is_no_answer_and_names_the_tool(completion, finish, message, named):
    with pytest.raises(ProviderError, match=f"the model called a tool and gave no answer{named}$") as told:
        reading.answer(completion(None, finish, **message), ())
    assert told.value.kind is Kind.REQUEST


def test_what_a_model_says_beside_a_call_of_a_tool_is_its_answer(completion):
    assert reading.answer(completion("A", "tool_calls", tool_calls=[CALL]), ()).text == "A"


def test_a_refusal_is_an_answer_in_the_models_words(completion):
    answer = reading.answer(completion(None, refusal="I cannot help with that."), ("A",))
    assert (answer.text, answer.finish_reason) == ("I cannot help with that.", FinishReason.REFUSED)


def test_a_content_filter_that_leaves_no_words_says_what_it_found(completion):
    body = completion(None, "content_filter")
    body["choices"][0]["content_filter_results"] = {
        "violence": {"filtered": True, "severity": "high"},
        "hate": {"filtered": False},
    }
    answer = reading.answer(body, ())
    assert (answer.text, answer.finish_reason) == ("content_filter: violence", FinishReason.REFUSED)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_are_kept_apart_and_there_are_no_scores_after_them(completion, field):
    body = completion("A", logprobs={"A": -0.1}, **{field: "I see."})
    assert reading.answer(body, ("A",)) == Answer("A", usage=Usage(300, 1), reasoning="I see.")


def test_texts_in_parts_are_one_text(completion):
    assert (
        reading.answer(completion([{"type": "text", "text": "A"}, {"type": "text", "text": "."}]), ()).text
        == "A."
    )


def test_the_chosen_token_counts_once_whether_or_not_it_is_among_the_listed(completion):
    body = completion(logprobs={"A": -0.5, "B": -1.0})
    position = body["choices"][0]["logprobs"]["content"][0]
    assert reading.answer(body, ("A",)).option_scores == (OptionScore("A", -0.5),)
    position["top_logprobs"] = position["top_logprobs"][1:]
    assert reading.answer(body, ("A",)).option_scores == (OptionScore("A", -0.5),)


def test_tokens_that_a_server_decodes_to_one_text_are_all_counted(completion):
    body = completion(logprobs={"B": math.log(0.5)})
    position = body["choices"][0]["logprobs"]["content"][0]
    position["top_logprobs"] += [{"token": "B", "logprob": math.log(0.25)}]
    assert reading.answer(body, ("B",)).option_scores == (OptionScore("B", pytest.approx(math.log(0.75))),)


def test_where_no_logprobs_come_every_letter_is_unknown(completion):
    assert reading.answer(completion(), ("A", "B")).option_scores == (
        OptionScore("A", None),
        OptionScore("B", None),
    )


@pytest.mark.parametrize("finish", ["error", "abort", "insufficient_system_resource"])
def test_a_server_that_breaks_off_is_asked_again(completion, finish):
    with pytest.raises(ProviderError) as broken:
        reading.answer(completion("A", finish), ())
    assert broken.value.kind is Kind.PASSING


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 7}}]},
        {"choices": [{"message": {"content": "A"}, "logprobs": {"content": [None]}}]},
    ],
)
def test_what_is_no_reply_is_no_answer(body):
    with pytest.raises((KeyError, IndexError, TypeError, AttributeError)):
        reading.answer(body, ())


@pytest.mark.parametrize(
    ("code", "kind"),
    [(429, Kind.RATE_LIMITED), (502, Kind.PASSING), (None, Kind.PASSING), ("x", Kind.PASSING)],
)
def test_an_error_with_a_status_of_success_is_an_error(error, code, kind):
    with pytest.raises(ProviderError) as told:
        ChatCompletions(OpenAiOptions(model="m")).read(error(code=code), Wanted(Generation()))
    assert told.value.kind is kind


def test_each_model_that_answers_is_logged_once_and_a_change_is_a_warning(completion, caplog):
    caplog.set_level(logging.INFO, "openai_proxy")
    dialect = ChatCompletions(OpenAiOptions(model="m"))
    for name in ("m-1", "m-1", "m-2", "m-1"):
        dialect.read(completion() | {"model": name}, Wanted(Generation()))
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "replies to m now come from m-1"),
        ("WARNING", "replies to m now come from m-2"),
    ]
