"""What is refused, with which status and details, over a real channel."""

import grpc
from google.rpc import error_details_pb2

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import servicer
from mmad_answer.model import (
    Answer,
    BudgetSpentError,
    Capabilities,
    Card,
    PassingFaultError,
    Reply,
    UnusableError,
)


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


async def refused_by_model(serve, scripted, ask, fault):
    """What a call sees whose model answers one question and then raises `fault`."""

    def script(batch):
        yield Reply(batch[0], "q1", Answer("A"))
        raise fault

    served = await serve(scripted(script))
    responses = aiter(served.stub.Answer(ask(questions=("q1", "q2"))))
    assert (await anext(responses)).question_id == "q1"
    refusal = await served.refusal(responses)
    await served.until(lambda: served.admission.in_flight == 0)
    return refusal


async def test_a_models_passing_fault_is_unavailable(serve, scripted, ask):
    refusal = await refused_by_model(serve, scripted, ask, PassingFaultError("the provider is out of order"))
    assert refusal == (grpc.StatusCode.UNAVAILABLE, "the provider is out of order", {})


async def test_a_models_passing_fault_with_a_time_says_when_to_come_again(serve, scripted, ask):
    fault = PassingFaultError("the provider limits the rate", retry_seconds=7.5)
    code, message, details = await refused_by_model(serve, scripted, ask, fault)
    assert (code, message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "the provider limits the rate")
    assert details[error_details_pb2.RetryInfo].retry_delay.ToTimedelta().total_seconds() == 7.5


async def test_a_page_instead_of_a_message_does_not_burst_the_trailers(serve, scripted, ask):
    page = "服务器错误\n" * 10_000
    code, message, details = await refused_by_model(serve, scripted, ask, PassingFaultError(page, 7.5))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_details_pb2.RetryInfo in details
    assert message.startswith("服务器错误 服务器错误")
    assert len(message) == 300


async def test_a_spent_budget_is_a_failed_precondition_that_says_so(serve, scripted, ask):
    code, message, details = await refused_by_model(serve, scripted, ask, BudgetSpentError("no credit left"))
    assert (code, message) == (grpc.StatusCode.FAILED_PRECONDITION, "no credit left")
    info = details[error_details_pb2.ErrorInfo]
    assert (info.reason, info.domain) == ("BUDGET_SPENT", "mmad.answer.v1")


async def test_a_service_set_up_wrongly_is_a_failed_precondition_and_no_spent_budget(serve, scripted, ask):
    fault = UnusableError("the provider does not accept the key")
    code, message, details = await refused_by_model(serve, scripted, ask, fault)
    assert (code, message) == (grpc.StatusCode.FAILED_PRECONDITION, "the provider does not accept the key")
    assert error_details_pb2.ErrorInfo not in details


async def test_a_full_queue_refuses_before_the_message_is_read(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model, max_queue=0)
    working = served.stub.Answer(ask("working"))
    await model.has_begun()
    code, _, details = await served.refusal(served.without_a_message())
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_details_pb2.RetryInfo in details
    model.gate.set()
    assert await served.answers(working) == [("q1", "A")]


async def test_a_message_on_its_way_has_its_place_until_it_is_here_or_its_caller_gone(serve, scripted, ask):
    served = await serve(scripted(), max_queue=1)
    one, two = served.without_a_message(), served.without_a_message()
    await served.until(lambda: served.admission.arriving == 2)
    assert (await served.refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    await one.write(ask())
    assert await served.answers(one) == [("q1", "A")]
    two.cancel()
    await served.until(lambda: served.admission.arriving == 0)
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]


async def test_a_service_that_is_not_ready_refuses_before_the_message_is_read(serve, scripted):
    served = await serve(scripted(), loaded=False)
    assert (await served.refusal(served.without_a_message()))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_message_that_arrives_when_draining_has_begun_is_not_taken(serve, scripted, ask):
    model = scripted()
    served = await serve(model)
    call = served.without_a_message()
    await served.until(lambda: served.admission.arriving == 1)
    assert await served.server.drain()
    await call.write(ask())
    assert (await served.refusal(call))[0] is grpc.StatusCode.UNAVAILABLE
    assert model.batches == []


async def test_a_call_without_any_message_is_an_invalid_argument(serve, scripted):
    served = await serve(scripted())
    call = served.without_a_message()
    await call.done_writing()
    assert (await served.refusal(call))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_that_cannot_be_read_is_an_invalid_argument(serve, scripted):
    served = await serve(scripted())
    call = served.without_a_message(serializer=bytes)
    await call.write(b"\xff\xff\xff")
    await call.done_writing()
    code, text, _ = await served.refusal(call)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be read" in text


async def test_a_message_that_does_not_come_gives_its_place_back(serve, scripted, ask, monkeypatch):
    monkeypatch.setattr(servicer, "_ARRIVAL_SECONDS", 0.05)
    served = await serve(scripted())
    call = served.without_a_message()
    code, text, _ = await served.refusal(call)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "no request came" in text
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]


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
