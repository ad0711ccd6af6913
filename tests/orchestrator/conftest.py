"""Small data sets in memory, for everything that reads no image; and the command line on small drawn ones."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable

import pytest

from orchestrator.vocabulary import Dataset, Option, Question, QuestionType, Sample

ROOT = pathlib.Path(__file__).parents[2]
DETECTION = (Option("A", "Yes."), Option("B", "No."))
KINDS = (Option("A", "Scratch"), Option("B", "Dent"), Option("C", "Crack"), Option("D", "Stain"))


def make_sample(
    number: int, *, dataset: str = "Parts", product: str = "gear", abnormal: bool = True, questions: int = 2
) -> Sample:
    """A sample with a detection question and, when it is abnormal, `questions - 1` others."""
    kind = "scratch" if abnormal else "good"
    asked = [
        Question(0, "Is there a defect?", QuestionType.ANOMALY_DETECTION, DETECTION, "A" if abnormal else "B")
    ]
    asked += [
        Question(i, f"Which kind, {i}?", QuestionType.DEFECT_CLASSIFICATION, KINDS, "ABCD"[(number + i) % 4])
        for i in range(1, questions if abnormal else 1)
    ]
    return Sample(
        key=f"{dataset}/{product}/image/{kind}/{number:03}.png",
        dataset=dataset,
        product=product,
        defect_kind=kind,
        abnormal=abnormal,
        questions=tuple(asked),
        mask=f"mask/{kind}/{number:03}.png" if abnormal else "",
        random_templates=tuple(f"{dataset}/{product}/train/good/{i:03}.png" for i in range(8)),
        similar_templates=tuple(f"{dataset}/{product}/train/good/{i:03}.png" for i in reversed(range(8))),
    )


def make_dataset(*samples: Sample, root: str = "/nowhere") -> Dataset:
    """A data set of these samples; by default two data sets of two products, half of the images abnormal."""
    if not samples:
        samples = tuple(
            make_sample(number, dataset=dataset, product=product, abnormal=number % 2 == 1)
            for dataset in ("Parts", "Surfaces")
            for product in ("gear", "tile")
            for number in range(10)
        )
    return Dataset(
        root=root,
        samples=samples,
        domain_knowledge={("Parts", "gear"): {"scratch": "A thin line.", "dent": "A hollow."}},
        digest="0" * 64,
        source="mmad.json",
    )


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def sample_factory() -> Callable[..., Sample]:
    return make_sample


@pytest.fixture
def dataset_factory() -> Callable[..., Dataset]:
    return make_dataset


# ------------------------------------------------------------------------------------- real runs, in process


@pytest.fixture(autouse=True)
def no_engine(monkeypatch, tmp_path):
    """Let no test find what this machine's Docker happens to run; the tests in tests/docker are to."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    monkeypatch.delenv("MMAD_DISCOVER", raising=False)


