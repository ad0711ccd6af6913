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


def test_each_text_is_the_librarys_when_an_inspection_comes_alone(service, requests, library):
    found = {name: differences(service.ask(request), library[name]) for name, request in requests.items()}
    assert not {name: each for name, each in found.items() if each}


def test_each_text_is_the_librarys_among_other_inspections(service, requests, library):
    """Of other sizes, with other images: what one leaves behind on the model must not reach the next."""
    names = [*requests, *reversed(requests)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        answered = list(pool.map(lambda name: service.ask(requests[name]), names))
    found = [(name, differences(each, library[name])) for name, each in zip(names, answered, strict=True)]
    assert not [each for each in found if each[1]]


def test_option_scores_are_those_of_the_logits_over_all_tokens_that_spell_a_letter(
    service, requests, library
):
    for name, request in requests.items():
        for question_id, response in service.ask(request).items():
            expected = library[name][question_id]["scores"]
            scores = {each.letter: each.log_probability for each in response.answered.option_scores}
            if request.prompting.chain_of_thought == pb.CHAIN_OF_THOUGHT_PER_QUESTION:
                assert not scores  # its first words are thoughts
            else:
                assert scores == pytest.approx({letter: expected[letter] for letter in "ABCD"}, abs=1e-5)
