"""Which engine is asked, and what is said about one that cannot be."""

import hashlib
import http.server
import importlib.util
import json
import socket
import threading

import pytest

from orchestrator.endpoints.discovery import connection as module
from orchestrator.endpoints.discovery.connection import connect, published_at
from orchestrator.endpoints.discovery.place import SourceError


@pytest.fixture
def refused():
    """Connect in an environment; return the error that this raises."""

    def of(environment, **changes):
        with pytest.raises(SourceError) as error:
            connect(environment, **changes)
        assert "\n" not in str(error.value)
        return error.value

    return of


@pytest.fixture
def asked(refused):
    """Connect to an address; return the error that this raises."""
    return lambda address, **changes: refused({"DOCKER_HOST": address}, **changes)


@pytest.fixture
def contexts(tmp_path, monkeypatch):
    """Docker's settings, which say that the context `rootless` is the current one."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"rootless").hexdigest()
    meta.mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "rootless"}))
    endpoint = {"Host": "unix:///run/user/1000/docker.sock", "SkipTLSVerify": False}
    (meta / "meta.json").write_text(
        json.dumps({"Name": "rootless", "Metadata": {}, "Endpoints": {"docker": endpoint}})
    )
    return tmp_path


def test_published_ports_are_where_the_engine_is():
    hosts = {
        "unix:///var/run/docker.sock": "127.0.0.1",
        "tcp://gpu-1:2376": "gpu-1",
        "tcp://[fd00::1]:2376": "fd00::1",
        "ssh://me@gpu-2": "gpu-2",
    }
    for address, host in hosts.items():
        assert published_at(address) == host


def test_an_engine_that_answers_is_given_with_where_it_is(fake_engine):
    connection = connect({"DOCKER_HOST": fake_engine.address})
    assert (connection.address, connection.host) == (fake_engine.address, "127.0.0.1")
    assert connection.client.version()["ApiVersion"]
    connection.close()


# ------------------------------------------------------------------------------------------- contexts


@pytest.mark.parametrize("environment", [{"HOME": "/"}, {"DOCKER_CONTEXT": "rootless"}])
def test_without_docker_host_the_current_context_counts(contexts, refused, environment):
    """Docker Desktop and rootless engines have their sockets elsewhere, and say so in a context."""
    if "DOCKER_CONTEXT" in environment:
        (contexts / "config.json").write_text("{}")
    assert "there is no /run/user/1000/docker.sock" in str(refused(environment))


def test_docker_host_counts_more_than_a_context(contexts, refused):
    environment = {"DOCKER_HOST": f"unix://{contexts}/other.sock", "DOCKER_CONTEXT": "rootless"}
    assert f"there is no {contexts}/other.sock" in str(refused(environment))


def test_a_context_that_is_not_there_is_refused(contexts, refused):
    """The engine of this machine would answer, with containers that nobody has asked for."""
    error = refused({"DOCKER_CONTEXT": "gpu-machine"})
    assert error.sentences() == (
        "there is no Docker context 'gpu-machine'. `docker context ls` lists those there are."
    )


@pytest.mark.parametrize("text", ["{", "[]"])
def test_settings_of_docker_that_cannot_be_read_are_refused(contexts, refused, text):
    (contexts / "config.json").write_text(text)
    error = refused({"HOME": "/"})
    assert f"Docker's settings {contexts}/config.json cannot be read" in str(error)
    assert error.remedy == "Mend it, or set DOCKER_HOST"


@pytest.mark.parametrize("text", ["{", "{}"])
def test_a_context_that_cannot_be_read_is_refused(contexts, refused, text):
    (meta,) = contexts.glob("contexts/meta/*/meta.json")
    meta.write_text(text)
    assert "the Docker context 'rootless' cannot be read" in str(refused({"HOME": "/"}))


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


def test_an_engine_that_takes_the_connection_and_never_answers_is_not_waited_for(asked):
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = asked(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout_seconds=1)
    assert "does not answer within 1 s" in str(error)


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


@pytest.mark.parametrize("address", ["garbage", "ftp://x", "tcp://host:port", "tcp://[::1"])
def test_an_address_that_is_none_is_said(asked, address):
    error = asked(address)
    assert address in str(error)


@pytest.mark.parametrize("reply", [b"{}", b"[]", b"<html></html>"])
def test_a_web_server_that_is_no_engine_is_said_to_be_none(asked, reply):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        error = asked(f"tcp://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert f"tcp://127.0.0.1:{server.server_port} cannot be asked" in str(error)


def test_an_address_over_ssh_says_what_the_sdk_needs_for_it(asked, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "paramiko" else find(name))
    error = asked("ssh://me@gpu-2")
    assert error.sentences() == (
        "ssh://me@gpu-2 needs what is not installed. Install it: pip install 'docker[ssh]'."
    )
