"""Discovery with real containers: each state as the engine tells it, and a run that follows a restart."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
PORT = 50051


@dataclasses.dataclass
class House:
    """Containers of a Compose project of this test's own."""

    engine: object
    tag: str
    project: str

    def start(self, name, *options, publish=True, **settings):
        labels = {"com.docker.compose.project": self.project} | settings.pop("labels", {})
        return self.engine.containers.run(
            self.tag,
            list(options),
            name=f"{self.project}-{name}",
            detach=True,
            ports={f"{PORT}/tcp": ("127.0.0.1", None)} if publish else None,
            labels=labels,
            **settings,
        )

    def orchestrator(self, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments, "--discover", f"docker:{self.project}"],
            capture_output=True, text=True, check=False, env={**os.environ, **environment}, cwd=ROOT,
        )  # fmt: skip

    def states(self, *arguments, **environment):
        """Each container's row, by name."""
        done = self.orchestrator("models", "--json", *arguments, **environment)
        assert done.returncode in (0, 1), done.stderr
        rows = json.loads(done.stdout)["models"]
        return {row["origin"].removeprefix(f"container {self.project}-"): row for row in rows}


@pytest.fixture
def house(engine, image, project):
    return House(engine, image("chance"), project)


@pytest.fixture
def changed(tmp_path):
    """A volume with the chance service, some words changed: `changed(name, (old, new), ...)`."""

    def make(name, *changes):
        folder = tmp_path / name
        folder.mkdir()
        code = (ROOT / "services/chance/service.py").read_text()
        for old, new in changes:
            assert old in code
            code = code.replace(old, new)
        (folder / "service.py").write_text(code)
        (folder / "requirements.txt").touch()
        for path in (tmp_path, *tmp_path.parents):
            if path.is_relative_to("/tmp") and path != Path("/tmp"):  # the container's user reads it
                path.chmod(path.stat().st_mode | 0o055)
        return {str(folder): {"bind": "/service", "mode": "ro"}}

    return make


def test_containers_in_every_state_are_shown_with_their_reasons(house, changed):
    stopped = house.start("stopped", "--max-queue", "5")
    assert house.states("--wait", "60")["stopped"]["state"] == "ready"
    stopped.stop()
    for name in ("a-1", "a-2"):
        house.start(name)
    house.start("unpublished", publish=False)
    house.start("bad", "--no-such-option")
    house.start("v2", labels={"org.mmad.answer.contract": "v2"})
    house.start("portless", labels={"org.mmad.answer.port": ""})
    house.start("loopback", environment={"MMAD_ANSWER_HOST": "127.0.0.1"}, healthcheck={"test": ["NONE"]})
    house.start("paused").pause()
    house.start("conflict", volumes=changed("other", ('family="baseline"', 'family="other"')))
    slow = (
        "    def answer(",
        "    def load(self) -> None:\n        import time; time.sleep(600)\n\n    def answer(",
    )
    house.start("slow", volumes=changed("slow", ('name="chance"', 'name="slow"'), slow))
    house.start(
        "sick",
        healthcheck={
            "test": ["CMD-SHELL", "echo no GPU; exit 1"],
            "interval": 10**9,
            "start_period": 10**6,
            "retries": 1,
        },
    )

    expected = {
        "a-1": ("ready", ""),
        "a-2": ("ready", ""),
        "unpublished": ("ready", ""),
        "bad": ("exited", "exit 2, .* ago: mmad-answer: No such option '--no-such-option'"),
        "v2": ("wrong contract", "says 'v2', and 'v1' is spoken here"),
        "portless": ("no address", "its label org.mmad.answer.port is missing"),
        "loopback": ("starting", "nothing answers there yet"),  # for its first minute
        "paused": ("paused", "docker unpause .*-paused"),
        "conflict": ("name taken", "container .*-a-1 has this name, .*: family: 'baseline' and 'other'"),
        "slow": ("starting", "loading"),
        "sick": ("unhealthy", "no GPU"),
        "stopped": ("stopped", "exit 0, .* ago: "),
    }
    seen, found = {}, {}
    deadline = time.monotonic() + 90
    while expected.keys() - seen.keys() and time.monotonic() < deadline:
        found = house.states()
        for name, (state, reason) in expected.items():
            if found[name]["state"] == state and re.search(reason, found[name]["reason"]):
                seen[name] = found[name]
    assert seen.keys() == expected.keys(), [found[name] for name in expected.keys() - seen.keys()]
    assert seen["slow"]["name"] == "slow"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", seen["a-1"]["address"])
    assert re.fullmatch(r"1\d+\.\d+\.\d+\.\d+:50051", seen["unpublished"]["address"])


