"""What a reply means, by the API's own documentation of its fields."""

import math

import pytest

from gemini_proxy.answer import answer
from gemini_proxy.dialect import GeminiDialect
from gemini_proxy.messages import GenerateContentResponse
from gemini_proxy.options import GeminiOptions
from mmad_answer.model import FinishReason, Generation, OptionScore, Usage
from mmad_answer.remote.dialect import Wanted
from mmad_answer.remote.faults import Kind, ProviderError


def read(body, letters=()):
    return answer(GenerateContentResponse.read(body), letters)


def test_parts_are_joined_and_thoughts_kept_apart(candidate):
    body = candidate("B", thoughts="Scratched. ")
    body["candidates"][0]["content"]["parts"] += [{"text": "ecause", "thoughtSignature": "AAAA"}]
    got = read(body)
    assert (got.text, got.reasoning, got.finish_reason) == ("Because", "Scratched. ", FinishReason.STOP)


def test_a_reply_cut_by_the_limit_says_so_though_thoughts_took_all_of_it(candidate):
    got = read(candidate("", "MAX_TOKENS", thoughts="Hm"))
    assert (got.text, got.finish_reason) == ("", FinishReason.LENGTH)


@pytest.mark.parametrize(
    "finish", ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "IMAGE_SAFETY"]
)
def test_a_blocked_answer_is_a_refusal_in_the_providers_words(candidate, finish):
    ratings = [
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True},
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"},
    ]
    got = read(candidate("As an", finish, finishMessage="Not this.", safetyRatings=ratings))
    assert got.finish_reason is FinishReason.REFUSED
    assert got.text == f"As an\nanswer blocked: {finish}: Not this. (HARM_CATEGORY_DANGEROUS_CONTENT HIGH)"


def test_a_blocked_prompt_is_a_refusal_and_its_tokens_count():
    got = read(
        {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 258, "totalTokenCount": 258},
        }
    )
    assert (got.text, got.finish_reason) == ("prompt blocked: PROHIBITED_CONTENT", FinishReason.REFUSED)
    assert got.usage.prompt_tokens == 258


@pytest.mark.parametrize("body", [{}, {"candidates": []}, {"candidates": [{"content": {"parts": []}}]}])
def test_a_reply_without_candidate_or_end_is_asked_for_again(body):
    with pytest.raises(ProviderError) as failed:
        read(body)
    assert failed.value.kind is Kind.NO_ANSWER


@pytest.mark.parametrize("finish", ["OTHER", "LANGUAGE", "MALFORMED_FUNCTION_CALL", "OF_A_LATER_RELEASE"])
def test_an_answer_broken_off_is_none_and_the_reason_is_named(candidate, finish):
    with pytest.raises(ProviderError, match=f"broke off: {finish}: Why") as failed:
        read(candidate("A", finish, finishMessage="Why"))
    assert failed.value.kind is Kind.REQUEST


@pytest.mark.parametrize("body", [[], "A", None, {"candidates": {}}, {"candidates": [{"content": "A"}]}])
def test_a_body_of_another_shape_is_a_value_error_which_means_ask_again(body):
    with pytest.raises(ValueError) as told:
        read(body)
    assert "has another form than in Gemini's API" in str(told.value)
    assert "pydantic" not in str(told.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"usageMetadata": None, "promptFeedback": None},
        {"usageMetadata": {"promptTokenCount": None}, "error": None},
    ],
)
def test_null_is_a_fields_default(candidate, fields):
    body = candidate("A", safetyRatings=None, logprobsResult=None, finishMessage=None) | fields
    body["candidates"][0]["content"]["parts"][0] |= {"thought": None, "functionCall": None}
    got = _read(body)
    assert (got.text, got.finish_reason, got.usage) == ("A", FinishReason.STOP, Usage())


