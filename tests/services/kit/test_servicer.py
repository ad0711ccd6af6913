"""What is refused, with which status and details, over a real channel."""

import grpc
from google.rpc import error_details_pb2

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.model import Capabilities, Card


async def test_a_bad_request_names_its_field(serve, scripted, ask, encoded):
    model = scripted()
    served = await serve(model)
    images = [encoded(), encoded(), b"not an image"]
    code, message, details = await served.refusal(served.stub.Answer(ask(images=images)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = details[error_details_pb2.BadRequest].field_violations
    assert violation.field == "images[2].content"
    assert violation.field in message
    assert model.batches == []


async def test_a_truncated_image_is_found_before_the_model_sees_it(serve, scripted, ask, encoded):
    model = scripted()
    served = await serve(model)
    whole = encoded(size=(300, 300))
    code, message, details = await served.refusal(
        served.stub.Answer(ask(images=[whole, whole[: len(whole) // 2]]))
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "truncated" in message
    (violation,) = details[error_details_pb2.BadRequest].field_violations
    assert violation.field == "images[1].content"
    assert model.batches == []
    await served.until(lambda: served.admission.in_flight == 0)


async def test_a_capability_that_is_lacking_is_a_failed_precondition(serve, scripted, ask):
    card = Card("unable", "test", capabilities=Capabilities(text_only=True))
    served = await serve(scripted(card=card))
    code, message, _ = await served.refusal(
        served.stub.Answer(ask(generation=pb.Generation(option_scores=True)))
    )
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "option scores" in message


async def test_a_full_queue_says_when_to_come_again_and_takes_the_next_when_there_is_room(
    serve, scripted, ask
):
    model = scripted()
    model.gate.clear()
    served = await serve(model, max_queue=2)
    limit = (await served.stub.GetModel(pb.GetModelRequest())).limits.max_in_flight
    assert limit == 3
    calls = [served.stub.Answer(ask(str(i))) for i in range(limit)]
    await served.until(lambda: served.admission.in_flight == limit)
    code, _, details = await served.refusal(served.stub.Answer(ask("too many")))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details[error_details_pb2.RetryInfo].retry_delay.ToTimedelta().total_seconds() > 0
    model.gate.set()
    for call in calls:
        assert await served.answers(call) == [("q1", "A")]
    await served.until(lambda: served.admission.in_flight == 0)
    assert await served.answers(served.stub.Answer(ask("next"))) == [("q1", "A")]
    assert "too many" not in model.seen


async def test_a_message_over_the_limit_is_resource_exhausted_without_retry_info(serve, scripted, ask):
    model = scripted()
    served = await serve(model, max_request_bytes=10_000)
    assert (await served.stub.GetModel(pb.GetModelRequest())).limits.max_request_bytes == 10_000
    code, _, details = await served.refusal(served.stub.Answer(ask(domain_knowledge="x" * 20_000)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_details_pb2.RetryInfo not in details
    assert await served.answers(served.stub.Answer(ask(domain_knowledge="x" * 9_000))) == [("q1", "A")]


async def test_a_request_of_nearly_64_mib_is_accepted_by_default(serve, scripted, ask):
    served = await serve(scripted())
    request = ask(domain_knowledge="x" * (64 * 2**20 - 1000))
    assert await served.answers(served.stub.Answer(request)) == [("q1", "A")]