def test_one_that_cannot_load_is_failing_from_its_first_end_with_what_it_said_then(house, changed):
    """It answers each time while it loads, and its log goes on after the line that says why it ended."""
    doomed = (
        "    def answer(",
        "    def load(self) -> None:\n"
        "        import time; time.sleep(4)\n"
        "        raise LoadError('no weights in /models')\n\n"
        "    def answer(",
    )
    kit = ("from mmad_answer.model import ", "from mmad_answer.model import LoadError, ")
    container = house.start(
        "doomed", volumes=changed("doomed", doomed, kit), restart_policy={"Name": "always"}
    )
    deadline = time.monotonic() + 90
    while not container.attrs["RestartCount"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        container.reload()
    ways = set()
    while len(ways) < 2 and time.monotonic() < deadline:
        row = house.states()["doomed"]
        assert (row["state"], "no weights in /models" in row["reason"]) == ("restarting", True), row
        ways.add("Now it says: loading" in row["reason"])
    assert ways == {True, False}  # while it loads again, and while it does not


def test_a_run_follows_a_container_that_was_killed_and_a_replica_that_was_added(house, changed, tmp_path):
    """A restart gives the container another port; `docker kill` would count as a stop by hand."""
    steady = changed(
        "steady",
        (
            "            for question in",
            "            import time; time.sleep(0.2)\n            for question in",
        ),
    )
    first = house.start("chance-1", volumes=steady, restart_policy={"Name": "always"})
    assert house.states("--wait", "60")["chance-1"]["state"] == "ready"
    first.reload()
    port = first.ports[f"{PORT}/tcp"][0]["HostPort"]
    out = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "orchestrator", "run", "--discover", f"docker:{house.project}"),
        *("--limit", "60", "--concurrency", "1", "--patience", "120", "--out", str(out)),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        while "Asking chance" not in (line := run.stderr.readline()):
            assert line, "the run ended before it asked anything"
        while not _asked(out):
            time.sleep(0.05)
        os.kill(first.attrs["State"]["Pid"], signal.SIGKILL)
        house.start("chance-2", volumes=steady)
        rest = run.stderr.read()
    assert run.returncode == 0, rest
    first.reload()
    assert first.ports[f"{PORT}/tcp"][0]["HostPort"] != port
    execution = json.loads((out / "summary.json").read_text())["execution"]["models"]["chance"]
    assert execution["attempts"]["OK"] >= 60
    second = house.engine.containers.get(f"{house.project}-chance-2").ports[f"{PORT}/tcp"][0]["HostPort"]
    back = first.ports[f"{PORT}/tcp"][0]["HostPort"]
    assert {f"127.0.0.1:{p}" for p in (port, second, back)} <= execution["answered_by"].keys()
    assert execution["answered_by"].keys() == _asked(out)


def _asked(run_folder):
    """The addresses of all attempts that have ended, so far."""
    with contextlib.closing(sqlite3.connect(run_folder / "journal.sqlite")) as journal:
        return {target for (target,) in journal.execute("SELECT target FROM attempts WHERE code = 'OK'")}


def test_in_a_network_the_alias_finds_all_of_them_without_the_socket(house, image):
    network = house.engine.networks.create(
        f"{house.project}-net", labels={"com.docker.compose.project": house.project}
    )
    everybody = {network.name: house.engine.api.create_endpoint_config(aliases=["answer"])}
    for name in ("chance-1", "chance-2"):
        house.start(name, publish=False, network=network.name, networking_config=everybody)
    said = house.engine.containers.run(
        image("orchestrator"),
        ["models", "--json", "--wait", "60"],
        environment={"MMAD_DISCOVER": "answer:50051"},
        labels={"com.docker.compose.project": house.project},
        network=network.name,
        remove=True,
    )
    models = json.loads(said)["models"]
    assert [(model["name"], model["state"]) for model in models] == [("chance", "ready")] * 2
    assert {model["origin"] for model in models} == {"answer:50051"}
    assert len({model["address"] for model in models}) == 2


