"""What comes through a service is what the library says, token for token, whatever goes through together."""

import concurrent.futures
import json

import pytest

from mmad.answer.v1 import answer_pb2 as pb

WAYS = {
    "as_it_is_started_inspections_batched": ("--batch-wait-ms", "200"),
    "prefix_shared_questions_one_by_one": ("--no-batch-questions",),
    "questions_batched_no_shared_prefix": ("--no-share-prefix",),
    "nothing_together": ("--no-share-prefix", "--no-batch-questions", "--feature-cache-mib", "0"),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def way(request):
    """The options."""
    return request.param


@pytest.fixture(scope="module")
def service(way, checkpoint, running):
    options = ("--checkpoint", checkpoint.folder, "--dtype", "float32", "--max-queue", "64", *way)
    with running(checkpoint.service, *options) as started:
        yield started


def differences(responses, expected):
    """What a request's responses say differently from the library: {question id: (ours, the library's)}."""
    found = {}
    for question_id, said in expected.items():
        answered = responses[question_id].answered
        ours = (
            answered.text,
            answered.usage.completion_tokens,
            answered.usage.prompt_tokens,
            answered.finish_reason == pb.FINISH_REASON_STOP,
            answered.reasoning,
        )
        theirs = tuple(said[key] for key in ("text", "tokens", "prompt_tokens", "ended", "analysis"))
        if responses[question_id].HasField("failure") or ours != theirs:
            found[question_id] = (str(responses[question_id].failure) or ours, theirs)
    return found


@pytest.fixture(scope="module")
def alone(service, requests):
    """What the service says to each request when nothing else is under way."""
    return {name: service.ask(request) for name, request in requests.items()}


def test_each_text_is_the_librarys_when_an_inspection_comes_alone(alone, library):
    found = {name: differences(responses, library[name]) for name, responses in alone.items()}
    assert not {name: each for name, each in found.items() if each}


def test_option_scores_are_those_of_the_logits_over_all_tokens_that_spell_a_letter(alone, library):
    for name, responses in alone.items():
        for question_id, response in responses.items():
            scores = {each.letter: each.log_probability for each in response.answered.option_scores}
            expected = library[name][question_id]["scores"]
            assert scores == pytest.approx({letter: expected[letter] for letter in scores}, abs=1e-5)
            assert "".join(scores) == (
                "" if name == "thoughts_in_each_answer" else "ABCD"
            )  # thoughts come first


def test_another_query_another_template_or_another_order_changes_the_scores(alone):
    variants = ("two_shots", "another_query", "another_template", "templates_swapped", "one_shot")
    scores = [
        tuple(round(each.log_probability, 4) for each in alone[name]["q1"].answered.option_scores)
        for name in variants
    ]
    assert len(set(scores)) == len(variants)


def test_each_text_is_the_librarys_among_other_inspections(service, requests, library):
    """Of other sizes, with other images: what one leaves behind on the model must not reach the next."""
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        answered = dict(zip(requests, pool.map(service.ask, requests.values()), strict=True))
    found = {name: differences(responses, library[name]) for name, responses in answered.items()}
    assert not {name: each for name, each in found.items() if each}


def test_the_first_text_of_an_inspection_pays_for_what_all_share_and_the_others_count_it_as_cached(
    alone, requests, way
):
    """With an analysis, that is the first. Without a shared prefix, nothing is cached."""
    for name, request in requests.items():
        usages = [alone[name][each.question_id].answered.usage for each in request.questions]
        cached = [each.cached_prompt_tokens for each in usages]
        analysed = request.prompting.chain_of_thought == pb.CHAIN_OF_THOUGHT_PER_INSPECTION
        paid = int(not analysed or bool(request.analysis))
        if "--no-share-prefix" in way:
            assert (name, set(cached)) == (name, {0})
            continue
        assert (name, cached[:paid]) == (name, [0] * paid)
        assert (name, len(set(cached[paid:]))) == (name, min(1, len(cached[paid:])))
        assert all(0 < each.cached_prompt_tokens < each.prompt_tokens for each in usages[paid:]), (
            name,
            usages,
        )


def test_the_card_names_a_repetition_penalty_of_the_checkpoints_own(service, checkpoint):
    own = json.loads((checkpoint.folder / "generation_config.json").read_text()).get("repetition_penalty")
    expected = {"repetition_penalty": str(own)} if own not in (None, 1.0) else {}
    settings = service.card().settings
    assert {name: settings[name] for name in settings if name == "repetition_penalty"} == expected
