"""Services as processes of their own in environments of their own, and a client's view of them."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAME = "mmad.answer.v1.AnswerService"
# One thread: the tests run on all cores already, and a sum's order is then always the same. Offline: a
# checkpoint that is not where it should be is not looked for elsewhere. Compiled modules are kept, even where
# the machine says otherwise: compiling torch and transformers anew is more than half of a service's start.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "environment" in getattr(item, "fixturenames", ()):
            item.add_marker("environments")


@dataclasses.dataclass
class Service:
    """A service in a process of its own, ready to answer."""

    process: subprocess.Popen
    target: str
    channel: grpc.Channel
    log: Path

    @property
    def stub(self):
        return answer_pb2_grpc.AnswerServiceStub(self.channel)

    def card(self):
        return self.stub.GetModel(pb.GetModelRequest(), timeout=60)

    def ask(self, request):
        """Send one inspection; {question id: response}."""
        return {each.question_id: each for each in self.stub.Answer(request, timeout=120)}

    def await_ready(self, seconds=120.0):
        end = time.monotonic() + seconds
        health = health_pb2_grpc.HealthStub(self.channel)
        status = None
        while status != health_pb2.HealthCheckResponse.SERVING:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)
            with contextlib.suppress(grpc.RpcError):  # it has just ended
                status = health.Check(health_pb2.HealthCheckRequest(service=NAME), timeout=60).status


@pytest.fixture(scope="session")
def environment():
    """Give the interpreter of an environment: `environment("services/qwen_vl")`. What is missing fails."""

    def interpreter(folder):
        stamp = ROOT / folder / ".venv" / ".installed"
        if not stamp.exists():
            pytest.fail(f"{folder} has no environment here: make {stamp.relative_to(ROOT)}", pytrace=False)
        return stamp.parent / "bin" / "python"

    return interpreter


@pytest.fixture(scope="session")
def variables():
    """The environment variables of a process that a test starts."""
    return {**os.environ, **SETTINGS}


@pytest.fixture(scope="session")
def command(environment):
    """Give the command line and the environment variables that start a service, by its folder's name.

    `folder` is for a service of the tests' own that runs in another one's environment.
    """

    def make(name, *options, folder=None):
        python, place = environment(f"services/{name}"), folder or ROOT / "services" / name
        serve = [python, "-P", "-m", "mmad_answer", "serve", place]
        line = [*serve, "--host", "127.0.0.1", "--port", "0", "--exit-with-parent", *options]
        return {"args": [str(each) for each in line], "env": {**os.environ, **SETTINGS}}

    return make


@pytest.fixture(scope="session")
def running(command, tmp_path_factory):
    """Run a service, with `with`: `running("qwen_vl", "--checkpoint", folder)` gives a `Service`."""

    @contextlib.contextmanager
    def start(name, *options, **more):
        log = tmp_path_factory.mktemp(name) / "log"
        with (
            log.open("w") as stderr,
            subprocess.Popen(
                **command(name, *options, **more), stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process,
        ):
            try:
                line = process.stdout.readline()
                assert " listening on " in line, log.read_text()
                target = line.rsplit(" ", 1)[1].strip()
                with grpc.insecure_channel(target) as channel:
                    service = Service(process, target, channel, log)
                    service.await_ready()
                    yield service
            finally:
                process.kill()

    return start


@pytest.fixture
def told(command):
    """What a service that must not start prints: its one line.

    `without` is a command that starts it with fewer rights.
    """

    def start(name, *options, without=()):
        line = command(name, *options)
        line["args"] = [*without, *line["args"]]
        ended = subprocess.run(**line, capture_output=True, text=True, timeout=200)
        assert ended.returncode == 1, ended.stderr
        # It is alive and says so while it loads, and was never ready: a service that was ready does not end.
        assert re.fullmatch(r"\S+ listening on \S+\n", ended.stdout)
        [line] = ended.stderr.splitlines()
        return line

    return start


@pytest.fixture(scope="session")
def tiny(environment, tmp_path_factory):
    """Make a tiny checkpoint, once for all tests: `tiny("llava_1_6")` gives its folder."""
    own = tmp_path_factory.getbasetemp()
    made = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "tiny"

    def make(name):
        if not (made / name).exists():
            [script] = HERE.glob(f"*/tiny/{name}.py")
            python, folder = environment(f"services/{script.parents[1].name}"), tmp_path_factory.mktemp(name)
            build = subprocess.run(
                [python, HERE / "tiny" / "build.py", script, folder],
                env={**os.environ, **SETTINGS},
                capture_output=True,
                text=True,
            )
            assert build.returncode == 0, build.stderr
            made.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):  # another process was first
                folder.rename(made / name)
        return made / name

    return make


@dataclasses.dataclass
class Asked:
    """A request as it came over the socket."""

    method: str
    path: str
    headers: dict[str, str]
    body: object
    arrived: float


class ProviderServer(http.server.ThreadingHTTPServer):
    """A provider over a real socket: it keeps what it was asked, and plays what a test says.

    A play is a function of the handler. POSTs take the next of `plays`, and the last one again and again;
    GETs take `on_get`.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _ProviderHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked = []
        self.on_get = self.reply(200, {"object": "model"})
        self.plays = []
        self.lock = threading.Lock()
        self.unanswered = set()
        self.under_way = []
        """How many POSTs were, as each came."""
        self.ended = threading.Event()
        self.arrived = threading.Semaphore(0)
        """Counts the POSTs."""
        self.hung_up = threading.Semaphore(0)
        """Counts the callers that were gone before they had a reply."""

    @property
    def posts(self):
        return [each for each in self.asked if each.method == "POST"]

    def play(self, *plays):
        self.plays = list(plays)

    def next_play(self):
        with self.lock:
            return self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]

    def handle_error(self, request, client_address):
        """A caller that is gone is no error here."""

    @staticmethod
    def reply(status, body, /, **headers):
        """A whole reply: a JSON value, or a text as it is. Header names have _ for -."""

        def play(handler):
            text = body if isinstance(body, str) else json.dumps(body)
            kind = "text/html; charset=utf-8" if isinstance(body, str) else "application/json"
            handler.send_response(status)
            named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
            for name, value in ({"content-type": kind, "content-length": len(text.encode())} | named).items():
                handler.send_header(name, str(value))
            handler.server.unanswered.discard(handler)  # before its caller can send the next
            handler.end_headers()
            handler.wfile.write(text.encode())

        return play

    @staticmethod
    def reset():
        """A connection that is reset (RST) instead of a reply."""

        def play(handler):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(handler.connection.detach())
            raise ConnectionResetError

        return play

    @staticmethod
    def half(body):
        """The first half of a reply, and then the end of the connection."""

        def play(handler):
            text = json.dumps(body).encode()
            handler.send_response(200)
            handler.send_header("content-type", "application/json")
            handler.send_header("content-length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text[: len(text) // 2])
            handler.close_connection = True

        return play

    @staticmethod
    def silence():
        """No reply, until the caller hangs up or the test is over."""

        def play(handler):
            handler.connection.settimeout(0.05)
            while not handler.server.ended.is_set():
                with contextlib.suppress(TimeoutError):
                    assert handler.connection.recv(1) == b"", "one request at a time"
                    handler.server.hung_up.release()
                    break
            handler.close_connection = True

        return play


class _ProviderHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._keep("GET")
        self.server.on_get(self)

    def do_POST(self):
        self._keep("POST")
        with self.server.lock:
            self.server.unanswered.add(self)
            self.server.under_way.append(len(self.server.unanswered))
        self.server.arrived.release()
        try:
            self.server.next_play()(self)
        finally:
            self.server.unanswered.discard(self)

    def _keep(self, method):
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(content) if content else None
        self.server.asked.append(Asked(method, self.path, headers, body, time.monotonic()))

    def log_message(self, *_):
        """Tests say what they want to know."""


@pytest.fixture
def provider():
    """A `ProviderServer`, listening."""
    server = ProviderServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()
