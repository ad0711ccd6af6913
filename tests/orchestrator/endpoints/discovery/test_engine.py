"""The Docker SDK, talking to an engine over HTTP; and what is said about one that cannot be asked."""

import hashlib
import json
import re
import socket
import threading

import pytest

from orchestrator.endpoints.discovery import engine as module
from orchestrator.endpoints.discovery.engine import DockerEngine
from orchestrator.endpoints.discovery.place import SourceError


@pytest.fixture
def asked():
    """Ask the engine at an address; return the error that this raises."""

    def ask(address):
        engine = DockerEngine({"DOCKER_HOST": address})
        with pytest.raises(SourceError) as error:
            engine.containers("")
        assert "\n" not in str(error.value)
        return error.value

    return ask


@pytest.fixture
def docker(fake_engine):
    engine = DockerEngine({"DOCKER_HOST": fake_engine.address})
    yield engine
    engine.close()


def test_all_containers_with_the_label_are_found_ended_ones_too(fake_engine, docker):
    fake_engine.add("up", "127.0.0.1:1")
    fake_engine.add("down", state={"Status": "exited"})
    del fake_engine.add("other")["Config"]["Labels"]["org.mmad.answer.contract"]
    assert [c["Name"] for c in docker.containers("")] == ["/up", "/down"]


def test_of_a_project_only_its_own_are_found(fake_engine, docker):
    fake_engine.add("a", labels={"com.docker.compose.project": "one"})
    fake_engine.add("b", labels={"com.docker.compose.project": "two"})
    assert [c["Name"] for c in docker.containers("two")] == ["/b"]


def test_a_container_that_is_removed_while_they_are_listed_is_passed_over(fake_engine, docker, monkeypatch):
    fake_engine.add("here")
    gone = fake_engine.add("gone")
    inspect = docker._connected().api.inspect_container

    def remove_then_inspect(identifier):
        if gone in fake_engine.containers:
            fake_engine.containers.remove(gone)
        return inspect(identifier)

    monkeypatch.setattr(docker._client.api, "inspect_container", remove_then_inspect)
    assert [c["Name"] for c in docker.containers("")] == ["/here"]


def test_the_last_thing_that_a_container_said_is_one_line_that_cannot_command_a_terminal(fake_engine, docker):
    container = fake_engine.add("one")
    fake_engine.logs["one"] = "first\nno \x1b[2J weights\n\n"
    assert docker.last_log_line(container["Id"]) == "no [2J weights"


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
        assert len(docker.containers("")) == 1
    finally:
        again.stop()


def test_published_ports_are_where_the_engine_is():
    hosts = {
        "unix:///var/run/docker.sock": "127.0.0.1",
        "tcp://gpu-1:2376": "gpu-1",
        "ssh://me@gpu-2": "gpu-2",
    }
    for address, host in hosts.items():
        assert DockerEngine({"DOCKER_HOST": address}).host == host


def test_without_docker_host_the_current_context_counts(tmp_path, monkeypatch):
    """Docker Desktop and rootless engines have their sockets elsewhere, and say so in a context."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"rootless").hexdigest()
    meta.mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "rootless"}))
    endpoint = {"Host": "unix:///run/user/1000/docker.sock", "SkipTLSVerify": False}
    (meta / "meta.json").write_text(
        json.dumps({"Name": "rootless", "Metadata": {}, "Endpoints": {"docker": endpoint}})
    )
    engine = DockerEngine({"DOCKER_CONTEXT": "rootless"})
    with pytest.raises(SourceError, match=re.escape("there is no /run/user/1000/docker.sock")):
        engine.containers("")


# ------------------------------------------------------------------------------- what cannot be asked


def test_an_engine_that_is_not_there_is_said_to_be(asked, tmp_path):
    error = asked(f"unix://{tmp_path}/docker.sock")
    assert str(error) == f"no Docker engine is running here (there is no {tmp_path}/docker.sock)"
    assert error.remedy == "Install or start Docker"


def test_a_socket_that_nobody_serves_is_told_from_one_that_is_not_there(asked, tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/docker.sock")
    error = asked(f"unix://{tmp_path}/docker.sock")
    assert str(error) == f"no Docker engine listens at unix://{tmp_path}/docker.sock"
    assert error.remedy == "Start Docker"


def test_a_user_who_may_not_open_the_socket_is_told_of_the_group(asked, monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    # Whoever runs the tests as root may open everything.
    monkeypatch.setattr(module.socket, "socket", type("Socket", (socket.socket,), {"connect": refuse}))
    error = asked("unix:///var/run/docker.sock")
    assert "this user may not open the Docker engine's socket /var/run/docker.sock" in str(error)
    assert "usermod -aG docker" in error.remedy


def test_a_host_that_nobody_knows_is_said_with_where_it_comes_from(asked):
    error = asked("tcp://no-such-host.invalid:2375")
    assert "tcp://no-such-host.invalid:2375 cannot be reached" in str(error)
    assert error.remedy == "Check DOCKER_HOST"


def test_an_engine_that_takes_the_connection_and_never_answers_is_not_waited_for(asked, monkeypatch):
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = asked(f"tcp://127.0.0.1:{server.getsockname()[1]}")
    assert "does not answer within 0.3 s" in str(error)


def test_a_proxy_that_does_not_let_a_request_through_is_said_with_what_it_said(asked, fake_engine):
    fake_engine.refusal = 403
    error = asked(fake_engine.address)
    assert "refuses: forbidden by a rule" in str(error)
    assert "docs/discovery.md" in error.remedy


def test_what_is_no_engine_is_said(asked):
    def talk():
        connection = server.accept()[0]  # the attempt that finds out whether anything listens
        connection.close()
        connection = server.accept()[0]
        connection.recv(1000)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        error = asked(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join(10)
    assert "cannot be asked" in str(error)


@pytest.mark.parametrize("address", ["garbage", "ftp://x", "tcp://host:port"])
def test_an_address_that_is_none_is_said(asked, address):
    error = asked(address)
    assert address in str(error)
