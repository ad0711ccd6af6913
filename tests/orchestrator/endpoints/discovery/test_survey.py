"""Who is at the places, and who is asked how often."""

import asyncio

import grpc
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.endpoints.discovery.survey import Survey
from orchestrator.vocabulary import ReplicaState as State


@pytest.fixture
def survey(source, fresh_looks):
    return Survey(source)


def states(look):
    return [(r.name, r.origin, r.state) for r in look.replicas]


async def test_whoever_is_ready_is_found_with_its_card(source, survey, servers, speaker):
    source.put("container a", target := await servers(speaker(name="qwen", checkpoint="v1")))
    (found,) = (await survey.look()).replicas
    assert (found.name, found.target, found.state, found.reason) == ("qwen", target, State.READY, "")
    assert found.card.identity.checkpoint == "v1"


async def test_a_container_that_has_said_who_it_is_is_not_asked_again_until_it_starts_anew(
    source, survey, servers, speaker
):
    service = speaker(name="qwen")
    source.put("container a", target := await servers(service))
    await survey.look()
    await survey.look()
    assert service.asked == 1
    source.put("container a", target, key="container a@1")
    await survey.look()
    assert service.asked == 2


async def test_one_that_loads_is_asked_again_until_it_is_ready(source, survey, servers, speaker):
    service = speaker(name="qwen", state=pb.STATE_LOADING, state_detail="60 %")
    source.put("container a", await servers(service))
    (found,) = (await survey.look()).replicas
    assert (found.name, found.state, found.reason) == ("qwen", State.STARTING, "60 %")
    service.card.state = pb.STATE_READY
    assert states(await survey.look()) == [("qwen", "container a", State.READY)]


async def test_an_address_that_may_be_anothers_is_asked_at_every_look(source, survey, servers, speaker):
    service = speaker(name="qwen")
    source.put("answer:50051", await servers(service), may_change=True)
    await survey.look()
    service.card.name = "other"
    assert states(await survey.look()) == [("other", "answer:50051", State.READY)]


async def test_one_that_drains_is_said_to(source, survey, servers, speaker):
    source.put("container a", await servers(speaker(state=pb.STATE_DRAINING)))
    assert (await survey.look()).replicas[0].state is State.DRAINING


async def test_one_that_has_ended_often_and_answers_now_is_ready(source, survey, servers, speaker):
    source.put("container a", await servers(speaker()), failing="it has ended 5 times")
    assert (await survey.look()).replicas[0].state is State.READY


async def test_one_that_has_ended_and_loads_again_is_not_starting(source, survey, servers, speaker):
    """It loads each time until it ends again, and whoever waits for it would wait in vain."""
    source.put(
        "container a",
        await servers(speaker(state=pb.STATE_LOADING, state_detail="60 %")),
        failing="it has ended once: no weights",
    )
    (found,) = (await survey.look()).replicas
    assert (found.state, found.reason) == (
        State.RESTARTING,
        "it has ended once: no weights. Now it says: 60 %",
    )


async def test_one_that_its_health_check_finds_ill_is_not_ready_whatever_it_says(
    source, survey, servers, speaker
):
    source.put("container a", await servers(speaker()), unhealthy="no GPU")
    (found,) = (await survey.look()).replicas
    assert (found.state, found.reason) == (State.UNHEALTHY, "it says that it is ready, but: no GPU")


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"starting": True}, State.STARTING, "nothing answers there yet"),
        ({"unhealthy": "no GPU"}, State.UNHEALTHY, "no GPU"),
        ({"failing": "it has ended 5 times"}, State.RESTARTING, "it has ended 5 times"),
        ({"failing": "it has ended once", "starting": True}, State.RESTARTING, "it has ended once"),
        ({"advice": "listen on 0.0.0.0"}, State.NO_ANSWER, "nothing listens there; GetModel was tried for"),
        ({"advice": "listen on 0.0.0.0"}, State.NO_ANSWER, " Listen on 0.0.0.0."),
    ],
)
async def test_silence_means_what_the_engine_says_of_it(source, survey, closed_port, changes, state, words):
    source.put("container a", closed_port, **changes)
    (found,) = (await survey.look()).replicas
    assert (found.name, found.state) == ("", state)
    assert words in found.reason


