"""What goes through together; out of memory, that is halved, and what does not fit alone fails by name."""

import collections
import concurrent.futures
from pathlib import Path

import pytest

from mmad.answer.v1 import answer_pb2 as pb

FOLDER = Path(__file__).parent / "short_of_memory"
NAMES = ("one_shot", "two_shots", "another_query", "text_only")
QUESTIONS = 3 + 3 + 3 + 2
MOST_TOKENS = 2000
"""None of the requests takes so many."""


@pytest.fixture(scope="module")
def short_of_memory(tiny, running):
    """Start `qwen_vl` with room for so much; four inspections that come together go through together."""

    def start(*room):
        options = ("--dtype", "float32", "--batch-size", "4", "--batch-wait-ms", "1000", *room)
        return running("qwen_vl", "--checkpoint", tiny("qwen2_5_vl"), *options, folder=FOLDER)

    return start


@pytest.fixture(
    scope="module", params=[(), ("--no-share-prefix",)], ids=["prefix_shared", "prefix_not_shared"]
)
def shares(request):
    """The options, of which prefixes are shared or not."""
    return request.param


@pytest.fixture(scope="module")
def service(short_of_memory, shares):
    """Room for all requests as they are."""
    with short_of_memory("--most-tokens", str(MOST_TOKENS), *shares) as started:
        yield started


@pytest.fixture(scope="module")
def expected(service, requests):
    """What the named requests are answered, one after the other."""
    return {name: service.ask(requests[name]) for name in (*NAMES, "history", "one_analysis")}


@pytest.fixture
def too_long(requests):
    """An inspection that fits but for its second question, and one that does not fit at all."""
    for_one, for_all = pb.AnswerRequest(), pb.AnswerRequest()
    for_one.CopyFrom(requests["one_shot"])
    for_all.CopyFrom(requests["one_shot"])
    for_one.questions[1].text = "Is there a scratch? " * 250
    for_all.domain_knowledge = "Scratches are usual. " * 250
    return [for_one, for_all]


def together(service, requests):
    """Send four requests at the same time; their responses."""
    assert len(requests) == 4
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(service.ask, requests))


def texts(responses):
    return {question: response.answered.text for question, response in responses.items()}


def rows(service):
    """Of each call of the model's `generate` until now: how many texts it was to go on with."""
    lines = service.log.read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("generate ")]


@pytest.mark.parametrize(
    ("options", "of_one", "of_four"),
    [
        ((), [1, 3], [4, QUESTIONS]),
        (("--no-batch-questions",), [1, 1, 1, 1], [4, *[1] * QUESTIONS]),
        (("--no-share-prefix",), [3, 3], [QUESTIONS, QUESTIONS]),
        (("--no-share-prefix", "--no-batch-questions"), [1, 1] * 3, [1, 1] * QUESTIONS),
    ],
    ids=["as_it_is_started", "one_by_one", "no_shared_prefix", "nothing_together"],
)
def test_questions_and_inspections_go_through_the_model_together_as_the_options_say(
    short_of_memory, requests, options, of_one, of_four
):
    """First what is shared by an inspection's questions, or each question's own prompt; then the answers."""
    with short_of_memory(*options) as service:
        before = len(rows(service))
        service.ask(requests["two_shots"])
        between = len(rows(service))
        together(service, [requests[name] for name in NAMES])
        calls = rows(service)
    assert calls[before:between] == of_one
    assert calls[between:] == of_four


@pytest.mark.parametrize("shares", [()], indirect=True, ids=["prefix_shared"])
def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_every_text_stays_the_same(
    short_of_memory, requests, service, expected
):
    with short_of_memory("--most-rows", "1") as limited:
        before = len(rows(limited))
        answered = together(limited, [requests[name] for name in NAMES])
        calls = rows(limited)[before:]
    assert dict(zip(NAMES, map(texts, answered), strict=True)) == {
        name: texts(expected[name]) for name in NAMES
    }
    # The prefixes of four inspections and of two, then of one; three texts or two, then one by one.
    assert calls[0] == 4
    assert collections.Counter(calls) == {4: 1, 3: 3, 2: 2 + 3 + 1, 1: 4 + QUESTIONS}


def test_what_does_not_fit_alone_fails_by_name_and_its_neighbours_do_not(
    short_of_memory, requests, shares, expected
):
    lengths = {
        (name, question): response.answered.usage.prompt_tokens
        for name in NAMES
        for question, response in expected[name].items()
    }
    room = max(lengths.values()) - 10
    too_long = [key for key, length in lengths.items() if length > room]
    with short_of_memory("--most-tokens", str(room), *shares) as limited:
        for _ in range(2):  # the service stays up, and as good as before
            answered = dict(zip(NAMES, together(limited, [requests[name] for name in NAMES]), strict=True))
            failed = {
                (name, question): response.failure.reason
                for name, responses in answered.items()
                for question, response in responses.items()
                if response.HasField("failure")
            }
            assert failed == dict.fromkeys(too_long, pb.FAILURE_REASON_OUT_OF_MEMORY)


@pytest.mark.parametrize("neighbour", [0, 1], ids=["but_for_a_question", "at_all"])
def test_a_dialogue_goes_on_beside_an_inspection_that_does_not_fit(
    service, requests, expected, too_long, neighbour
):
    """Its further questions come in later steps, after the ones that fail."""
    names = ("history", "one_analysis", "two_shots")
    *answered, unfit = together(service, [*(requests[name] for name in names), too_long[neighbour]])
    assert list(map(texts, answered)) == [texts(expected[name]) for name in names]
    failed = {
        question: response.failure.reason
        for question, response in unfit.items()
        if response.HasField("failure")
    }
    assert failed == dict.fromkeys([("q2",), ("q1", "q2", "q3")][neighbour], pb.FAILURE_REASON_OUT_OF_MEMORY)
