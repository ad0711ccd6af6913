"""The contract's promises, kept by a real server over a real channel."""

import asyncio
import random
import threading

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import pipeline, preparation
from mmad_answer.model import Answer, Capabilities, Card, LoadError, Model, NoOptions, Reply
from mmad_answer.server import SERVICE_NAME, AnswerServer, ListenError, Settings

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def answers(call):
    """All responses of a call, in order, as (question id, text)."""
    return [(response.question_id, response.answered.text) async for response in call]


async def refusal(call):
    """(status code, message, {details type: details}) of a call that gives no answer."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await answers(call)
    details = {}
    if status := rpc_status.from_call(failed.value):
        for packed in status.details:
            for kind in (error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
                if packed.Is(kind.DESCRIPTOR):
                    details[kind] = kind()
                    packed.Unpack(details[kind])
    return failed.value.code(), failed.value.details(), details


async def health_of(served, service=SERVICE_NAME):
    stub = health_pb2_grpc.HealthStub(served.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)).status


# ---------------------------------------------------------------------------------------------- answering


async def test_every_question_gets_exactly_one_answer_and_the_stream_ends_with_ok(serve, scripted, ask):
    served = await serve(scripted())
    call = served.stub.Answer(ask(questions=("q1", "q2", "q3")))
    assert await answers(call) == [("q1", "A"), ("q2", "A"), ("q3", "A")]
    assert await call.code() is grpc.StatusCode.OK


async def test_answers_stream_out_while_the_model_still_works_on_the_rest(serve, scripted, ask):
    second = threading.Event()

    def script(batch):
        yield Reply(batch[0], "q1", Answer("A"))
        assert second.wait(20)
        yield Reply(batch[0], "q2", Answer("B"))

    served = await serve(scripted(script))
    call = served.stub.Answer(ask(questions=("q1", "q2")))
    responses = aiter(call)
    assert (await anext(responses)).question_id == "q1"
    second.set()
    assert await answers(responses) == [("q2", "B")]


async def test_the_model_gets_decoded_images(serve, scripted, ask, encoded):
    model = scripted()
    served = await serve(model)
    await answers(served.stub.Answer(ask(images=[encoded(size=(9, 7)), encoded(size=(5, 4), mode="L")])))
    ((inspection,),) = model.batches
    assert [(image.pixels.mode, image.pixels.size) for image in inspection.images] == [
        ("RGB", (9, 7)),
        ("RGB", (5, 4)),
    ]


async def test_a_model_that_fails_answers_with_failures_and_the_service_stays_up(serve, scripted, ask):
    def script(batch):
        if batch[0].inspection_id == "bad":
            raise ValueError("boom")
        return scripted().all_a(batch)

    served = await serve(scripted(script))
    call = served.stub.Answer(ask("bad"))
    (response,) = [response async for response in call]
    assert response.failure == pb.Failure(reason=pb.FAILURE_REASON_INTERNAL, message="ValueError: boom")
    assert await call.code() is grpc.StatusCode.OK
    assert await answers(served.stub.Answer(ask("good"))) == [("q1", "A")]


async def test_times_are_told(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model)
    first = served.stub.Answer(ask("1"))
    await model.has_begun()
    second = served.stub.Answer(ask("2"))
    await served.until(lambda: served.admission.in_flight == 2)
    await asyncio.sleep(0.1)
    model.gate.set()
    (queued_first,) = [response.timing.queue_seconds async for response in first]
    (queued_second,) = [response.timing.queue_seconds async for response in second]
    assert queued_first < queued_second
    assert queued_second >= 0.1


async def test_batches_form_across_inspections(serve, scripted, ask):
    model = scripted(batch_size=3)
    model.gate.clear()
    served = await serve(model)
    calls = [served.stub.Answer(ask("0"))]
    await model.has_begun()
    for i in range(1, 5):
        calls.append(served.stub.Answer(ask(str(i))))
        await served.until(lambda i=i: served.admission.in_flight == i + 1)
    model.gate.set()
    for call in calls:
        assert await answers(call) == [("q1", "A")]
    assert [len(batch) for batch in model.batches] == [1, 3, 1]
    assert model.seen == ["0", "1", "2", "3", "4"]


async def test_a_batching_window_gathers_inspections_that_arrive_apart(serve, scripted, ask):
    model = scripted(batch_size=2)
    served = await serve(model, batch_wait_seconds=3600)
    first = served.stub.Answer(ask("0"))
    await served.until(lambda: served.admission.in_flight == 1)
    await asyncio.sleep(0.05)
    assert model.batches == []
    assert await answers(served.stub.Answer(ask("1"))) == [("q1", "A")]
    assert await answers(first) == [("q1", "A")]
    assert len(model.batches) == 1


async def test_the_event_loop_stays_responsive_while_the_model_works(serve, scripted, ask):
    enough = threading.Event()

    def script(batch):
        while not enough.is_set():  # busy in Python, the worst case
            pass
        return scripted().all_a(batch)

    model = scripted(script)
    served = await serve(model)
    call = served.stub.Answer(ask())
    await model.has_begun()
    try:
        for _ in range(3):
            assert await health_of(served) == SERVING
    finally:
        enough.set()
    assert await answers(call) == [("q1", "A")]


async def test_decoded_pixels_wait_for_one_batch_ahead_only_however_long_the_queue(
    serve, scripted, ask, encoded, monkeypatch
):
    decoded = []

    def counting(messages, *rest, original=pipeline.prepare):
        decoded.append(messages)
        return original(messages, *rest)

    monkeypatch.setattr(pipeline, "prepare", counting)
    model = scripted(batch_size=2)
    model.gate.clear()
    served = await serve(model, max_queue=20)
    calls = [served.stub.Answer(ask(str(i), images=[encoded()])) for i in range(12)]
    await model.has_begun()
    await served.until(lambda: served.admission.in_flight == 12 and len(decoded) == 4)
    await asyncio.sleep(0.1)
    assert len(decoded) == 4  # the batch being worked on, and the next
    model.gate.set()
    for call in calls:
        assert await answers(call) == [("q1", "A")]


# ---------------------------------------------------------------------------------------------- refusing


async def test_a_bad_request_names_its_field(serve, scripted, ask, encoded):
    model = scripted()
    served = await serve(model)
    images = [encoded(), encoded(), b"not an image"]
    code, message, details = await refusal(served.stub.Answer(ask(images=images)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = details[error_details_pb2.BadRequest].field_violations
    assert violation.field == "images[2].content"
    assert violation.field in message
    assert model.batches == []


async def test_a_truncated_image_is_found_before_the_model_sees_it(serve, scripted, ask, encoded):
    model = scripted()
    served = await serve(model)
    whole = encoded(size=(300, 300))
    code, message, details = await refusal(served.stub.Answer(ask(images=[whole, whole[: len(whole) // 2]])))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "truncated" in message
    (violation,) = details[error_details_pb2.BadRequest].field_violations
    assert violation.field == "images[1].content"
    assert model.batches == []
    await served.until(lambda: served.admission.in_flight == 0)


async def test_a_capability_that_is_lacking_is_a_failed_precondition(serve, scripted, ask):
    card = Card("unable", "test", capabilities=Capabilities(text_only=True))
    served = await serve(scripted(card=card))
    code, message, _ = await refusal(served.stub.Answer(ask(generation=pb.Generation(option_scores=True))))
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
    code, _, details = await refusal(served.stub.Answer(ask("too many")))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details[error_details_pb2.RetryInfo].retry_delay.ToTimedelta().total_seconds() > 0
    model.gate.set()
    for call in calls:
        assert await answers(call) == [("q1", "A")]
    await served.until(lambda: served.admission.in_flight == 0)
    assert await answers(served.stub.Answer(ask("next"))) == [("q1", "A")]
    assert "too many" not in model.seen


async def test_a_message_over_the_limit_is_resource_exhausted_without_retry_info(serve, scripted, ask):
    model = scripted()
    served = await serve(model, max_request_bytes=10_000)
    assert (await served.stub.GetModel(pb.GetModelRequest())).limits.max_request_bytes == 10_000
    code, _, details = await refusal(served.stub.Answer(ask(domain_knowledge="x" * 20_000)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_details_pb2.RetryInfo not in details
    assert await answers(served.stub.Answer(ask(domain_knowledge="x" * 9_000))) == [("q1", "A")]


async def test_a_request_of_nearly_64_mib_is_accepted_by_default(serve, scripted, ask):
    served = await serve(scripted())
    request = ask(domain_knowledge="x" * (64 * 2**20 - 1000))
    assert await answers(served.stub.Answer(request)) == [("q1", "A")]


# ------------------------------------------------------------------------- cancellation and deadlines


async def test_cancelled_in_the_queue_is_not_computed_and_its_place_is_free_again(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model)
    working = served.stub.Answer(ask("working"))
    await model.has_begun()
    waiting = [served.stub.Answer(ask(f"cancelled {i}")) for i in range(4)]
    await served.until(lambda: served.admission.in_flight == 5)
    for call in waiting:
        call.cancel()
    await served.until(lambda: served.admission.in_flight == 1)
    model.gate.set()
    assert await answers(working) == [("q1", "A")]
    assert await answers(served.stub.Answer(ask("later"))) == [("q1", "A")]
    assert model.seen == ["working", "later"]


async def test_past_its_deadline_in_the_queue_is_not_computed(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model)
    working = served.stub.Answer(ask("working"))
    await model.has_begun()
    late = [served.stub.Answer(ask(f"late {i}"), timeout=0.3) for i in range(4)]
    for call in late:
        assert (await refusal(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    await served.until(lambda: served.admission.in_flight == 1)
    model.gate.set()
    assert await answers(working) == [("q1", "A")]
    assert await answers(served.stub.Answer(ask("later"))) == [("q1", "A")]
    assert model.seen == ["working", "later"]


@pytest.mark.parametrize("how", ["cancelled", "deadline"])
async def test_leaving_while_images_are_decoded_keeps_the_inspection_from_the_model(
    serve, scripted, ask, encoded, monkeypatch, how
):
    decoding, go_on, decoded = threading.Event(), threading.Event(), []

    def slow(content, header, original=preparation.decode):
        decoding.set()
        assert go_on.wait(20)
        decoded.append(content)
        return original(content, header)

    monkeypatch.setattr(preparation, "decode", slow)
    model = scripted()
    served = await serve(model)
    images = [encoded(size=(8 + i, 8)) for i in range(3)]
    call = served.stub.Answer(ask("left", images=images), timeout=0.5 if how == "deadline" else None)
    assert await asyncio.to_thread(decoding.wait, 20)
    if how == "cancelled":
        call.cancel()
    else:
        assert (await refusal(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    await served.until(lambda: served.admission.in_flight == 0)
    go_on.set()
    assert await answers(served.stub.Answer(ask("next"))) == [("q1", "A")]
    assert model.seen == ["next"]
    assert len(decoded) == 1  # no further image of an inspection that nobody waits for


@pytest.mark.parametrize("how", ["cancelled", "deadline"])
async def test_leaving_between_replies_stops_the_model_there(serve, scripted, ask, how):
    went_on = []

    def script(batch):
        (inspection,) = batch
        yield Reply(inspection, "q1", Answer("A"))
        if inspection.inspection_id == "left":
            assert inspection.stopped.wait(20)
        yield Reply(inspection, "q2", Answer("B"))
        went_on.append(inspection.inspection_id)

    served = await serve(scripted(script))
    call = served.stub.Answer(ask("left", ("q1", "q2")), timeout=0.5 if how == "deadline" else None)
    responses = aiter(call)
    assert (await anext(responses)).question_id == "q1"
    if how == "cancelled":
        call.cancel()
    else:
        assert (await refusal(responses))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await answers(served.stub.Answer(ask("next", ("q1", "q2")))) == [("q1", "A"), ("q2", "B")]
    assert went_on == ["next"]


async def test_cancelled_in_the_model_keeps_its_place_until_the_model_is_done_with_it(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model, max_queue=0)
    call = served.stub.Answer(ask("cancelled"))
    await model.has_begun()
    call.cancel()
    await served.until(lambda: model.batches[0][0].stopped.is_set())
    assert served.admission.in_flight == 1
    assert (await refusal(served.stub.Answer(ask("next"))))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    model.gate.set()
    await served.until(lambda: served.admission.in_flight == 0)


async def test_callers_that_come_and_go_in_any_order_leave_nothing_behind(serve, scripted, ask, encoded):
    chooser = random.Random(7)

    def script(batch):
        for reply in scripted().all_a(batch):
            batch[0].stopped.wait(0.002)
            yield reply

    model = scripted(script, workers=2, batch_size=3)
    served = await serve(model, max_queue=20, batch_wait_seconds=0.001)
    image = encoded(size=(200, 200))

    async def caller(name):
        while True:
            call = served.stub.Answer(ask(name, ("q1", "q2"), images=[image, image]), timeout=60)
            stays = chooser.random() < 0.5
            if not stays:
                asyncio.get_running_loop().call_later(chooser.random() * 0.05, call.cancel)
            try:
                assert await answers(call) == [("q1", "A"), ("q2", "A")]
                return
            except (asyncio.CancelledError, grpc.aio.AioRpcError):
                if not stays:
                    return
                assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                await asyncio.sleep(0.01)

    await asyncio.gather(*(caller(str(i)) for i in range(120)))
    await served.until(lambda: served.admission.in_flight == 0)
    assert served.server._pipeline._turns._value == (2 + 1) * 3
    assert await answers(served.stub.Answer(ask("after"))) == [("q1", "A")]


# ----------------------------------------------------------------------------- loading, draining, health


async def test_while_loading_get_model_and_health_answer_and_questions_are_unavailable(serve, scripted, ask):
    go_on = threading.Event()
    model = scripted(load=lambda: go_on.wait(20))
    served = await serve(model, loaded=False)
    loading = asyncio.create_task(served.server.load())
    card = await served.stub.GetModel(pb.GetModelRequest())
    assert (card.name, card.state) == ("scripted", pb.STATE_LOADING)
    assert "loading" in card.state_detail
    assert await health_of(served) == NOT_SERVING
    assert await health_of(served, "") == SERVING
    assert (await refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.UNAVAILABLE
    go_on.set()
    await loading
    assert await health_of(served) == SERVING
    assert (await served.stub.GetModel(pb.GetModelRequest())).state == pb.STATE_READY
    assert await answers(served.stub.Answer(ask())) == [("q1", "A")]


async def test_a_model_that_cannot_load_never_becomes_ready(serve, scripted, ask):
    def load():
        raise LoadError("no weights in /weights")

    served = await serve(scripted(load=load), loaded=False)
    with pytest.raises(LoadError, match="no weights"):
        await served.server.load()
    assert await health_of(served) == NOT_SERVING
    assert (await refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.UNAVAILABLE


async def test_draining_finishes_what_is_under_way_and_takes_nothing_new(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model)
    working = served.stub.Answer(ask("working"))
    await model.has_begun()
    queued = served.stub.Answer(ask("queued"))
    await served.until(lambda: served.admission.in_flight == 2)
    draining = asyncio.create_task(served.server.drain())
    await served.until(lambda: served.server._servicer.state == pb.STATE_DRAINING)
    assert await health_of(served) == NOT_SERVING
    assert await health_of(served, "") == SERVING
    assert (await served.stub.GetModel(pb.GetModelRequest())).state == pb.STATE_DRAINING
    assert (await refusal(served.stub.Answer(ask("new"))))[0] is grpc.StatusCode.UNAVAILABLE
    model.gate.set()
    assert await answers(working) == [("q1", "A")]
    assert await answers(queued) == [("q1", "A")]
    assert await draining is True
    await served.server.close()
    assert model.closed
    assert model.seen == ["working", "queued"]


async def test_draining_gives_up_after_its_time(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model, drain_seconds=0.05)
    call = served.stub.Answer(ask())
    await model.has_begun()
    assert await served.server.drain() is False
    model.gate.set()
    assert await answers(call) == [("q1", "A")]


async def test_the_card_states_what_runs_here(serve, scripted):
    model = scripted(workers=2, batch_size=3)
    served = await serve(model, max_queue=5, environment={"python": "3.11.7"})
    card = await served.stub.GetModel(pb.GetModelRequest())
    assert card.limits.max_in_flight == 5 + 2 * 3
    assert dict(card.environment) == {"python": "3.11.7"}


async def test_reflection_lists_the_contract(serve, scripted):
    served = await serve(scripted())
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([request])):
        names = {each.name for each in response.list_services_response.service}
        assert {"mmad.answer.v1.AnswerService", "grpc.health.v1.Health"} <= names
        break


# ---------------------------------------------------------------------------------------------- the wire


async def test_pings_every_two_seconds_are_tolerated_with_and_without_calls(serve, scripted, ask):
    options = (
        ("grpc.keepalive_time_ms", 1100),  # faster than the contract's 2 s, to see more of them
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    )
    model = scripted()
    model.gate.clear()
    busy, idle = await serve(model, options=options), await serve(scripted(), options=options)
    call = busy.stub.Answer(ask())
    assert await answers(idle.stub.Answer(ask())) == [("q1", "A")]
    await asyncio.sleep(5)  # a default server says "too many pings" to the third
    assert idle.channel.get_state() is grpc.ChannelConnectivity.READY
    model.gate.set()
    assert await answers(call) == [("q1", "A")]


async def test_an_old_connection_is_renewed_and_its_streams_go_on(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model, max_connection_age_seconds=0.2)
    call = served.stub.Answer(ask())
    await model.has_begun()
    await asyncio.sleep(0.6)
    model.gate.set()
    assert await answers(call) == [("q1", "A")]
    assert await answers(served.stub.Answer(ask())) == [("q1", "A")]


async def test_a_unix_socket_can_be_listened_on(serve, scripted, ask, tmp_path):
    address = f"unix://{tmp_path}/answer.sock"
    served = await serve(scripted(), address=address)
    assert served.address == address
    assert await answers(served.stub.Answer(ask())) == [("q1", "A")]


async def test_two_servers_cannot_share_a_port(serve, scripted):
    served = await serve(scripted())
    second = AnswerServer(scripted(), Settings(address=served.address), {})
    with pytest.raises(ListenError, match="choose another port"):
        await second.start()
    await second.abandon()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:99999", "127.0.0.1:http"])
async def test_an_address_that_is_none_is_refused_in_words(scripted, address):
    server = AnswerServer(scripted(), Settings(address=address), {})
    with pytest.raises(ListenError, match="neither host:port nor unix"):
        await server.start()
    await server.abandon()


async def test_several_workers_answer_at_once(serve, ask):
    class Meeting(Model):
        """Each batch waits for the other."""

        workers = 2
        barrier = threading.Barrier(2, timeout=20)

        def describe(self):
            return Card("meeting", "test", capabilities=Capabilities(text_only=True))

        def answer(self, batch):
            self.barrier.wait()
            yield Reply(batch[0], "q1", Answer("A"))

    served = await serve(Meeting(NoOptions()))
    calls = [served.stub.Answer(ask(str(i))) for i in range(2)]
    assert [await answers(call) for call in calls] == [[("q1", "A")]] * 2