# ---------------------------------------------------------------------- a proxy that lets four routes through


DOCKERFILE = """\
ARG BASE_IMAGE
FROM $BASE_IMAGE
RUN apt-get update && apt-get install --yes --no-install-recommends nginx-light
RUN ln -sf /dev/stdout /var/log/nginx/access.log
CMD ["nginx", "-g", "daemon off;"]
"""
ASK = """
import http.client, sys
for request in sys.argv[1:]:
    connection = http.client.HTTPConnection("127.0.0.1", 2375, timeout=20)
    connection.request(*request.split(" "))
    print(connection.getresponse().status)
"""


@dataclasses.dataclass
class Proxy:
    """Debian's nginx with the configuration that docs/discovery.md shows, word for word."""

    container: object

    def ask(self, *requests):
        """The status that each gets, put as the orchestrator's container would put it."""
        code, said = self.container.exec_run(["python3", "-c", ASK, *requests])
        assert code == 0, said.decode()
        return [int(status) for status in said.split()]

    def refused(self):
        """What it has answered with 403 so far."""
        return re.findall(r'"(\w+ \S+) HTTP/1.1" 403 ', self.container.logs().decode())


@pytest.fixture(scope="module")
def nginx_image(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return build(folder / "Dockerfile", "mmad-test/nginx:test", context=folder)


@pytest.fixture
def proxy(house, nginx_image, tmp_path):
    [settings] = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/discovery.md").read_text(), flags=re.S)
    (tmp_path / "nginx.conf").write_text(settings)
    container = house.engine.containers.run(
        nginx_image,
        detach=True,
        volumes={
            str(tmp_path / "nginx.conf"): {"bind": "/etc/nginx/nginx.conf", "mode": "ro"},
            "/var/run/docker.sock": {"bind": "/var/run/docker.sock"},
        },
        labels={"com.docker.compose.project": house.project},
    )
    ready = ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 2375))"]
    deadline = time.monotonic() + 30
    while container.exec_run(ready).exit_code:
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.1)
    return Proxy(container)


def test_the_routes_that_the_documentation_lists_are_all_that_discovery_needs(house, proxy, image):
    house.start("chance-1")
    house.start("bad", "--no-such-option")
    assert house.states("--wait", "60")["chance-1"]["state"] == "ready"
    said = house.engine.containers.run(
        image("orchestrator"),
        ["-c", f"orchestrator models --json --wait 60 --discover docker:{house.project} || test $? = 1"],
        entrypoint="sh",
        environment={"DOCKER_HOST": "tcp://127.0.0.1:2375"},
        labels={"com.docker.compose.project": house.project},
        network=f"container:{proxy.container.id}",
        remove=True,
    )
    found = {row["origin"].rpartition("-")[2]: row for row in json.loads(said)["models"]}
    assert found["1"]["state"] == "ready"
    assert "No such option '--no-such-option'" in found["bad"]["reason"]
    assert proxy.refused() == []


def test_through_such_a_proxy_nothing_else_can_be_done(house, proxy):
    container = house.start("chance-1").id
    forbidden = [
        f"POST /containers/{container}/stop",
        f"DELETE /containers/{container}?force=1",
        "POST /containers/json",
        "POST /v1.41/containers/create",
        "GET /images/json",
        f"GET /containers/{container}/archive?path=/etc/passwd",
        f"GET /containers/{container}/json/../../../images/json",
        f"GET /containers/{container}/export?x=/json",
    ]
    allowed = [f"GET /containers/{container}/json", "GET /v1.41/containers/json?all=1"]
    assert proxy.ask(*allowed) == [200] * len(allowed)
    assert proxy.ask(*forbidden) == [403] * len(forbidden)
    assert proxy.refused() == forbidden
    # The engine, which gets a path as it came, reads one that leads astray as the proxy has read it.
    assert proxy.ask(f"GET /containers/{container}/archive/../json?path=/etc/passwd") == [301]


def test_nobody_reaches_the_proxy_over_its_network(house, proxy):
    proxy.container.reload()
    address = proxy.container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 2375), timeout=20)
