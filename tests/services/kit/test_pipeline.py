"""The way of an inspection through the service: streaming, batches, and leaving at every step."""

import asyncio
import random
import threading

import grpc
import grpc.aio
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer import pipeline, preparation
from mmad_answer.model import (
    Answer,
    Capabilities,
    Card,
    Failure,
    FailureReason,
    Model,
    NoOptions,
    PassingFaultError,
    Reply,
    Usage,
)


async def test_every_question_gets_exactly_one_answer_and_the_stream_ends_with_ok(serve, scripted, ask):
    served = await serve(scripted())
    call = served.stub.Answer(ask(questions=("q1", "q2", "q3")))
    assert await served.answers(call) == [("q1", "A"), ("q2", "A"), ("q3", "A")]
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
    assert await served.answers(responses) == [("q2", "B")]


async def test_the_model_gets_decoded_images(serve, scripted, ask, encoded):
    model = scripted()
    served = await serve(model)
    await served.answers(
        served.stub.Answer(ask(images=[encoded(size=(9, 7)), encoded(size=(5, 4), mode="L")]))
    )
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
    assert await served.answers(served.stub.Answer(ask("good"))) == [("q1", "A")]


@pytest.mark.parametrize(
    "bad",
    [
        Answer(None),
        Answer("A", finish_reason="stop"),
        Answer("A", usage=Usage(prompt_tokens=-1)),
        Answer("A", generate_seconds="long"),
        Failure("internal", "what"),
        "A",
    ],
)
async def test_a_reply_that_no_message_can_hold_fails_its_own_question_only(serve, scripted, ask, bad):
    def script(batch):
        for inspection in batch:
            for question in inspection.questions:
                poisoned = (inspection.inspection_id, question.question_id) == ("0", "q1")
                yield Reply(inspection, question.question_id, bad if poisoned else Answer("A"))

    served = await serve(scripted(script, batch_size=2), batch_wait_seconds=3600)
    calls = [served.stub.Answer(ask(str(i), ("q1", "q2"))) for i in range(2)]
    first, second = [response async for response in calls[0]]
    assert first.failure.reason == pb.FAILURE_REASON_INTERNAL
    assert "cannot be sent" in first.failure.message
    assert second.answered.text == "A"
    assert await served.answers(calls[1]) == [("q1", "A"), ("q2", "A")]


@pytest.mark.usefixtures("unlogged")
async def test_what_utf8_cannot_hold_is_replaced_in_every_text_of_an_outcome(serve, scripted, ask):
    def script(batch):
        bad = "x\udcffy"
        yield Reply(batch[0], "q1", Answer(bad, reasoning=bad, prompt=bad))
        yield Reply(batch[0], "q2", Failure(FailureReason.PROVIDER, bad))
        raise ValueError(bad)

    served = await serve(scripted(script))
    one, two, three = [each async for each in served.stub.Answer(ask(questions=("q1", "q2", "q3")))]
    assert (one.answered.text, one.answered.reasoning, one.answered.prompt) == ("x?y",) * 3
    assert (two.failure.message, three.failure.message) == ("x?y", "ValueError: x?y")


@pytest.mark.usefixtures("unlogged")
async def test_a_refusal_in_words_that_utf8_cannot_hold_is_still_that_refusal(serve, scripted, ask):
    def script(batch):
        raise PassingFaultError("x\udcffy")
        yield

    served = await serve(scripted(script))
    assert (await served.refusal(served.stub.Answer(ask())))[:2] == (grpc.StatusCode.UNAVAILABLE, "x?y")


