import grpc
import pytest
from google.rpc import error_details_pb2

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.checks import check_request
from mmad_answer.model import Capabilities, Card
from mmad_answer.refusal import RefusalError

PNG = b"never looked at here"
ABLE = Card(
    "able",
    "test",
    max_images=3,
    capabilities=Capabilities(
        option_scores=True,
        conversation_history=True,
        chain_of_thought=True,
        text_only=True,
        anomaly_map=True,
    ),
)
UNABLE = Card("unable", "test")


def violations(request, card=ABLE):
    """{field: reason} of the BadRequest that a request gets."""
    with pytest.raises(RefusalError) as refused:
        check_request(request, card)
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    (details,) = refused.value.details
    assert isinstance(details, error_details_pb2.BadRequest)
    return {each.field: each.description for each in details.field_violations}


def test_a_good_request_passes(ask):
    check_request(ask(images=[PNG, PNG]), ABLE)
    check_request(ask(), ABLE)
    check_request(ask(images=[PNG]), UNABLE)


def test_no_question_is_refused(ask):
    assert set(violations(ask(questions=()))) == {"questions"}


def test_a_question_id_that_is_empty_or_there_twice_is_refused(ask):
    assert set(violations(ask(questions=("q", "", "q")))) == {
        "questions[1].question_id",
        "questions[2].question_id",
    }


def test_no_option_is_refused(ask):
    request = ask(questions=("q1", "q2"))
    del request.questions[1].options[:]
    assert set(violations(request)) == {"questions[1].options"}


def test_a_letter_there_twice_is_refused(ask):
    request = ask()
    request.questions[0].options[3].letter = "B"
    assert violations(request) == {"questions[0].options[3].letter": "'B' is there twice"}


@pytest.mark.parametrize("letter", ["", "a", "AB", "1", "É", "\uff21"])
def test_a_letter_that_is_not_one_capital_is_refused(ask, letter):
    request = ask()
    request.questions[0].options[0].letter = letter
    assert set(violations(request)) == {"questions[0].options[0].letter"}


def test_questions_of_the_history_are_checked_too(ask):
    request = ask(prompting=pb.Prompting(conversation_history=True), history=[pb.Turn(answer="A")])
    assert set(violations(request)) == {"history[0].question.options"}


def test_more_images_than_the_model_takes_are_refused_with_both_numbers(ask):
    assert violations(ask(images=[PNG] * 4)) == {"images": "4 images, and this model takes at most 3"}


@pytest.mark.parametrize(
    ("role", "said"), [(pb.IMAGE_ROLE_UNSPECIFIED, "is unspecified"), (77, "77 is unknown")]
)
def test_a_role_that_is_none_is_refused_and_named(ask, role, said):
    request = ask(images=[PNG, PNG])
    request.images[0].role = role
    assert violations(request) == {"images[0].role": said}


@pytest.mark.parametrize(
    "roles",
    [
        [pb.IMAGE_ROLE_QUERY, pb.IMAGE_ROLE_NORMAL_TEMPLATE, pb.IMAGE_ROLE_QUERY],
        [pb.IMAGE_ROLE_NORMAL_TEMPLATE, pb.IMAGE_ROLE_DEFECT_EXAMPLE],
        [pb.IMAGE_ROLE_NORMAL_TEMPLATE],
    ],
)
def test_images_without_exactly_one_query_among_them_are_refused(ask, roles):
    request = ask(images=[PNG] * len(roles))
    for image, role in zip(request.images, roles, strict=True):
        image.role = role
    assert set(violations(request)) == {"images"}


def test_a_hint_that_does_not_say_how_it_is_drawn_is_refused(ask):
    request = ask(images=[PNG, PNG])
    request.images[0].role = pb.IMAGE_ROLE_EXPERT_HINT
    assert set(violations(request)) == {"images[0].caption"}
    request.images[0].caption = "the anomaly map's contour, in red"
    check_request(request, ABLE)


def test_no_image_is_refused_by_a_model_that_needs_one(ask):
    assert set(violations(ask(), UNABLE)) == {"images"}


def test_history_goes_only_with_conversation_history(ask):
    turn = pb.Turn(question=ask().questions[0], answer="A")
    assert set(violations(ask(history=[turn]))) == {"history"}
    check_request(ask(history=[turn], prompting=pb.Prompting(conversation_history=True)), ABLE)


def test_an_analysis_goes_only_with_one_thought_per_inspection(ask):
    per_question = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_QUESTION)
    assert set(violations(ask(analysis="...", prompting=per_question))) == {"analysis"}
    per_inspection = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION)
    check_request(ask(analysis="...", prompting=per_inspection), ABLE)


def test_a_chain_of_thought_of_a_later_contract_is_refused(ask):
    assert set(violations(ask(prompting=pb.Prompting(chain_of_thought=9)))) == {"prompting.chain_of_thought"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_new_tokens", 0),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_p", 1.1),
    ],
)
def test_generation_settings_that_make_no_sense_are_refused(ask, field, value):
    assert set(violations(ask(generation=pb.Generation(**{field: value})))) == {f"generation.{field}"}


def test_everything_that_is_wrong_is_named_at_once_and_the_message_says_so(ask):
    request = ask(questions=("q", "q"), images=[PNG] * 4, analysis="...")
    with pytest.raises(RefusalError, match=r"questions\[1\].question_id: .* \(and 2 more\)"):
        check_request(request, ABLE)
    assert set(violations(request)) == {"questions[1].question_id", "images", "analysis"}


@pytest.mark.parametrize(
    ("fields", "capability"),
    [
        ({"generation": pb.Generation(option_scores=True)}, "option scores"),
        ({"generation": pb.Generation(anomaly_map=True)}, "an anomaly map"),
        ({"prompting": pb.Prompting(conversation_history=True)}, "conversation history"),
        (
            {"prompting": pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_QUESTION)},
            "chain of thought",
        ),
    ],
)
def test_a_capability_that_the_model_lacks_is_a_failed_precondition(ask, fields, capability):
    request = ask(images=[PNG], **fields)
    check_request(request, ABLE)
    with pytest.raises(RefusalError, match=capability) as refused:
        check_request(request, UNABLE)
    assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
