"""The server's states, and what its wire tolerates."""

import asyncio
import threading

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.address import ListenError
from mmad_answer.model import LoadError
from mmad_answer.server import AnswerServer, Settings


async def test_while_loading_get_model_and_health_answer_and_questions_are_unavailable(serve, scripted, ask):
    go_on = threading.Event()
    model = scripted(load=lambda: go_on.wait(20))
    served = await serve(model, loaded=False)
    loading = asyncio.create_task(served.server.load())
    card = await served.stub.GetModel(pb.GetModelRequest())
    assert (card.name, card.state) == ("scripted", pb.STATE_LOADING)
    assert "loading" in card.state_detail
    assert await served.health() == "NOT_SERVING"
    assert await served.health("") == "SERVING"
    assert (await served.refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.UNAVAILABLE
    go_on.set()
    await loading
    assert await served.health() == "SERVING"
    assert (await served.stub.GetModel(pb.GetModelRequest())).state == pb.STATE_READY
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]


async def test_a_model_that_cannot_load_never_becomes_ready(serve, scripted, ask):
    def load():
        raise LoadError("no weights in /weights")

    served = await serve(scripted(load=load), loaded=False)
    with pytest.raises(LoadError, match="no weights"):
        await served.server.load()
    assert await served.health() == "NOT_SERVING"
    assert (await served.refusal(served.stub.Answer(ask())))[0] is grpc.StatusCode.UNAVAILABLE


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
    assert await served.health() == "NOT_SERVING"
    assert await served.health("") == "SERVING"
    assert (await served.stub.GetModel(pb.GetModelRequest())).state == pb.STATE_DRAINING
    assert (await served.refusal(served.stub.Answer(ask("new"))))[0] is grpc.StatusCode.UNAVAILABLE
    model.gate.set()
    assert await served.answers(working) == [("q1", "A")]
    assert await served.answers(queued) == [("q1", "A")]
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
    assert await served.answers(call) == [("q1", "A")]


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
    assert await idle.answers(idle.stub.Answer(ask())) == [("q1", "A")]
    await asyncio.sleep(5)  # a default server says "too many pings" to the third
    assert idle.channel.get_state() is grpc.ChannelConnectivity.READY
    model.gate.set()
    assert await busy.answers(call) == [("q1", "A")]


async def test_an_old_connection_is_renewed_and_its_streams_go_on(serve, scripted, ask):
    model = scripted()
    model.gate.clear()
    served = await serve(model, max_connection_age_seconds=0.2)
    call = served.stub.Answer(ask())
    await model.has_begun()
    async with asyncio.timeout(20):
        await served.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
    model.gate.set()
    assert await served.answers(call) == [("q1", "A")]
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]


async def test_a_unix_socket_can_be_listened_on(serve, scripted, ask, tmp_path):
    address = f"unix://{tmp_path}/answer.sock"
    served = await serve(scripted(), address=address)
    assert served.address == address
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]


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
