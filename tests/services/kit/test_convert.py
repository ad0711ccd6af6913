import threading

import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import convert
from mmad_answer import model as m


def test_a_request_arrives_whole(ask):
    stopped = threading.Event()
    turn = pb.Turn(question=ask(questions=("q0",)).questions[0], answer="B")
    request = ask(
        "part-7",
        ("q1", "q2"),
        domain_knowledge="bottles",
        prompting=pb.Prompting(
            instruction="Be exact.",
            conversation_history=True,
            chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION,
        ),
        generation=pb.Generation(
            max_new_tokens=9,
            temperature=0.5,
            top_p=0.25,
            seed=3,
            option_scores=True,
            max_reasoning_tokens=77,
            return_prompt=True,
            anomaly_map=True,
        ),
        history=[turn],
        analysis="a scratch",
    )
    got = convert.inspection(request, [], stopped)
    assert (got.inspection_id, got.domain_knowledge, got.instruction) == ("part-7", "bottles", "Be exact.")
    assert (got.conversation_history, got.analysis) == (True, "a scratch")
    assert got.chain_of_thought is m.ChainOfThought.PER_INSPECTION
    assert got.generation == m.Generation(9, 0.5, 0.25, 3, True, 77, True, True)
    assert [question.question_id for question in got.questions] == ["q1", "q2"]
    assert got.questions[0].options[1] == m.Option("B", "B")
    assert got.history[0].question.question_id == "q0"
    assert got.history[0].answer == "B"
    assert got.stopped is stopped


def test_what_the_caller_left_open_is_none_and_zero_is_zero(ask):
    assert convert.inspection(ask(), [], threading.Event()).generation == m.Generation()
    explicit = ask(generation=pb.Generation(temperature=0, seed=0))
    got = convert.inspection(explicit, [], threading.Event()).generation
    assert (got.temperature, got.seed) == (0.0, 0)


def test_an_answer_leaves_whole():
    answer = m.Answer(
        "B: a scratch",
        finish_reason=m.FinishReason.LENGTH,
        option_scores=(m.OptionScore("A", -1.5), m.OptionScore("B", None)),
        usage=m.Usage(10, 2, 8, 1),
        reasoning="hm",
        prompt="<image>?",
        images=(m.ImageRecord(448, 336, 256),),
        encode_seconds=0.5,
        generate_seconds=2.0,
        anomaly_map=b"png",
    )
    inspection = m.Inspection("i", (), ())
    got = convert.response(m.Reply(inspection, "q", answer), queue_seconds=1.0, decode_seconds=0.25)
    assert got == pb.AnswerResponse(
        question_id="q",
        answered=pb.Answered(
            text="B: a scratch",
            finish_reason=pb.FINISH_REASON_LENGTH,
            option_scores=[
                pb.OptionScore(letter="A", log_probability=-1.5),
                pb.OptionScore(letter="B"),
            ],
            usage=pb.Usage(prompt_tokens=10, completion_tokens=2, cached_prompt_tokens=8, reasoning_tokens=1),
            reasoning="hm",
            prompt="<image>?",
            images=[pb.ImageRecord(width=448, height=336, tokens=256)],
            anomaly_map=b"png",
        ),
        timing=pb.Timing(queue_seconds=1.0, encode_seconds=0.75, generate_seconds=2.0),
    )
    assert not got.answered.option_scores[1].HasField("log_probability")


@pytest.mark.parametrize("reason", m.FailureReason)
def test_each_failure_reason_has_its_counterpart(reason):
    failure = m.Failure(reason, "why")
    got = convert.response(m.Reply(m.Inspection("i", (), ()), "q", failure), 0, 0)
    assert pb.FailureReason.Name(got.failure.reason) == f"FAILURE_REASON_{reason.name}"
    assert got.failure.message == "why"


@pytest.mark.parametrize("reason", m.FinishReason)
def test_each_finish_reason_has_its_counterpart(reason):
    answer = m.Answer("A", finish_reason=reason)
    got = convert.response(m.Reply(m.Inspection("i", (), ()), "q", answer), 0, 0)
    assert pb.FinishReason.Name(got.answered.finish_reason) == f"FINISH_REASON_{reason.name}"


@pytest.mark.parametrize("name", ["ImageRole", "ChainOfThought"])
def test_every_value_of_the_contract_that_can_be_asked_is_known(name):
    table = {"ImageRole": convert.ROLES, "ChainOfThought": convert._CHAINS}[name]
    wire = set(getattr(pb, name).values()) - ({0} if name == "ImageRole" else set())
    assert set(table) == wire
    assert set(table.values()) == set(getattr(m, name))


def test_a_card_is_told_with_what_the_server_adds():
    card = m.Card(
        "n",
        "f",
        checkpoint="c",
        revision="r",
        quantization="4bit",
        device="cuda:0",
        max_images=2,
        max_image_pixels=100,
        capabilities=m.Capabilities(text_only=True, anomaly_map=True),
        environment={"torch": "2.13.0", "python": "mine"},
        prompt_sha256="ab",
        settings={"dtype": "bfloat16"},
        notes=("slow",),
    )
    got = convert.card(
        card,
        state=pb.STATE_READY,
        state_detail="ready",
        max_in_flight=9,
        max_request_bytes=1000,
        environment={"python": "3.11", "grpcio": "1.80.1"},
    )
    assert got == pb.GetModelResponse(
        name="n",
        family="f",
        checkpoint="c",
        revision="r",
        quantization="4bit",
        device="cuda:0",
        limits=pb.Limits(max_images=2, max_in_flight=9, max_request_bytes=1000, max_image_pixels=100),
        capabilities=pb.Capabilities(text_only=True, anomaly_map=True),
        environment={"torch": "2.13.0", "python": "mine", "grpcio": "1.80.1"},
        prompt_sha256="ab",
        state=pb.STATE_READY,
        state_detail="ready",
        settings={"dtype": "bfloat16"},
        notes=["slow"],
    )