@dataclasses.dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch, capfd):
    """Run the command line in this process: `cli("run", "--limit", 3)`."""
    from orchestrator.__main__ import main

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return Result(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A small drawn data set. Tests that change it take a copy."""
    from orchestrator.dataset import sample

    folder = tmp_path_factory.mktemp("drawn") / "small"
    sample.draw(folder, images=12)
    return folder


@pytest.fixture
def own_data(drawn, tmp_path):
    """A copy of the drawn data set that a test may break."""
    return shutil.copytree(drawn, tmp_path / "own")


@pytest.fixture(scope="session")
def serve_forever():
    """Start services in processes of their own, for the whole session: `serve_forever(folder, *options)`."""
    with contextlib.ExitStack() as stack:

        def start(folder, *options):
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mmad_answer",
                    "serve",
                    folder,
                    "--port",
                    "0",
                    "--exit-with-parent",
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process.stdout.readline().rsplit(" ", 1)[1].strip()

        yield start


@pytest.fixture(scope="session")
def chance(serve_forever):
    """The address of a chance service."""
    return serve_forever(ROOT / "services" / "chance")


@pytest.fixture
def closed_port(unused_tcp_port: int) -> str:
    return f"127.0.0.1:{unused_tcp_port}"


@pytest.fixture
def ask(cli, drawn, chance, tmp_path):
    """Run with the chance service on the small data set, into `tmp_path/run`."""

    def call(*arguments, data=drawn, out=tmp_path / "run"):
        return cli("run", "--data", data, "--endpoint", f"chance={chance}", "--out", out, *arguments)

    return call


@pytest.fixture
def summary():
    """Read a run's summary.json: `summary(folder)`."""

    def read(folder):
        return json.loads((folder / "summary.json").read_text())

    return read


# --------------------------------------------------------------------- a Docker engine that runs nothing


class FakeEngine(http.server.ThreadingHTTPServer):
    """The routes of the Docker Engine API that discovery needs, over HTTP: the real SDK talks to it.

    Answers have the form that engine 20.10 gave them. `containers` may change at any time.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), FakeEngineHandler)
        self.containers: list[dict] = []
        self.logs: dict[str, str] = {}
        """What each container has said, by name."""
        self.requests: list[str] = []
        self.refusal = 0
        """A status that every request but the one for the version gets; 0: none."""
        self.broken: dict[str, int] = {}
        """The status that the description of a container gets, by its name."""
        self.address = f"tcp://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def add(self, name: str, target: str = "", **changes) -> dict:
        """Add a container; `target` is where its port is published, `changes` go by key into its parts."""
        now = datetime.datetime.now(datetime.UTC)
        ago = changes.pop("ago", datetime.timedelta(hours=2))
        host, _, port = target.rpartition(":")
        state = {
            "Status": "running", "Paused": False, "Restarting": False, "OOMKilled": False, "ExitCode": 0,
            "Error": "", "StartedAt": (now - ago).isoformat(), "FinishedAt": "0001-01-01T00:00:00Z",
        }  # fmt: skip
        labels = {"org.mmad.answer.contract": "v1", "org.mmad.answer.port": "50051"}
        container = {
            "Id": f"{len(self.containers) + 1:064x}",
            "Name": f"/{name}",
            "Created": (now - ago).isoformat(),
            "Path": "mmad-answer",
            "Args": ["serve", "/service", "--name", name],
            "RestartCount": changes.pop("restarts", 0),
            "State": state | changes.pop("state", {}),
            "Config": {
                "Image": "mmad-answer/chance", "Tty": False, "Labels": labels | changes.pop("labels", {}),
            },
            "NetworkSettings": {
                "Ports": {"50051/tcp": [{"HostIp": host, "HostPort": port}] if target else None},
                "Networks": {"bridge": {"IPAddress": "", "GlobalIPv6Address": ""}},
            } | changes.pop("network", {}),
        }  # fmt: skip
        if (args := changes.pop("args", None)) is not None:
            container["Args"] = args
        assert not changes
        self.containers.append(container)
        return container


class FakeEngineHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeEngine

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        route = re.sub(r"^/v[\d.]+", "", url.path)
        self.server.requests.append(f"GET {route}")
        if route == "/version":
            return self._send(200, {"ApiVersion": "1.41", "Version": "20.10.24"})
        if self.server.refusal:
            return self._send(self.server.refusal, {"message": "forbidden by a rule"})
        if route == "/containers/json":
            wanted = json.loads(urllib.parse.parse_qs(url.query)["filters"][0])["label"]
            return self._send(200, [
                {"Id": c["Id"], "Names": [c["Name"]]} for c in self.server.containers if _has(c, wanted)
            ])  # fmt: skip
        found = re.fullmatch(r"/containers/(\w+)/(json|logs)", route)
        container = next((c for c in self.server.containers if found and c["Id"] == found[1]), None)
        if container is None:
            return self._send(404, {"message": "No such container"})
        name = container["Name"].removeprefix("/")
        if found[2] == "json":
            if status := self.server.broken.get(name):
                return self._send(status, {"message": "layer does not exist"})
            return self._send(200, container)
        said = self.server.logs.get(name, "").encode()
        frame = b"\2\0\0\0" + len(said).to_bytes(4, "big") + said  # of standard error
        return self._send(200, frame if said else b"")

    def _send(self, status: int, content: object) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def _has(container: dict, wanted: list[str]) -> bool:
    labels = container["Config"]["Labels"]
    return all(
        labels.get(name) == value if equals else name in labels
        for name, equals, value in (each.partition("=") for each in wanted)
    )


@pytest.fixture
def fake_engine(monkeypatch):
    """The engine that DOCKER_HOST names."""
    engine = FakeEngine()
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    yield engine
    engine.stop()
