"""A container of an image: whatever the engine does is told in a line, and nothing is left behind."""

import os
import signal
import types
from unittest import mock

import docker.errors
import pytest
import requests.exceptions

from orchestrator.check.checking import _ending_like_ctrl_c
from orchestrator.check.container import ContainerOptions, started
from orchestrator.endpoints.discovery.connection import Connection
from orchestrator.errors import EndpointError

UPPER = docker.errors.APIError(
    "400", explanation="invalid reference format: repository name must be lowercase"
)
REMOVED = docker.errors.NotFound("404", explanation="No such container: 0123")
HANGING = requests.exceptions.ReadTimeout("read timed out")
NO_ENGINE = requests.exceptions.ConnectionError("connection refused")


@pytest.fixture
def client():
    """An SDK's client, whose image runs and is published at once."""
    client = mock.Mock()
    client.api.timeout = 60
    client.images.get.return_value = types.SimpleNamespace(
        id="sha256:0", labels={"org.mmad.answer.port": "50052"}, attrs={"Config": {}}
    )
    container = client.containers.create.return_value
    container.attrs = {"State": {"Status": "running", "ExitCode": 0}}
    container.ports = {"50052/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40000"}]}
    return client


@pytest.fixture
def container(client):
    """What the SDK returns for the container."""
    return client.containers.create.return_value


@pytest.fixture
def start(client):
    """Start a container of an image of this name, at an engine of this host."""

    def call(name="an/image", host="127.0.0.1"):
        return started(Connection(client, "unix:///x.sock", host), name, ContainerOptions())

    return call


def removed(client):
    """The containers that were removed, by name."""
    return [call.args[0] for call in client.api.remove_container.call_args_list]


def made(client):
    """How the container was made."""
    return client.containers.create.call_args.kwargs


def test_what_cannot_be_an_images_name_is_told_as_such(client, start):
    client.images.get.side_effect = UPPER
    with (
        pytest.raises(EndpointError, match=r"Foo:bar is neither an address .*must be lowercase"),
        start("Foo:bar"),
    ):
        pass


def test_an_engine_that_hangs_is_told_as_such(client, start):
    client.images.get.side_effect = HANGING
    with pytest.raises(EndpointError, match=r"an/image cannot be looked for: .* within 60 s"), start():
        pass


@pytest.mark.parametrize("step", ["create", "start"])
def test_a_container_that_is_not_made_in_time_is_removed_by_its_name(client, container, start, step):
    (client.containers.create if step == "create" else container.start).side_effect = HANGING
    with (
        pytest.raises(EndpointError, match=r"an/image cannot be started: .* does not answer within 60 s"),
        start(),
    ):
        pass
    assert removed(client) == [made(client)["name"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_keep_the_container_from_being_removed(client, start, number):
    def slow_removal(name, **how):
        os.kill(os.getpid(), number)
        completed.append(name)

    completed = []
    client.api.remove_container.side_effect = slow_removal
    with pytest.raises(KeyboardInterrupt), _ending_like_ctrl_c(), start():
        os.kill(os.getpid(), number)
    assert completed == [made(client)["name"]]


def test_a_container_that_cannot_be_removed_is_named(client, start):
    client.api.remove_container.side_effect = NO_ENGINE
    with pytest.raises(EndpointError, match=r"the container orchestrator-check-\w+ is left"), start():
        pass


def test_a_container_that_is_removed_meanwhile_is_gone(client, container, start):
    client.api.remove_container.side_effect = REMOVED
    with start() as running:
        container.reload.side_effect = container.kill.side_effect = container.logs.side_effect = REMOVED
        assert "No such container: 0123" in running.gone()
        assert running.last_words() == ""
        running.terminate()  # there is nothing left to do
        with pytest.raises(EndpointError, match="No such container"):
            running.image.container_health()
        with pytest.raises(EndpointError, match="No such container"):
            running.target()


@pytest.mark.parametrize("error", [REMOVED, NO_ENGINE, HANGING])
async def test_of_a_container_that_nobody_can_look_at_the_exit_code_is_unknown(container, start, error):
    with start() as running:
        container.reload.side_effect = error
        assert await running.exited() is None


def test_an_engine_that_is_lost_is_told_when_the_container_is_to_be_stopped(container, start):
    with start() as running:
        container.kill.side_effect = NO_ENGINE
        with pytest.raises(EndpointError, match="cannot be stopped"):
            running.terminate()


def test_how_it_ended_is_told(container, start):
    container.attrs["State"] = {"Status": "exited", "ExitCode": 137, "OOMKilled": True}
    container.logs.return_value = b"one\n\x1b[31mERROR\x1b[0m two \x1b]0;title\x07\n"
    with start() as running:
        assert running.gone() == "its container has exited with code 137 for lack of memory"
        assert running.last_words() == "Its container's last words:\n    one\n    ERROR two"


@pytest.mark.parametrize(
    ("host", "published", "target"),
    [
        ("127.0.0.1", ("127.0.0.1", 0), "127.0.0.1:40000"),
        ("gpu-1", 0, "gpu-1:40000"),
        ("fd00::1", 0, "[fd00::1]:40000"),
    ],
)
def test_it_is_published_where_it_can_be_reached(client, start, host, published, target):
    with start(host=host) as running:
        assert running.target() == target
    assert made(client)["ports"] == {"50052/tcp": published}


@pytest.mark.parametrize("label", ["70000", "0", "http", ""])
def test_a_port_that_is_none_stops_nothing_but_the_promise_about_labels(client, start, label):
    client.images.get.return_value.labels = {"org.mmad.answer.port": label}
    with start() as running:
        assert list(made(client)["ports"]) == ["50051/tcp"]
        assert running.assumption == (
            f"Its label org.mmad.answer.port is {label!r}, which is no port; 50051 is tried."
        )


def test_the_port_of_an_image_that_names_none_is_assumed_and_of_one_that_does_nothing_is(client, start):
    with start() as running:
        assert running.assumption == ""
    client.images.get.return_value.labels = {}
    with start() as running:
        assert running.assumption == "Its label org.mmad.answer.port is missing; 50051 is tried."
