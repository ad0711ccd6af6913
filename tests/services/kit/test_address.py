"""Which addresses can be listened on, and whose socket files stay."""

import socket
from pathlib import Path

import pytest

from mmad_answer.address import ListenError, probe
from mmad_answer.server import AnswerServer, Settings


@pytest.fixture
def server(scripted):
    def make(address):
        return AnswerServer(scripted(), Settings(address=address), {})

    return make


async def refusal(server):
    with pytest.raises(ListenError) as refused:
        await server.start()
    await server.abandon()
    return str(refused.value)


async def test_a_unix_socket_in_use_is_refused_and_stays_its_owners(serve, scripted, server, ask, tmp_path):
    address = f"unix://{tmp_path}/s"
    served = await serve(scripted(), address=address)
    assert await refusal(server(address)) == (
        f"cannot listen on {address}: Address already in use: choose another path"
    )
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]
    assert [each.name for each in tmp_path.iterdir()] == ["s"]


async def test_a_stale_socket_file_is_replaced_and_removed_in_the_end(serve, scripted, ask, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    served = await serve(scripted(), address=f"unix://{path}")
    assert await served.answers(served.stub.Answer(ask())) == [("q1", "A")]
    await served.server.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_socket_that_has_taken_the_name_since_stays(serve, scripted, tmp_path):
    path = tmp_path / "s"
    served = await serve(scripted(), address=f"unix://{path}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        await served.server.close()
        assert path.is_socket()


async def test_a_file_that_is_no_socket_stays(server, tmp_path):
    path = tmp_path / "weights"
    path.write_text("dear")
    assert "Address already in use" in await refusal(server(f"unix://{path}"))
    assert path.read_text() == "dear"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("unix:///no/such/folder/x.sock", "No such file or directory"),
        ("unix:", "neither host:port nor unix:///path"),
        ("unix://", "neither host:port nor unix:///path"),
        ("unix:///tmp/" + "x" * 200, "path too long"),
    ],
)
def test_why_a_unix_socket_cannot_be_had_is_said(address, said):
    with pytest.raises(ListenError, match=said):
        probe(address)


def test_a_path_from_the_working_folder_is_a_path_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    probe("unix:s")
    assert list(Path().iterdir()) == []