async def test_a_stream_that_lacks_an_outcome_never_ends_with_ok(serve, scripted, ask, monkeypatch):
    monkeypatch.setattr(pipeline, "answer_batch", lambda *arguments: None)
    served = await serve(scripted())
    assert (await served.refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.INTERNAL


async def test_a_call_ends_with_its_last_answer_not_with_its_batch(serve, scripted, ask):
    go_on = threading.Event()

    def script(batch):
        yield Reply(batch[0], "q1", Answer("A"))
        assert go_on.wait(20)
        yield Reply(batch[1], "q1", Answer("B"))

    served = await serve(scripted(script, batch_size=2), batch_wait_seconds=3600)
    calls = [served.stub.Answer(ask("0"))]
    await served.until(lambda: served.in_next_batch == 1)
    calls.append(served.stub.Answer(ask("1")))
    async with asyncio.timeout(10):
        assert await served.answers(calls[0]) == [("q1", "A")]
        assert await calls[0].code() is grpc.StatusCode.OK
    assert served.admission.in_flight == 2  # its pixels are still in the model's hands
    go_on.set()
    assert await served.answers(calls[1]) == [("q1", "B")]
    await served.until(lambda: served.admission.in_flight == 0)


async def test_waiting_and_work_on_images_are_told_apart_and_once_for_each_call(
    serve, scripted, ask, encoded, monkeypatch
):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()

    def decode(messages, *rest, original=pipeline.prepare):
        clock.now += 3.0
        return original(messages, *rest)

    def script(batch):
        clock.now += 20.0  # the model's own: neither waiting nor decoding
        for question in batch[0].questions:
            yield Reply(batch[0], question.question_id, Answer("A", generate_seconds=10.0))

    monkeypatch.setattr(pipeline, "time", clock)
    monkeypatch.setattr(pipeline, "prepare", decode)
    model = scripted(script)
    model.gate.clear()
    served = await serve(model)
    working = served.stub.Answer(ask("working", ("q1", "q2"), images=[encoded()]))
    await model.has_begun()
    waiting = served.stub.Answer(ask("waiting", ("q1", "q2"), images=[encoded()]))
    await served.until(lambda: served.in_next_batch == 1)
    clock.now += 5.0
    model.gate.set()
    expected = {"working": (0.0, 3.0), "waiting": (5.0 + 20.0, 3.0)}
    for name, call in (("working", working), ("waiting", waiting)):
        assert [response.timing async for response in call] == [
            pb.Timing(queue_seconds=expected[name][0], encode_seconds=expected[name][1], generate_seconds=10),
            pb.Timing(generate_seconds=10),
        ]


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
        assert await served.answers(call) == [("q1", "A")]
    assert [len(batch) for batch in model.batches] == [1, 3, 1]
    assert model.seen == ["0", "1", "2", "3", "4"]


async def test_a_batching_window_gathers_inspections_that_arrive_apart(serve, scripted, ask):
    model = scripted(batch_size=2)
    served = await serve(model, batch_wait_seconds=3600)
    first = served.stub.Answer(ask("0"))
    await served.until(
        lambda: served.in_next_batch == 1
    )  # a batch that went at once would never be seen here
    assert await served.answers(served.stub.Answer(ask("1"))) == [("q1", "A")]
    assert await served.answers(first) == [("q1", "A")]
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
            assert await served.health() == "SERVING"
    finally:
        enough.set()
    assert await served.answers(call) == [("q1", "A")]


async def test_decoded_pixels_wait_for_one_batch_ahead_only_however_long_the_queue(
    serve, scripted, ask, encoded, monkeypatch
):
    decoding = []

    async def counting(self, request, *rest, original=pipeline.Pipeline._decode):
        decoding.append(request.inspection_id)
        return await original(self, request, *rest)

    monkeypatch.setattr(pipeline.Pipeline, "_decode", counting)
    model = scripted(batch_size=2)
    model.gate.clear()
    served = await serve(model, max_queue=20)
    calls = [served.stub.Answer(ask(str(i), images=[encoded()])) for i in range(12)]
    await model.has_begun()
    await served.until(lambda: len(served.server._pipeline._turns._waiters or ()) == 8)
    assert len(decoding) == 4  # the batch being worked on, and the next
    model.gate.set()
    for call in calls:
        assert await served.answers(call) == [("q1", "A")]


async def test_decoded_pixels_of_all_inspections_share_one_budget_that_further_ones_wait_for(
    serve, scripted, ask, encoded
):
    image = encoded(size=(100, 100))  # 40 kB decoded, and five times that while it is being decoded
    model = scripted(batch_size=4)
    model.gate.clear()
    served = await serve(model, pixel_bytes=290_000, batch_wait_seconds=0.0)
    budget = served.server._pipeline._pixels
    calls = [served.stub.Answer(ask(str(i), images=[image])) for i in range(4)]
    await model.has_begun()
    # The second fits while the first is with the model (40 + 240), a third does not (80 + 240).
    await served.until(lambda: served.in_next_batch == 1)
    await served.until(lambda: budget.taken_bytes == 80_000 and served.admission.in_flight == 4)
    model.gate.set()
    for call in calls:
        assert await served.answers(call) == [("q1", "A")]
    assert max(len(batch) for batch in model.batches) <= 2
    await served.until(lambda: budget.taken_bytes == 0)


async def test_an_inspection_over_the_whole_budget_goes_alone(serve, scripted, ask, encoded):
    model = scripted(batch_size=4)
    served = await serve(model, pixel_bytes=1000, batch_wait_seconds=0.05)
    calls = [served.stub.Answer(ask(str(i), images=[encoded(size=(100, 100))])) for i in range(3)]
    for call in calls:
        assert await served.answers(call) == [("q1", "A")]
    assert [len(batch) for batch in model.batches] == [1, 1, 1]


async def test_who_leaves_while_waiting_for_room_holds_nothing_up(serve, scripted, ask, encoded):
    model = scripted(batch_size=2)
    model.gate.clear()
    served = await serve(model, pixel_bytes=1000)
    working = served.stub.Answer(ask("working", images=[encoded()]))
    await model.has_begun()
    leaving = served.stub.Answer(ask("leaving", images=[encoded()]))
    await served.until(lambda: served.server._pipeline._pixels._turn.locked())
    leaving.cancel()
    await served.until(lambda: served.admission.in_flight == 1)
    model.gate.set()
    assert await served.answers(working) == [("q1", "A")]
    assert await served.answers(served.stub.Answer(ask("next", images=[encoded()]))) == [("q1", "A")]
    assert model.seen == ["working", "next"]


async def test_a_header_that_takes_long_does_not_stall_the_event_loop(
    serve, scripted, ask, encoded, monkeypatch
):
    go_on = threading.Event()

    def slow(contents, original=pipeline.images.inspect):
        assert go_on.wait(20)
        return original(contents)

    monkeypatch.setattr(pipeline.images, "inspect", slow)
    served = await serve(scripted())
    call = served.stub.Answer(ask(images=[encoded()]))
    await served.until(lambda: served.admission.in_flight == 1)
    assert await served.health() == "SERVING"
    go_on.set()
    assert await served.answers(call) == [("q1", "A")]


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
    assert [await served.answers(call) for call in calls] == [[("q1", "A")]] * 2


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
    assert await served.answers(working) == [("q1", "A")]
    assert await served.answers(served.stub.Answer(ask("later"))) == [("q1", "A")]
    assert model.seen == ["working", "later"]


async def test_past_its_deadline_in_the_queue_is_not_computed(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model)
    working = served.stub.Answer(ask("working"))
    await model.has_begun()
    late = [served.stub.Answer(ask(f"late {i}"), timeout=0.3) for i in range(4)]
    for call in late:
        assert (await served.refusal(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    await served.until(lambda: served.admission.in_flight == 1)
    model.gate.set()
    assert await served.answers(working) == [("q1", "A")]
    assert await served.answers(served.stub.Answer(ask("later"))) == [("q1", "A")]
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
    call = served.stub.Answer(ask("left", images=images), timeout=3 if how == "deadline" else None)
    assert await asyncio.to_thread(decoding.wait, 20)
    if how == "cancelled":
        call.cancel()
    else:
        assert (await served.refusal(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    await served.until(lambda: served.admission.in_flight == 0)
    go_on.set()
    await served.until(lambda: decoded)  # the thread may be slower than a whole call without images
    assert await served.answers(served.stub.Answer(ask("next"))) == [("q1", "A")]
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
    call = served.stub.Answer(ask("left", ("q1", "q2")), timeout=3 if how == "deadline" else None)
    responses = aiter(call)
    assert (await anext(responses)).question_id == "q1"
    if how == "cancelled":
        call.cancel()
    else:
        assert (await served.refusal(responses))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await served.answers(served.stub.Answer(ask("next", ("q1", "q2")))) == [("q1", "A"), ("q2", "B")]
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
    assert (await served.refusal(served.stub.Answer(ask("next"))))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
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
                assert await served.answers(call) == [("q1", "A"), ("q2", "A")]
                return
            except (asyncio.CancelledError, grpc.aio.AioRpcError):
                if not stays:
                    return
                assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                await asyncio.sleep(0.01)

    await asyncio.gather(*(caller(str(i)) for i in range(120)))
    await served.until(lambda: served.admission.in_flight == 0)
    assert served.server._pipeline._turns._value == (2 + 1) * 3
    assert await served.answers(served.stub.Answer(ask("after"))) == [("q1", "A")]
