"""One name for everybody: what it resolves to."""

import socket

import pytest

from orchestrator.endpoints import dns
from orchestrator.endpoints.discovery import alias as module
from orchestrator.endpoints.discovery.alias import Alias
from orchestrator.endpoints.discovery.place import SourceError
from orchestrator.endpoints.discovery.survey import Survey
from orchestrator.vocabulary import ReplicaState as State


@pytest.fixture
def resolve(monkeypatch):
    """Let names resolve to these addresses."""

    def to(*hosts):
        def getaddrinfo(name, port, **kind):
            if not hosts:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            families = {host: socket.AF_INET6 if ":" in host else socket.AF_INET for host in hosts}
            return [(families[host], socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

        monkeypatch.setattr(dns.socket, "getaddrinfo", getaddrinfo)

    return to


def test_each_address_is_a_place_once(resolve):
    resolve("172.18.0.10", "172.18.0.9", "172.18.0.10")
    places = Alias("answer:50051").look().places
    assert {place.targets for place in places} == {("172.18.0.9:50051",), ("172.18.0.10:50051",)}
    assert len(places) == 2
    assert {place.origin for place in places} == {"answer:50051"}


def test_a_container_with_both_kinds_of_address_is_one_place(resolve):
    resolve("fd00::2", "172.18.0.9")
    assert [place.targets for place in Alias("answer:50051").look().places] == [("172.18.0.9:50051",)]
    resolve("fd00::2")
    assert [place.targets for place in Alias("answer:50051").look().places] == [("[fd00::2]:50051",)]


def test_a_name_that_nothing_has_is_said_and_worth_waiting_for(resolve):
    resolve()
    with pytest.raises(SourceError, match="answer has no address: there is no host of that name") as error:
        Alias("answer:50051").look()
    assert "aliases: [answer]" in error.value.remedy
    assert error.value.passing


def test_an_address_that_says_nothing_is_starting_at_first(resolve, monkeypatch):
    resolve("172.18.0.9")
    alias = Alias("answer:50051")
    assert alias.look().places[0].starting
    monkeypatch.setattr(module, "_START_SECONDS", 0.0)
    assert not alias.look().places[0].starting


async def test_replicas_are_grouped_by_what_each_address_says(resolve, servers, speaker, unused_tcp_port):
    services = {"127.0.0.1": "qwen", "127.0.0.2": "chance", "127.0.0.3": "qwen"}
    for host, name in services.items():
        await servers(speaker(name=name), target=f"{host}:{unused_tcp_port}")
    resolve(*services)
    survey = Survey(Alias(f"answer:{unused_tcp_port}"))
    found = [(r.name, r.target.rpartition(":")[0], r.state) for r in (await survey.look()).replicas]
    assert found == [
        ("chance", "127.0.0.2", State.READY),
        ("qwen", "127.0.0.1", State.READY),
        ("qwen", "127.0.0.3", State.READY),
    ]
