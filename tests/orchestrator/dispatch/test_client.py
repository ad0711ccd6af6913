"""How a connection is made."""

import pytest

from orchestrator.dispatch.client import Client
from orchestrator.dispatch.pace import Pace
from orchestrator.vocabulary import Endpoint


@pytest.mark.parametrize(
    ("target", "direct"),
    [
        ("127.0.0.1:50051", True),
        ("localhost:50051", True),
        ("dns:///localhost:50051", True),
        ("[::1]:50051", True),
        ("unix:///run/answer.sock", True),
        ("10.1.2.3:50051", True),
        ("172.18.0.5:50051", True),
        ("[fd00::5]:50051", True),
        ("8.8.8.8:50051", False),
        ("gpu1:50051", False),
        ("dns:///models.example.com:50051", False),
    ],
)
async def test_the_proxy_of_the_environment_stands_before_no_private_address(monkeypatch, target, direct):
    options = {}
    monkeypatch.setattr("grpc.aio.insecure_channel", Recorded(options))
    Client(Endpoint("model", target, "test"), Pace())
    assert (options.get("grpc.enable_http_proxy") == 0) == direct


class Recorded:
    """In place of a channel, what it would be made with."""

    def __init__(self, options):
        self._options = options

    def __call__(self, target, options):
        self._options.update(options)
        return self

    def unary_unary(self, method):
        return None

    unary_stream = unary_unary
