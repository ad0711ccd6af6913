"""Who answers at the endpoints, and what is said about those that do not."""

import asyncio
import time

import grpc
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.endpoints.connect import connect
from orchestrator.errors import EndpointError


async def problem(*endpoints, wait_seconds=0.0, reach_seconds=0.6):
    with pytest.raises(EndpointError) as error:
        await connect(endpoints, wait_seconds, print, reach_seconds=reach_seconds)
    return str(error.value)


async def test_endpoints_of_one_name_are_replicas_of_one_model(servers, speaker, endpoint):
    one, other, third = [await servers(speaker(checkpoint=c)) for c in ("v1", "v1", "v2")]
    models = await connect([endpoint(one), endpoint(third, "second"), endpoint(other)], 0, print)
    assert [model.name for model in models] == ["model", "second"]
    assert [[e.target for e in model.endpoints] for model in models] == [[one, other], [third]]
    assert [model.card.identity.checkpoint for model in models] == ["v1", "v2"]


async def test_a_models_card_states_what_each_replica_takes(servers, speaker, endpoint):
    targets = [await servers(speaker(limits=pb.Limits(max_images=n))) for n in (3, 2)]
    (model,) = await connect([endpoint(target) for target in targets], 0, print)
    assert model.card.max_images == 2


async def test_unix_sockets_and_names_are_reached_too(servers, speaker, endpoint, tmp_path):
    socket = await servers(speaker(), target=f"unix://{tmp_path}/s")
    port = (await servers(speaker())).rpartition(":")[2]
    models = await connect([endpoint(socket), endpoint(f"dns:///localhost:{port}", "named")], 0, print)
    assert len(models) == 2


async def test_a_proxy_of_the_environment_does_not_stand_before_this_machine(
    servers, speaker, endpoint, monkeypatch, closed_port
):
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, f"http://{closed_port}")
    target = await servers(speaker())
    port = target.rpartition(":")[2]
    given = [target, f"localhost:{port}", f"dns:///localhost:{port}"]
    assert len(await connect([endpoint(t) for t in given], 0, print, reach_seconds=1)) == 1


async def test_a_model_that_is_loading_is_waited_for_and_shown(servers, speaker, endpoint):
    loading = speaker(state=pb.STATE_LOADING, state_detail="loading weights, 60 %")
    target = await servers(loading)
    said = []
    connecting = asyncio.create_task(connect([endpoint(target)], 10, said.append))
    await asyncio.sleep(0.5)
    assert not connecting.done()
    loading.card.state = pb.STATE_READY
    await connecting
    assert said == [f"model at {target} is loading: loading weights, 60 %"]


async def test_a_model_that_goes_on_loading_is_an_error_that_says_so(servers, speaker, endpoint):
    target = await servers(speaker(state=pb.STATE_LOADING, state_detail="60 %"))
    text = await problem(endpoint(target), wait_seconds=0.3)
    assert text == f"model at {target} (--endpoint): not ready after 0.3 s (loading: 60 %)"


@pytest.mark.parametrize("error", [None, (grpc.StatusCode.UNAVAILABLE, "ping timeout")])
async def test_a_model_that_was_loading_and_falls_silent_is_waited_for_as_long_as_the_user_says(
    servers, speaker, endpoint, error
):
    loading = speaker(state=pb.STATE_LOADING)
    target = await servers(loading)
    said = []
    connecting = asyncio.create_task(connect([endpoint(target)], 60, said.append, reach_seconds=0.3))
    while not said:  # noqa: ASYNC110 - it gives no sign
        await asyncio.sleep(0.01)
    loading.silent, loading.error = error is None, error
    asked = loading.asked
    async with asyncio.timeout(30):
        while loading.asked < asked + 4:  # noqa: ASYNC110 - one call takes 0.3 s, all together more
            await asyncio.sleep(0.01)
    assert not connecting.done()
    loading.silent, loading.error = False, None
    loading.card.state = pb.STATE_READY
    assert len(await connecting) == 1
    assert "is silent now: " in said[1]


async def test_a_model_that_was_loading_and_stays_silent_is_told_as_such(servers, speaker, endpoint):
    loading = speaker(state=pb.STATE_LOADING)
    target = await servers(loading)

    def fall_silent(text):
        loading.silent = True

    with pytest.raises(EndpointError, match="takes the connection, but never answers"):
        await connect([endpoint(target)], 1, fall_silent, reach_seconds=0.3)


