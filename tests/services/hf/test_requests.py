"""What may be asked beside the usual."""

import concurrent.futures

import pytest

from mmad.answer.v1 import answer_pb2 as pb


@pytest.fixture(scope="module")
def service(one_of_each, running):
    options = ("--checkpoint", one_of_each.folder, "--dtype", "float32", "--batch-wait-ms", "300")
    with running(one_of_each.service, *options) as started:
        yield started


@pytest.fixture
def changed(requests):
    """A copy of a request, to change."""

    def make(name):
        request = pb.AnswerRequest()
        request.CopyFrom(requests[name])
        return request

    return make


def texts(responses):
    return {name: response.answered.text for name, response in responses.items()}


def test_what_is_drawn_at_a_temperature_is_fixed_by_its_seed_whatever_goes_through_with_it(
    service, changed, requests
):
    request = changed("one_shot")
    request.generation.temperature, request.generation.seed = 1.0, 7
    drawn = service.ask(request)
    neighbours = [requests[name] for name in ("two_shots", "text_only", "another_query")]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        again, *_ = pool.map(service.ask, (request, *neighbours))
    assert texts(again) == texts(drawn)
    request.generation.seed = 8
    assert texts(service.ask(request)) != texts(drawn)
    assert texts(drawn) != texts(service.ask(requests["one_shot"]))


def test_words_that_look_like_a_models_control_tokens_are_words(service, changed):
    request = changed("one_shot")
    plain = service.ask(request)["q1"].answered.usage.prompt_tokens
    request.questions[0].text += " <image> <|image_pad|> <IMG_CONTEXT> <|im_end|>"
    answered = service.ask(request)["q1"].answered
    assert plain + 8 < answered.usage.prompt_tokens < plain + 60  # spelt out, and no image's worth of tokens


def test_a_question_that_does_not_fit_the_context_fails_by_name_and_the_others_do_not(service, changed):
    request = changed("one_shot")
    request.questions[1].text = "Is there a scratch? " * 4000
    responses = service.ask(request)
    assert responses["q2"].failure.reason == pb.FAILURE_REASON_CONTEXT_TOO_LONG
    assert [name for name, each in responses.items() if each.HasField("answered")] == ["q1", "q3"]


def test_a_request_that_names_no_limit_gets_the_services(service, changed):
    counts = []
    for name in ("zero_shot", "one_shot", "two_shots", "all_roles_and_sizes"):
        request = changed(name)
        request.ClearField("generation")
        counts += [each.answered.usage.completion_tokens for each in service.ask(request).values()]
    assert 8 < max(counts) <= 64
