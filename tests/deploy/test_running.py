"""What the manifests say, done by real processes: services as pods run them, and the Jobs' command lines."""

import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

BIN = pathlib.Path(sys.executable).parent
BASELINES = ("chance", "template_diff")


def _free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


@pytest.fixture(scope="module")
def pods(paths, render, settings_of):
    """The baselines, with the environment of their pods but for addresses: (process, settings) by overlay."""
    started = {}
    try:
        for name in BASELINES:
            settings = settings_of(render(paths.deploy / "overlays" / name))
            settings |= {"MMAD_ANSWER_HOST": "127.0.0.1", "MMAD_ANSWER_PORT": _free_port()}
            settings |= {"MMAD_ANSWER_METRICS_PORT": _free_port()}
            process = subprocess.Popen(
                [BIN / "mmad-answer", "serve", paths.root / "services" / name],
                env={"PATH": os.environ["PATH"]} | settings, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            started[name] = process, settings
        for process, _ in started.values():
            assert "listening on" in process.stdout.readline()
        yield started
    finally:
        for process, _ in started.values():
            process.kill()
            process.communicate()


def _health(port, service):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=10, wait_for_ready=True).status


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_service_that_can_answer_passes_its_probes(probe, pods, paths, render, only):
    for name, (_, settings) in pods.items():
        deployment = only(render(paths.deploy / "overlays" / name), "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        status = _health(settings["MMAD_ANSWER_PORT"], container[probe]["grpc"]["service"])
        assert status == health_pb2.HealthCheckResponse.SERVING


def test_a_service_exports_what_the_autoscaler_scales_by_where_the_annotations_say(pods, paths, render, only):
    objects = render(paths.deploy / "overlays" / "qwen_vl_autoscaled")
    annotations = only(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    (metric,) = only(objects, "HorizontalPodAutoscaler")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    _, settings = pods["chance"]
    address = f"http://127.0.0.1:{settings['MMAD_ANSWER_METRICS_PORT']}{annotations['prometheus.io/path']}"
    with urllib.request.urlopen(address, timeout=10) as response:
        lines = response.read().decode().splitlines()
    assert f"# TYPE {name} gauge" in lines
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith((name + "{", name + " "))]
    assert float(value) == 0


@pytest.fixture(scope="module")
def cluster(pods, paths, render, only, tmp_path_factory):
    """Runs a Job's pod here: its paths are folders of this test, its services the processes above."""
    root = tmp_path_factory.mktemp("cluster")
    subprocess.run(
        [BIN / "orchestrator", "data", "sample", root / "data" / "mmad", "--images", "6"], check=True
    )

    def here(text):
        for path in ("/etc/mmad", "/data", "/runs"):
            text = text.replace(path, str(root / path.strip("/")))
        for overlay, (_, settings) in pods.items():
            service = only(render(paths.deploy / "overlays" / overlay), "Service")["metadata"]["name"]
            text = text.replace(f"dns:///{service}:50051", f"127.0.0.1:{settings['MMAD_ANSWER_PORT']}")
        return text

    def run(job, index=None):
        objects = render(paths.deploy / "jobs" / job)
        (container,) = only(objects, "Job")["spec"]["template"]["spec"]["containers"]
        for config in objects:
            if config["kind"] == "ConfigMap":
                for name, content in config["data"].items():
                    (root / "etc" / "mmad").mkdir(parents=True, exist_ok=True)
                    (root / "etc" / "mmad" / name).write_text(here(content))
        command = container.get("command") or ["orchestrator", *container["args"]]
        words = [here(each).replace("$(JOB_COMPLETION_INDEX)", str(index)) for each in command]
        done = subprocess.run(
            words, cwd=root, capture_output=True, text=True, check=False,
            env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(root)},
        )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return root

    return run


def _answers(folder, shots=4):
    return {
        model: json.loads((folder / f"answers_{shots}_shot_{model}.json").read_text()) for model in BASELINES
    }


@pytest.fixture(scope="module")
def whole_run(cluster):
    """The folder of what the Job of one orchestrator leaves."""
    return cluster("run") / "runs" / "mmad"


def _summary(run):
    return json.loads((run / "summary.json").read_text())


def _answers(run, model):
    answers = json.loads((run / f"answers_4_shot_{model}.json").read_text())
    return sorted(answers, key=lambda each: json.dumps(each, sort_keys=True))


def test_the_shards_and_their_merging_give_what_one_run_gives(whole_run, cluster, paths, render, only):
    for index in range(only(render(paths.deploy / "jobs" / "shards"), "Job")["spec"]["completions"]):
        cluster("shards", index)
    merged = cluster("merge") / "runs" / "mmad-merged"
    assert _summary(merged)["scores"] == _summary(whole_run)["scores"]
    for model in BASELINES:
        assert _answers(merged, model) == _answers(whole_run, model) != []


def test_a_pod_that_follows_one_that_was_done_asks_nothing_twice(whole_run, cluster):
    before = _summary(whole_run)
    cluster("run")
    after = _summary(whole_run)
    assert after["scores"] == before["scores"]
    assert after["execution"]["models"] == before["execution"]["models"]


def test_a_service_ends_within_its_grace_period(pods, paths, render, only):
    """Last: it ends the services."""
    for name, (process, _) in pods.items():
        spec = only(render(paths.deploy / "overlays" / name), "Deployment")["spec"]["template"]["spec"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=spec["terminationGracePeriodSeconds"]) == 0
