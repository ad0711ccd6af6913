"""A run's side: what is waited for, what is asked, what is an error, and what comes later."""

import asyncio
import re

import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.dispatch import DirectoryError
from orchestrator.endpoints.discovery import joining as module
from orchestrator.endpoints.discovery.joining import Joining, check, nobody
from orchestrator.endpoints.discovery.place import SourceError
from orchestrator.endpoints.discovery.where import Where
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import ReplicaState as State

pytestmark = pytest.mark.usefixtures("fresh_looks")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.02)


@pytest.fixture
def said():
    return []


@pytest.fixture
async def joining(source, said):
    async with Joining(Where(""), said.append, source) as joining:
        yield joining


async def error(joining, *arguments):
    with pytest.raises(EndpointError) as raised:
        await joining.ready(*arguments)
    return str(raised.value)


# ------------------------------------------------------------------------------------------ who is asked


async def test_those_that_are_ready_are_asked_and_the_others_are_told_in_one_line_each(
    joining, source, said, servers, speaker
):
    target = await servers(speaker(name="qwen"))
    source.put("container a", target)
    source.put("container b", state=State.EXITED, reason="exit 1: no weights")
    (model,) = await joining.ready(0)
    assert (model.name, [e.target for e in model.endpoints]) == ("qwen", [target])
    assert model.endpoints[0].origin == "container a"
    assert said == [
        "container b: not asked: exited: exit 1: no weights",
        f"Found qwen: container a at {target}",
    ]


async def test_replicas_are_one_model_that_takes_what_all_of_them_take(joining, source, servers, speaker):
    for number in (3, 2):
        source.put(f"container {number}", await servers(speaker(limits=pb.Limits(max_images=number))))
    (model,) = await joining.ready(0)
    assert len(model.endpoints) == 2
    assert model.card.max_images == 2


async def test_only_those_that_are_chosen_are_asked_and_mentioned(joining, source, said, servers, speaker):
    for name in ("qwen", "chance"):
        source.put(f"container {name}", await servers(speaker(name=name)))
    assert [model.name for model in await joining.ready(0, ["qwen"])] == ["qwen"]
    assert not any("chance" in line for line in said)


async def test_what_is_found_gives_way_to_what_is_named(joining, source, said, servers, speaker):
    source.put("container a", await servers(speaker(name="qwen")))
    assert await joining.ready(0, [], ["qwen"]) == []
    assert said == ["qwen (container a): not asked: another qwen is named"]


# ------------------------------------------------------------------------------------------------ waiting


async def test_one_that_is_starting_is_waited_for_and_what_it_says_is_shown_when_it_changes(
    joining, source, said, servers, speaker
):
    service = speaker(name="qwen", state=pb.STATE_LOADING, state_detail="60 %")
    source.put("container a", await servers(service))
    waiting = asyncio.create_task(joining.ready(60))
    async with asyncio.timeout(30):
        while service.asked < 3:  # noqa: ASYNC110 - it gives no sign
            await asyncio.sleep(0.01)
        service.card.state_detail = "90 %"
        while len(said) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.card.state = pb.STATE_READY
        (model,) = await waiting
    assert model.name == "qwen"
    waited = [re.sub(r"\d+ s", "N s", line) for line in said[:2]]
    assert waited == [
        "Waiting up to N s for qwen (container a): starting: 60 %",
        "Waiting up to N s for qwen (container a): starting: 90 %",
    ]


async def test_one_that_a_busy_machine_made_unhealthy_is_waited_for(joining, source, said, servers, speaker):
    target = await servers(speaker(name="qwen"))
    source.put("container a", target, unhealthy="Health check exceeded timeout (3s)")
    waiting = asyncio.create_task(joining.ready(60))
    async with asyncio.timeout(30):
        while not said:  # noqa: ASYNC110 - it gives no sign
            await asyncio.sleep(0.01)
        source.put("container a", target)
        (model,) = await waiting
    assert model.name == "qwen"
    assert "unhealthy: it says that it is ready, but: Health check exceeded timeout (3s)" in said[0]


async def test_what_is_ready_at_the_end_of_the_wait_is_asked_and_the_rest_is_named(
    joining, source, said, servers, speaker, closed_port
):
    source.put("container a", await servers(speaker(name="qwen")))
    source.put("container b", closed_port, starting=True)
    assert [model.name for model in await joining.ready(0.1)] == ["qwen"]
    assert "container b: not asked: starting: nothing answers there yet" in said


@pytest.mark.parametrize(
    "state", [s for s in State if s not in (State.READY, State.STARTING, State.UNHEALTHY)]
)
async def test_what_will_not_be_ready_by_itself_is_not_waited_for(joining, source, servers, speaker, state):
    source.put("container a", await servers(speaker(name="qwen")))
    source.put("container b", state=state)
    async with asyncio.timeout(30):
        assert await joining.ready(3600)


async def test_with_a_choice_only_what_may_be_it_is_waited_for(
    joining, source, servers, speaker, closed_port
):
    source.put("container a", await servers(speaker(name="qwen")))
    source.put("container b", await servers(speaker(name="slow", state=pb.STATE_LOADING)))
    source.put("container c", closed_port, starting=True)
    async with asyncio.timeout(30):
        assert len(await joining.ready(3600, ["qwen"])) == 1
        waiting = asyncio.create_task(joining.ready(3600, ["later"]))
        until = source.looks + 3
        while source.looks < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert not waiting.done()
        source.put("container c", await servers(speaker(name="later")))
        assert [model.name for model in await waiting] == ["later"]


