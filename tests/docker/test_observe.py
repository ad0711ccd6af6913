"""A real Prometheus, Debian's, with the settings of docker/observe/ and real services on a network."""

import io
import json
import time
import urllib.parse
from pathlib import Path

import grpc
import PIL.Image
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc

OBSERVE = Path(__file__).parents[2] / "docker" / "observe"
DOCKERFILE = """\
ARG BASE_IMAGE
FROM $BASE_IMAGE
RUN apt-get update && apt-get install --yes --no-install-recommends prometheus
"""
READ = """
import sys, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(direct.open(sys.argv[1], timeout=20).read().decode())
"""
CHOSEN = {"$__rate_interval": "20s", "$model": ".*", "$quantile": "0.95"}
# Chance never fails and counts no tokens, and these panels leave out what is 0.
ALWAYS_EMPTY = {"Failed questions, by reason", "Tokens per second, by kind"}

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def prometheus_image(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return build(folder / "Dockerfile", "mmad-test/prometheus:test", context=folder)


@pytest.fixture
def network(engine, project):
    return engine.networks.create(project, labels={"com.docker.compose.project": project})


@pytest.fixture
def stubs(engine, image, network, project):
    """Two replicas of chance under the alias `answer`, and how to call them."""
    channels = []
    for _ in range(2):
        container = engine.containers.run(
            image("chance"),
            detach=True,
            network=network.name,
            networking_config={network.name: engine.api.create_endpoint_config(aliases=["answer"])},
            ports={"50051/tcp": ("127.0.0.1", None)},
            labels={"com.docker.compose.project": project},
        )
        container.reload()
        [published] = container.ports["50051/tcp"]
        channels.append(grpc.insecure_channel(f"127.0.0.1:{published['HostPort']}"))
    yield [answer_pb2_grpc.AnswerServiceStub(channel) for channel in channels]
    for channel in channels:
        channel.close()


@pytest.fixture
def query(engine, prometheus_image, network, project):
    """Start Prometheus beside them, as the profile `observe` does; gives a function that asks it."""
    container = engine.containers.run(
        prometheus_image,
        "prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/tmp/prometheus",
        detach=True,
        network=network.name,
        volumes=settings("/etc/prometheus/prometheus.yml"),
        read_only=True,
        tmpfs={"/tmp": ""},
        labels={"com.docker.compose.project": project},
    )

    def ask(expression):
        url = f"http://127.0.0.1:9090/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        code, said = container.exec_run(["python3", "-c", READ, url])
        if code and b"Connection refused" in said:  # it is starting
            return []
        assert code == 0, (expression, said.decode())
        answer = json.loads(said)
        assert answer["status"] == "success", (expression, answer)
        return answer["data"]["result"]

    return ask


def settings(path):
    return {str(OBSERVE / "prometheus.yml"): {"bind": path, "mode": "ro"}}


def inspection():
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "PNG")
    roles = (pb.IMAGE_ROLE_NORMAL_TEMPLATE, pb.IMAGE_ROLE_QUERY)
    options = [pb.Option(letter=letter, text=letter) for letter in "AB"]
    return pb.AnswerRequest(
        images=[pb.Image(role=role, content=file.getvalue()) for role in roles],
        questions=[pb.Question(question_id="q", text="?", options=options)],
    )


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.5)


def test_promtool_finds_the_settings_valid(engine, prometheus_image):
    said = engine.containers.run(
        prometheus_image, "promtool check config /p.yml", volumes=settings("/p.yml"), remove=True
    )
    assert b"SUCCESS" in said


def test_prometheus_finds_every_replica_and_has_an_answer_for_every_panel(stubs, query):
    until(lambda: len(query('mmad_answer_state{state="ready"} == 1')) == 2)
    assert all(each["metric"]["instance"].endswith(":9464") for each in query("up"))
    dashboard = json.loads((OBSERVE / "grafana" / "dashboards" / "answer.json").read_text())

    def empty_panels():
        for stub in stubs:
            assert [each.answered.text in "AB" for each in stub.Answer(inspection(), timeout=20)] == [True]
            with pytest.raises(grpc.RpcError):
                list(stub.Answer(pb.AnswerRequest(), timeout=20))
        empty = set()
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                for name, value in CHOSEN.items():
                    expression = expression.replace(name, value)
                if not query(expression):
                    empty.add(panel["title"])
        return empty

    until(lambda: empty_panels() == ALWAYS_EMPTY)
