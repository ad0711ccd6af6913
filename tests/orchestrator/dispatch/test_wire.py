"""The contract's messages and the vocabulary, each from the other."""

import dataclasses
import math

import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.dispatch import Prompting, wire
from orchestrator.options import ChainOfThought
from orchestrator.vocabulary import ImageRecord, ImageReference, ImageRole, OptionScore, Timing, Usage


def request(house, prompting=None, **changes):
    inspection = dataclasses.replace(house.inspection("DS/part/good/000.png"), **changes)
    images = [
        (ImageReference(role, "p", "said of it"), b"\xff\xd8\xff" + role.encode()) for role in ImageRole
    ]
    return wire.answer_request(inspection, images, inspection.questions, (), "", prompting or Prompting())


async def test_a_request_carries_the_inspection_whole(house):
    message = request(house, domain_knowledge="bottles break", seed=2**63)
    assert message.inspection_id == "DS/part/good/000.png"
    assert message.domain_knowledge == "bottles break"
    assert message.generation.seed == 2**63
    assert [image.role for image in message.images] == [
        pb.IMAGE_ROLE_QUERY,
        pb.IMAGE_ROLE_NORMAL_TEMPLATE,
        pb.IMAGE_ROLE_DEFECT_EXAMPLE,
        pb.IMAGE_ROLE_EXPERT_HINT,
    ]
    assert {(image.media_type, image.caption) for image in message.images} == {("image/jpeg", "said of it")}
    assert message.images[0].content == b"\xff\xd8\xffquery"
    assert [question.question_id for question in message.questions] == [
        f"DS/part/good/000.png#{n}" for n in range(3)
    ]
    assert [(o.letter, o.text) for o in message.questions[0].options] == [("A", "Yes"), ("B", "No")]


async def test_a_request_carries_the_prompting(house):
    message = request(
        house,
        Prompting(
            instruction="Look.",
            history=True,
            cot=ChainOfThought.INSPECTION,
            max_new_tokens=32,
            max_reasoning_tokens=64,
            temperature=0.5,
            option_scores=True,
            keep_prompts=True,
        ),
    )
    assert message.prompting == pb.Prompting(
        instruction="Look.",
        conversation_history=True,
        chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION,
    )
    assert message.generation == pb.Generation(
        max_new_tokens=32,
        max_reasoning_tokens=64,
        temperature=0.5,
        seed=7,
        option_scores=True,
        return_prompt=True,
    )


async def test_what_was_not_said_is_left_to_the_model_except_that_it_is_greedy(house):
    generation = request(house).generation
    assert not generation.HasField("max_new_tokens")
    assert not generation.HasField("max_reasoning_tokens")
    assert generation.HasField("temperature")
    assert generation.temperature == 0


def test_a_reply_carries_all_that_came_back():
    message = pb.AnswerResponse(
        question_id="q",
        answered=pb.Answered(
            text="B.",
            finish_reason=pb.FINISH_REASON_LENGTH,
            option_scores=[pb.OptionScore(letter="A", log_probability=-0.5), pb.OptionScore(letter="B")],
            usage=pb.Usage(prompt_tokens=4, completion_tokens=3, cached_prompt_tokens=2, reasoning_tokens=1),
            reasoning="hm",
            prompt="<image> Q",
            images=[pb.ImageRecord(width=448, height=336, tokens=256), pb.ImageRecord(width=1, height=2)],
        ),
        timing=pb.Timing(queue_seconds=1, encode_seconds=2, generate_seconds=3),
    )
    reply = wire.reply(message, 6.5)
    assert (reply.question_id, reply.text, reply.finish_reason, reply.failure) == ("q", "B.", "length", "")
    assert (reply.reasoning, reply.prompt, reply.seconds) == ("hm", "<image> Q", 6.5)
    assert reply.option_scores == (OptionScore("A", -0.5), OptionScore("B", None))
    assert reply.usage == Usage(4, 3, 2, 1)
    assert reply.images == (ImageRecord(448, 336, 256), ImageRecord(1, 2, 0))
    assert (reply.timing.queue_seconds, reply.timing.encode_seconds, reply.timing.generate_seconds) == (
        1,
        2,
        3,
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_no_journal_can_hold_are_left_out(number):
    message = pb.AnswerResponse(
        question_id="q",
        answered=pb.Answered(text="B", option_scores=[pb.OptionScore(letter="A", log_probability=number)]),
        timing=pb.Timing(queue_seconds=number, encode_seconds=number, generate_seconds=number),
    )
    reply = wire.reply(message, 1)
    assert reply.option_scores == (OptionScore("A", None),)
    assert reply.timing == Timing(0, 0, 0)


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (
            pb.Failure(reason=pb.FAILURE_REASON_PROVIDER, message="500\n twice"),
            "the provider gave up: 500 twice",
        ),
        (pb.Failure(reason=pb.FAILURE_REASON_OUT_OF_MEMORY), "out of memory"),
        (pb.Failure(), "the service failed"),
    ],
)
def test_a_failure_is_one_line_for_people(failure, text):
    assert wire.reply(pb.AnswerResponse(question_id="q", failure=failure), 0).failure == text