async def test_another_contract_is_named_though_the_label_is_right(source, survey, servers):
    source.put("container a", await servers(None, "mmad.answer.v2.AnswerService"), starting=True)
    (found,) = (await survey.look()).replicas
    assert found.state is State.WRONG_CONTRACT
    assert "it speaks mmad.answer.v2.AnswerService, not mmad.answer.v1.AnswerService" in found.reason


async def test_one_that_refuses_to_say_who_it_is_is_shown(source, survey, servers, speaker):
    locked = speaker()
    locked.error = (grpc.StatusCode.UNAUTHENTICATED, "no token")
    source.put("container a", await servers(locked), starting=True)
    (found,) = (await survey.look()).replicas
    assert found.state is State.NO_ANSWER
    assert "it refuses to say who it is: UNAUTHENTICATED: no token" in found.reason


async def test_a_name_that_can_be_no_files_is_refused_and_shown(source, survey, servers, speaker):
    source.put("container a", await servers(speaker(name="../../etc")))
    (found,) = (await survey.look()).replicas
    assert (found.name, found.state) == ("", State.WRONG_CONTRACT)
    assert "the name '../../etc' will not do" in found.reason


async def test_who_has_no_address_is_shown_with_the_reason_and_the_name_it_had(
    source, survey, servers, speaker
):
    source.put("container a", await servers(speaker(name="qwen")))
    await survey.look()
    source.put("container a", key="container a@1", state=State.EXITED, reason="exit 1: no weights")
    (found,) = (await survey.look()).replicas
    assert (found.name, found.target) == ("qwen", "")
    assert (found.state, found.reason) == (State.EXITED, "exit 1: no weights")


async def test_the_first_address_that_takes_a_connection_is_used(
    source, survey, servers, speaker, closed_port
):
    """Of a container in whose network this process is, when its published port is another machine's."""
    source.put("container a", closed_port, target := await servers(speaker()))
    assert (await survey.look()).replicas[0].target == target


async def test_a_name_belongs_to_the_first_by_container_name_and_the_other_is_shown_with_what_differs(
    source, survey, servers, speaker
):
    for origin, checkpoint in (("c-10", "v1"), ("c-9", "v2"), ("c-11", "v2")):
        source.put(origin, await servers(speaker(name="qwen", checkpoint=checkpoint)))
    look = await survey.look()
    assert states(look) == [
        ("qwen", "c-9", State.READY),
        ("qwen", "c-11", State.READY),
        ("qwen", "c-10", State.NAME_TAKEN),
    ]
    assert look.replicas[2].reason == ("c-9 has this name, and is another model: checkpoint: 'v2' and 'v1'")


async def test_models_are_in_order_of_their_names_and_nameless_ones_are_last(
    source, survey, servers, speaker, closed_port
):
    source.put("a", closed_port)
    source.put("b", await servers(speaker(name="qwen-10b")))
    source.put("c", await servers(speaker(name="qwen-7b")))
    assert [r.origin for r in (await survey.look()).replicas] == ["c", "b", "a"]


async def test_a_look_is_shared_by_all_who_ask_within_a_second(source, servers, speaker):
    source.put("a", await servers(speaker()))
    survey = Survey(source)
    looks = await asyncio.gather(*(survey.look() for _ in range(20)))
    assert source.looks == 1
    assert all(look is looks[0] for look in looks)


async def test_looking_does_not_hold_the_others_up(source, survey, monkeypatch):
    """An engine may take seconds: the event loop goes on meanwhile."""
    import threading

    released = threading.Event()
    monkeypatch.setattr(source, "look", lambda: released.wait(20) and type(source).look(source))
    looking = asyncio.create_task(survey.look())
    await asyncio.sleep(0.01)  # would never end if the loop were held
    released.set()
    assert (await looking).replicas == ()
