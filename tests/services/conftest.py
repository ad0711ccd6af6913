"""Services as processes of their own in environments of their own, and a client's view of them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
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
# checkpoint that is not where it should be is not looked for elsewhere.
SETTINGS = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "environment" in getattr(item, "fixturenames", ()):
            item.add_marker("environments")


@dataclasses.dataclass
class Service:
    """A service in a process of its own, ready to answer."""

    process: subprocess.Popen
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
        stub = health_pb2_grpc.HealthStub(self.channel)
        while stub.Check(health_pb2.HealthCheckRequest(service=NAME), timeout=60).status != 1:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)


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
def command(environment):
    """Give the command line and the environment variables that start a service, by its folder's name."""

    def make(name, *options):
        serve = [
            environment(f"services/{name}"),
            "-P",
            "-m",
            "mmad_answer",
            "serve",
            ROOT / "services" / name,
        ]
        line = [*serve, "--host", "127.0.0.1", "--port", "0", "--exit-with-parent", *options]
        return {"args": [str(each) for each in line], "env": {**os.environ, **SETTINGS}}

    return make


@pytest.fixture(scope="session")
def running(command, tmp_path_factory):
    """Run a service, with `with`: `running("qwen_vl", "--checkpoint", folder)` gives a `Service`."""

    @contextlib.contextmanager
    def start(name, *options):
        log = tmp_path_factory.mktemp(name) / "log"
        with (
            log.open("w") as stderr,
            subprocess.Popen(
                **command(name, *options), stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process,
        ):
            try:
                line = process.stdout.readline()
                assert " listening on " in line, log.read_text()
                with grpc.insecure_channel(line.rsplit(" ", 1)[1].strip()) as channel:
                    service = Service(process, channel, log)
                    service.await_ready()
                    yield service
            finally:
                process.kill()

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
