"""The service as the kit loads it, and the API that it speaks to: a process that has the published schema."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mmad_answer.loading import find_model_class

FOLDER = Path(__file__).parents[3] / "services" / "gemini_proxy"
MODEL_CLASS = find_model_class(FOLDER)  # puts the folder on the path, as when the service is started
sys.modules.pop("service", None)

KEY = "test-key-4f1d0c8e"
GOOGLE_RPC = "type.googleapis.com/google.rpc."


def _error(code, status, message="what the provider says", *details):
    """The body of an error; details are (kind, fields)."""
    packed = [{"@type": GOOGLE_RPC + kind, **fields} for kind, fields in details]
    return {"error": {"code": code, "status": status, "message": message, "details": packed}}


def _candidate(text="A", finish="STOP", thoughts="", **fields):
    """The body of a reply with one candidate."""
    parts = [{"text": thoughts, "thought": True}] if thoughts else []
    parts += [{"text": text}] if text else []
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, **fields}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 1}}


@pytest.fixture(scope="session")
def error():
    return _error


@pytest.fixture(scope="session")
def candidate():
    return _candidate


@pytest.fixture(scope="session")
def key():
    return KEY


class Api:
    """The provider, as a test directs it."""

    def __init__(self, address):
        self.address = address

    def play(self, *replies):
        """Forget all requests, and give these replies; see `Reply` in schema/server.py for their fields."""
        body = json.dumps(replies).encode()
        request = urllib.request.Request(f"{self.address}/script", body, method="PUT")
        with urllib.request.urlopen(request, timeout=60) as response:
            assert response.status == 200

    @property
    def requests(self):
        """The calls of generateContent since the last `play`; each was as the schema demands, if it says no
        `problem`.
        """
        return [each for each in self._record() if each["method"] == "POST"]

    def _record(self):
        with urllib.request.urlopen(f"{self.address}/record", timeout=60) as response:
            return json.load(response)


@pytest.fixture(scope="session")
def schema(environment):
    """The interpreter that has the published schema."""
    return environment("tests/services/gemini_proxy/schema")


@pytest.fixture(scope="session")
def provider(schema):
    server = Path(__file__).parent / "schema" / "server.py"
    command = [schema, server, "--key", KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Api(process.stdout.readline().strip())
        process.stdin.close()  # which ends it


@pytest.fixture
def api(provider):
    """The provider, with nothing to play and nothing recorded."""
    provider.play()
    return provider