async def test_an_anomaly_map_is_asked_for_and_comes_back(house):
    assert request(house, Prompting(anomaly_map=True)).generation.anomaly_map
    assert not request(house).generation.anomaly_map
    answered = pb.Answered(text="A", anomaly_map=b"png")
    assert wire.reply(pb.AnswerResponse(question_id="q", answered=answered), 0).anomaly_map == b"png"


def test_a_response_without_an_outcome_is_a_failure_of_the_service():
    assert "broke the contract" in wire.reply(pb.AnswerResponse(question_id="q"), 0).failure


def test_a_card_carries_all_that_the_service_says():
    card = wire.model_card(
        pb.GetModelResponse(
            name="n",
            family="f",
            checkpoint="c",
            revision="r",
            quantization="4bit",
            device="cpu",
            limits=pb.Limits(max_images=1, max_in_flight=2, max_request_bytes=3, max_image_pixels=4),
            capabilities=pb.Capabilities(option_scores=True, text_only=True, anomaly_map=True),
            environment={"torch": "2"},
            prompt_sha256="p",
            state=pb.STATE_LOADING,
            state_detail="60 %",
            settings={"dtype": "bf16", "attention": "sdpa"},
            notes=["one image"],
        )
    )
    assert dataclasses.astuple(card.identity) == (
        "n", "f", "c", "r", "4bit", "p", (("attention", "sdpa"), ("dtype", "bf16")),
    )  # fmt: skip
    assert (card.max_images, card.max_in_flight, card.max_request_bytes, card.max_image_pixels) == (
        1,
        2,
        3,
        4,
    )
    assert (card.option_scores, card.text_only, card.chain_of_thought) == (True, True, False)
    assert card.anomaly_map
    assert (card.state, card.state_detail, card.notes) == ("loading", "60 %", ("one image",))


def test_nothing_that_a_service_says_of_itself_can_command_a_terminal():
    evil = "a\x1b[2J\x07b\r\nc\u202e"
    card = wire.model_card(
        pb.GetModelResponse(
            **dict.fromkeys(
                (
                    *("name", "family", "checkpoint", "revision", "quantization"),
                    *("device", "prompt_sha256", "state_detail"),
                ),
                evil,
            ),
            notes=[evil],
            settings={evil: evil},
            environment={evil: evil},
        )
    )
    said = list(_texts(dataclasses.astuple(card)))
    assert len([text for text in said if "[2J" in text]) == 13
    assert all(text.isprintable() for text in said)


def test_a_long_part_of_an_identity_is_not_cut():
    one, other = (
        wire.model_card(pb.GetModelResponse(settings={"prompt": "x" * 1000 + end})).identity for end in "ab"
    )
    assert one != other


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _texts(part)


def test_a_card_without_limits_gets_what_the_contract_promises():
    card = wire.model_card(pb.GetModelResponse(name="n"))
    assert (card.max_in_flight, card.max_request_bytes) == (1, 64 * 2**20)
