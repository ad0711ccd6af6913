"""The Docker SDK, talking to an engine over HTTP."""

import pytest

from orchestrator.endpoints.discovery.engine import DockerEngine
from orchestrator.endpoints.discovery.place import SourceError


@pytest.fixture
def docker(fake_engine):
    engine = DockerEngine({"DOCKER_HOST": fake_engine.address})
    yield engine
    engine.close()


def names(found):
    described, _ = found
    return [container["Name"] for container in described]


def test_all_containers_with_the_label_are_found_ended_ones_too(fake_engine, docker):
    fake_engine.add("up", "127.0.0.1:1")
    fake_engine.add("down", state={"Status": "exited"})
    del fake_engine.add("other")["Config"]["Labels"]["org.mmad.answer.contract"]
    assert names(docker.containers("")) == ["/up", "/down"]


def test_of_a_project_only_its_own_are_found(fake_engine, docker):
    fake_engine.add("a", labels={"com.docker.compose.project": "one"})
    fake_engine.add("b", labels={"com.docker.compose.project": "two"})
    assert names(docker.containers("two")) == ["/b"]


def test_a_container_that_is_removed_while_they_are_listed_is_passed_over(fake_engine, docker, monkeypatch):
    fake_engine.add("here")
    gone = fake_engine.add("gone")
    docker.containers("")
    api = docker._connection.client.api
    inspect = api.inspect_container

    def remove_then_inspect(identifier):
        if gone in fake_engine.containers:
            fake_engine.containers.remove(gone)
        return inspect(identifier)

    monkeypatch.setattr(api, "inspect_container", remove_then_inspect)
    assert names(docker.containers("")) == ["/here"]


def test_a_container_that_the_engine_cannot_describe_does_not_hide_the_others(fake_engine, docker):
    fake_engine.add("one")
    fake_engine.add("half-deleted")
    fake_engine.broken["half-deleted"] = 500
    described, unreadable = docker.containers("")
    assert [container["Name"] for container in described] == ["/one"]
    assert [(each.name, each.why) for each in unreadable] == [("half-deleted", "layer does not exist")]


def test_a_proxy_that_lets_no_description_through_is_not_taken_for_broken_containers(fake_engine, docker):
    fake_engine.add("one")
    fake_engine.broken["one"] = 403
    with pytest.raises(SourceError, match="refuses: layer does not exist"):
        docker.containers("")


def test_the_last_thing_that_a_container_said_is_one_line_that_cannot_command_a_terminal(fake_engine, docker):
    container = fake_engine.add("one")
    fake_engine.logs["one"] = "first\n\x1b[1;31mno \x1b[2J\a weights\x1b[0m\n\x1b[0m\n"
    assert docker.last_log_line(container["Id"]) == "no weights"


def test_a_log_that_cannot_be_read_is_as_good_as_none(fake_engine, docker):
    assert docker.last_log_line("0" * 64) == ""


def test_an_engine_that_was_started_anew_is_asked_again(fake_engine, docker):
    docker.containers("")
    port = fake_engine.server_port
    fake_engine.stop()
    docker.close()  # the engine closes connections when it ends, which `stop` does not
    with pytest.raises(SourceError, match="no Docker engine listens"):
        docker.containers("")
    again = type(fake_engine)(port)
    try:
        again.add("one")
        assert names(docker.containers("")) == ["/one"]
    finally:
        again.stop()


def test_a_proxy_that_does_not_let_a_request_through_is_said_with_what_it_said(fake_engine, docker):
    fake_engine.refusal = 403
    with pytest.raises(SourceError, match="refuses: forbidden by a rule") as error:
        docker.containers("")
    assert "docs/discovery.md" in error.value.remedy
