"""Out of memory: what goes through together is halved; what does not fit alone fails by name."""

import concurrent.futures
from pathlib import Path

import pytest

from mmad.answer.v1 import answer_pb2 as pb

FOLDER = Path(__file__).parent / "short_of_memory"
NAMES = ("one_shot", "two_shots", "another_query", "text_only")


@pytest.fixture
def short_of_memory(tiny, running):
    """Start `qwen_vl` with room for so much; inspections that come together go through together."""

    def start(*room):
        options = ("--dtype", "float32", "--batch-size", "4", "--batch-wait-ms", "500", *room)
        return running("qwen_vl", "--checkpoint", tiny("qwen2_5_vl"), *options, folder=FOLDER)

    return start


@pytest.fixture
def together(requests):
    """Ask the named requests at the same time."""

    def ask(service):
        with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
            return dict(zip(NAMES, pool.map(lambda name: service.ask(requests[name]), NAMES), strict=True))

    return ask


def texts(answered):
    return {
        name: {question: response.answered.text for question, response in responses.items()}
        for name, responses in answered.items()
    }


def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_every_text_stays_the_same(
    short_of_memory, together
):
    with short_of_memory() as service:
        expected = texts(together(service))
    with short_of_memory("--most-rows", "1") as service:
        assert texts(together(service)) == expected


def test_what_does_not_fit_alone_fails_by_name_and_its_neighbours_do_not(short_of_memory, together):
    with short_of_memory() as service:
        lengths = {
            (name, question): response.answered.usage.prompt_tokens
            for name, responses in together(service).items()
            for question, response in responses.items()
        }
    room = max(lengths.values()) - 10
    with short_of_memory("--most-tokens", str(room)) as service:
        for _ in range(2):  # the service stays up, and as good as before
            failed = {
                (name, question): response.failure.reason
                for name, responses in together(service).items()
                for question, response in responses.items()
                if response.HasField("failure")
            }
            too_long = [key for key, length in lengths.items() if length > room]
            assert failed == dict.fromkeys(too_long, pb.FAILURE_REASON_OUT_OF_MEMORY)
