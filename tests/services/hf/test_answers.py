"""What comes through a service is what the library says, token for token, whatever goes through together."""

import concurrent.futures

import pytest

from mmad.answer.v1 import answer_pb2 as pb

WAYS = {
    "as_it_is_started": (),
    "prefix_shared_questions_one_by_one": ("--no-batch-questions",),
    "questions_batched_no_shared_prefix": ("--no-share-prefix",),
    "nothing_together": ("--no-share-prefix", "--no-batch-questions", "--feature-cache-mib", "0"),
    "inspections_batched": ("--batch-size", "4", "--batch-wait-ms", "200"),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def service(request, checkpoint, running):
    options = ("--checkpoint", checkpoint.folder, "--dtype", "float32", "--max-queue", "64", *request.param)
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