async def test_a_name_that_resolves_only_later_is_waited_for(joining, source, said, servers, speaker):
    source.error = SourceError("answer cannot be resolved", passing=True)
    waiting = asyncio.create_task(joining.ready(60))
    while not said:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    source.error = None
    source.put("answer:50051", await servers(speaker(name="qwen")))
    async with asyncio.timeout(30):
        assert len(await waiting) == 1
    assert "answer cannot be resolved" in said[0]


# ------------------------------------------------------------------------------------------------- errors


async def test_if_none_is_ready_each_is_named_with_its_reason(joining, source, servers, speaker):
    source.put("container a", await servers(speaker(name="qwen", state=pb.STATE_LOADING)))
    source.put("container b", state=State.EXITED, reason="exit 1: no weights")
    assert await error(joining, 0) == (
        "None of the models that are found is ready:\n"
        "  qwen (container a): starting\n"
        "  container b: exited: exit 1: no weights"
    )


async def test_a_choice_that_is_not_there_is_said_with_what_is(joining, source, servers, speaker):
    source.put("container a", await servers(speaker(name="qwen")))
    source.put("container b", state=State.EXITED, reason="exit 1: no weights")
    text = await error(joining, 0, ["qwem"])
    assert "--model qwem: no model of this name is found. Did you mean 'qwen'?" in text
    assert text.endswith(
        "It may be one of those that do not answer:\n  container b: exited: exit 1: no weights"
    )
    assert "There are: qwen." in await error(joining, 0, ["zzz"])


async def test_a_choice_that_is_not_ready_is_an_error_though_others_are(joining, source, servers, speaker):
    source.put("container a", await servers(speaker(name="qwen")))
    source.put("container b", await servers(speaker(name="slow", state=pb.STATE_LOADING)))
    assert await error(joining, 0, ["qwen", "slow"]) == "--model slow: container b: starting"


async def test_nothing_at_all_is_said_with_what_can_be_done(joining, source):
    assert await error(joining, 0) == (
        "No model is found: Docker runs no container with the label org.mmad.answer.contract.\n"
        "  Start some: docker compose up -d\n"
        "  Or let services of this checkout be started: --local chance --local template_diff\n"
        "  Or name those that run elsewhere: --endpoint NAME=TARGET, or --endpoints FILE"
    )


async def test_an_engine_that_cannot_be_asked_is_an_error_at_once(joining, source):
    source.error = SourceError("no Docker engine is running here", "Install or start Docker")
    async with asyncio.timeout(30):
        text = await error(joining, 3600)
    assert text.startswith(
        "No model is found: no Docker engine is running here.\n  Install or start Docker\n  Or let"
    )


def test_what_the_user_has_said_stands_before_what_is_wrong_with_it():
    text = str(nobody(Where("--discover docker:line3", "line3"), None, 2))
    assert text.startswith(
        "--discover docker:line3: Docker runs no container of the Compose project line3 with the label "
        "org.mmad.answer.contract (2 ended long ago).\n  Start some: docker compose -p line3 up -d\n"
    )
    text = str(nobody(Where("", name="a:1"), SourceError("x", "Is it running?")))
    assert text.startswith("No model is found: x.\n  Is it running?\n  Or ")


def test_before_the_data_is_read_nothing_is_asked_and_nothing_waited_for(fake_engine, closed_port):
    fake_engine.add("one", closed_port, state={"Health": {"Status": "starting"}})
    check(Where(""))
    fake_engine.containers.clear()
    with pytest.raises(EndpointError, match="Docker runs no container"):
        check(Where(""))


# ------------------------------------------------------------------------------------------- directories


async def test_a_directory_follows_a_container_that_comes_back_on_another_port(
    joining, source, servers, speaker, closed_port
):
    source.put("container a", await servers(speaker(name="qwen")))
    (model,) = await joining.ready(0)
    assert [e.target for e in await model.directory()] == [model.endpoints[0].target]
    source.put("container a", key="container a@1", state=State.STARTING)  # is between two lives
    assert await model.directory() == []
    source.put("container a", closed_port, key="container a@1", starting=True)
    assert [e.target for e in await model.directory()] == [
        closed_port
    ]  # not ready, and known by its container
    target = await servers(speaker(name="qwen"))
    source.put("container a", target, key="container a@1")
    (endpoint,) = await model.directory()
    assert (endpoint.name, endpoint.target, endpoint.origin) == ("qwen", target, "container a")


async def test_a_directory_lists_new_replicas_also_while_they_load_and_no_other_model(
    joining, source, servers, speaker
):
    source.put("container b", first := await servers(speaker(name="qwen")))
    (model,) = await joining.ready(0)
    source.put("container c", second := await servers(speaker(name="qwen", state=pb.STATE_LOADING)))
    source.put("container d", await servers(speaker(name="chance")))
    # The name is the run's by now, though this one comes first by name of its container.
    source.put("container a", await servers(speaker(name="qwen", checkpoint="v2")))
    assert {e.target for e in await model.directory()} == {first, second}


async def test_an_engine_that_does_not_answer_for_a_while_does_not_end_a_run(
    joining, source, servers, speaker
):
    source.put("container a", await servers(speaker(name="qwen")))
    (model,) = await joining.ready(0)
    source.error = SourceError("the Docker engine does not answer", "Start Docker")
    with pytest.raises(DirectoryError, match=r"^the Docker engine does not answer$"):
        await model.directory()
    source.error = None
    assert len(await model.directory()) == 1