def _read(body):
    return GeminiDialect(GeminiOptions(model="m")).read(body, Wanted(Generation()))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": 503, "message": "The model is overloaded."}}, Kind.PASSING),
        ([{"error": {"code": 400, "message": "The model is overloaded."}}], Kind.REQUEST),
        ({"error": {"message": "The model is overloaded."}}, Kind.PASSING),
    ],
)
def test_an_error_with_a_status_of_success_is_an_error_in_the_providers_words(body, kind):
    with pytest.raises(ProviderError, match=r"^The model is overloaded\.$") as told:
        _read(body)
    assert told.value.kind is kind


def test_a_call_of_a_function_is_no_answer_and_names_the_function(candidate):
    body = candidate("")
    body["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": "zoom", "args": {}}}]
    with pytest.raises(ProviderError, match=r"called a function and gave no answer: zoom$") as told:
        read(body)
    assert told.value.kind is Kind.REQUEST
    body["candidates"][0]["content"]["parts"] += [{"text": "A"}]
    assert read(body).text == "A"


def test_tokens_are_counted_thoughts_as_part_of_the_completion(candidate):
    body = candidate()
    body["usageMetadata"] = {
        "promptTokenCount": 1040,
        "cachedContentTokenCount": 512,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 90,
        "totalTokenCount": 1133,
    }
    assert read(body).usage == Usage(1040, 93, 512, 90)


@pytest.mark.parametrize("count", [-1, 2**40, 10.5, "ten", [1], {"n": 1}])
def test_a_count_that_is_none_is_0_and_costs_no_answer(candidate, count):
    counts = {"promptTokenCount": count, "candidatesTokenCount": "7", "thoughtsTokenCount": count}
    got = read(candidate() | {"usageMetadata": counts})
    assert (got.text, got.usage) == ("A", Usage(0, 7))


def test_a_sum_of_counts_that_cannot_be_sent_is_0(candidate):
    counts = {"candidatesTokenCount": 2**32 - 1, "thoughtsTokenCount": 1}
    assert read(candidate() | {"usageMetadata": counts}).usage == Usage(0, 0, 0, 1)


def scored(candidate, *tokens, **fields):
    """A reply whose first position lists these (token, probability)."""
    listed = [{"token": token, "logProbability": math.log(chance)} for token, chance in tokens]
    later = [{"token": "D", "logProbability": 0.0}]
    return candidate(
        logprobsResult={"topCandidates": [{"candidates": listed}, {"candidates": later}]}, **fields
    )


def test_a_letters_score_sums_the_tokens_that_spell_it_at_the_first_position(candidate):
    body = scored(candidate, ("A", 0.5), (" A", 0.2), ("B", 0.1), ("b", 0.1), ("Answer", 0.05), ("B\n", 0.02))
    scores = {each.letter: each.log_probability for each in read(body, "ABD").option_scores}
    assert scores["A"] == pytest.approx(math.log(0.7))
    assert scores["B"] == pytest.approx(math.log(0.1))
    assert scores["D"] is None  # not among those listed


@pytest.mark.parametrize("value", ["-Infinity", "NaN", None])
def test_a_probability_that_the_api_leaves_out_or_writes_as_no_number_is_unknown(candidate, value):
    listed = [{"token": "A", **({} if value is None else {"logProbability": value})}]
    body = candidate(logprobsResult={"topCandidates": [{"candidates": listed}]})
    assert read(body, "A").option_scores == (OptionScore("A", None),)


def test_there_are_no_scores_after_thoughts_in_refusals_or_where_none_were_wanted(candidate):
    tokens = [("A", 0.5)]
    assert read(scored(candidate, *tokens), "A").option_scores
    assert not read(scored(candidate, *tokens, thoughts="Hm"), "A").option_scores
    assert not read(scored(candidate, *tokens, finish="SAFETY"), "A").option_scores
    assert not read(scored(candidate, *tokens)).option_scores
    hidden = scored(candidate, *tokens)
    hidden["usageMetadata"]["thoughtsTokenCount"] = 7
    assert not read(hidden, "A").option_scores