async def test_a_service_that_starts_a_moment_later_is_reached(servers, speaker, endpoint, closed_port):
    connecting = asyncio.create_task(connect([endpoint(closed_port)], 0, print))
    await asyncio.sleep(0.5)
    await servers(speaker(), target=closed_port)
    assert len(await connecting) == 1


async def test_an_address_where_nothing_listens_is_said_with_how_long_it_was_tried(endpoint, closed_port):
    began = time.monotonic()
    text = await problem(endpoint(closed_port), reach_seconds=1.0)
    assert time.monotonic() - began >= 1.0
    assert text.startswith(
        f"model at {closed_port} (--endpoint): nothing listens there; GetModel was tried for 1 s."
    )


async def test_a_socket_that_is_not_there_and_a_host_that_nobody_knows_are_said(endpoint, tmp_path):
    assert "No such file" in await problem(endpoint(f"unix://{tmp_path}/none"))
    assert "no host of that name" in await problem(endpoint("no-such-host.invalid:1"))


async def test_a_service_that_hangs_is_said_to_hang(listen, endpoint):
    text = await problem(endpoint(await listen(b"")))
    assert "takes the connection, but never answers" in text


async def test_a_web_server_is_said_not_to_be_a_grpc_service(listen, endpoint):
    text = await problem(endpoint(await listen(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
    assert "does not answer as a gRPC service does" in text


async def test_another_contract_is_named(servers, endpoint):
    text = await problem(endpoint(await servers(None, "mmad.answer.v2.AnswerService")))
    assert "it speaks mmad.answer.v2.AnswerService, not mmad.answer.v1.AnswerService." in text
    assert "another version" in text
    text = await problem(endpoint(await servers(None, "tensorflow.Serving")))
    assert "it speaks tensorflow.Serving, not mmad.answer.v1.AnswerService." in text
    assert "another version" not in text


async def test_what_is_spoken_there_instead_cannot_command_a_terminal(servers, endpoint):
    text = await problem(endpoint(await servers(None, "evil\x1b[2J.Service")))
    assert "it speaks evil [2J.Service, not" in text
    assert text.isprintable()


async def test_a_server_that_does_not_say_what_it_speaks_is_told_as_such(servers, endpoint):
    text = await problem(endpoint(await servers()))
    assert "does not say what it speaks" in text


async def test_a_service_that_wants_a_token_is_told_as_such(servers, speaker, endpoint):
    locked = speaker()
    locked.error = (grpc.StatusCode.UNAUTHENTICATED, "no token")
    text = await problem(endpoint(await servers(locked)))
    assert "it refuses to say who it is: UNAUTHENTICATED: no token" in text


async def test_a_service_whose_card_cannot_be_read_is_told_as_such(garbler, endpoint):
    text = await problem(endpoint(garbler))
    assert "it cannot say who it is" in text
    assert "sent what cannot be read: does it speak mmad.answer.v1?" in text


async def test_one_name_for_two_models_is_refused_with_both_addresses_and_what_differs(
    servers, speaker, endpoint
):
    one = await servers(speaker(checkpoint="v1", settings={"dtype": "bf16"}))
    other = await servers(speaker(checkpoint="v2"))
    text = await problem(endpoint(one), endpoint(other, origin="endpoints.yaml, line 3"))
    assert f"{one} (--endpoint) and {other} (endpoints.yaml, line 3) have one name" in text
    assert "checkpoint: 'v1' and 'v2'; setting dtype: 'bf16' and '(none)'" in text


async def test_an_endpoint_that_is_given_twice_is_refused(endpoint):
    assert "given twice" in await problem(endpoint("h:1"), endpoint("h:2"), endpoint("h:1"))


async def test_the_problems_of_all_endpoints_are_told_together(
    servers, speaker, listen, endpoint, closed_port
):
    one, other = await servers(speaker(checkpoint="a")), await servers(speaker(checkpoint="b"))
    text = await problem(
        endpoint(closed_port, "down"),
        endpoint(await listen(b""), "hung"),
        endpoint(one, "twin"),
        endpoint(other, "twin"),
    )
    assert [line.split()[0] for line in text.splitlines()] == ["down", "hung", "twin:"]
