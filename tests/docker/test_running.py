"""From weights in a volume to answers, with real containers: what docs/docker.md promises of a stack."""

import dataclasses
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ORCHESTRATOR = BIN / "orchestrator"
CHECKPOINT = "tiny/qwen-vl"
NAMES = {"chance", "template_diff", "qwen-vl"}
OVERRIDE = """
services:
  qwen_vl:
    image: {image}
  download:
    environment: {{HF_ENDPOINT: "{hub}", HF_HUB_DISABLE_XET: "1"}}
"""


@pytest.fixture(scope="module")
def stack(shared_compose, tiny_image, hub_for_containers, image, tmp_path_factory):
    """Compose, with the baselines and a tiny Qwen2-VL on the CPU; what is tagged is what was built here."""
    for name in ("chance", "template_diff", "openai_proxy", "gemini_proxy", "orchestrator", "download"):
        image(name)
    override = tmp_path_factory.mktemp("override") / "compose.yaml"
    override.write_text(OVERRIDE.format(image=tiny_image("qwen_vl"), hub=hub_for_containers.url))
    files = (ROOT / "compose.yaml", ROOT / "compose.cpu.yaml", override)
    return dataclasses.replace(shared_compose, files=files)


@pytest.fixture(scope="module")
def downloaded(stack, hub_for_containers, tiny_checkpoint):
    """What the download said, after it put the tiny checkpoint into the volume."""
    files = {path.name: path.read_bytes() for path in tiny_checkpoint("qwen_vl").iterdir()}
    hub_for_containers.add(CHECKPOINT, files)
    return stack("run", "--rm", "download", CHECKPOINT).stdout


@pytest.fixture(scope="module")
def up(stack, downloaded):
    """The stack, when Compose says that all is well."""
    stack("--profile", "qwen", "up", "--detach", "--wait", "--no-build", QWEN_CHECKPOINT=CHECKPOINT)
    return stack


@pytest.fixture
def container(engine, up):
    """Give a service's only container."""

    def find(service):
        wanted = [f"com.docker.compose.project={up.project}", f"com.docker.compose.service={service}"]
        [found] = engine.containers.list(all=True, filters={"label": wanted})
        return found

    return find


def test_the_download_names_what_it_got(downloaded, hub_for_containers):
    commit, _ = hub_for_containers.repositories[CHECKPOINT]
    line = rf"{CHECKPOINT}: commit {commit}, \d+ files, \d\.\d\d GB, digests verified"
    assert re.search(line, downloaded)


def test_when_up_returns_every_model_can_answer(up):
    said = up("run", "--rm", "orchestrator", "models", "--json").stdout
    models = json.loads(said)["models"]
    assert {(each["name"], each["state"]) for each in models} == {(name, "ready") for name in NAMES}


def test_the_orchestrators_image_asks_them_all_without_any_endpoint_and_keeps_the_run(up):
    arguments = ["run", "--data", "sample", "--limit", "4", "--out", "runs/first", "--json"]
    summary = json.loads(up("run", "--rm", "orchestrator", *arguments).stdout)
    assert set(summary["run"]["models"]) == NAMES
    again = up("run", "--rm", "orchestrator", "score", "runs/first", "--json").stdout
    assert set(json.loads(again)) == NAMES


def test_what_compose_yaml_says_of_rights_is_in_force(up, container):
    for service in ("chance", "template_diff", "qwen_vl"):
        found = container(service)
        host = found.attrs["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert found.exec_run("id -u").output == b"10001\n"
        for place in ("/service/x", "/opt/venv/x", "/models/x", "/x"):
            assert found.exec_run(["python", "-c", f"open({place!r}, 'w')"]).exit_code != 0, (service, place)
        assert found.exec_run(["python", "-c", "open('/tmp/x', 'w')"]).exit_code == 0
        rights = found.exec_run(["grep", "CapEff", "/proc/1/status"]).output
        assert int(rights.split()[1], 16) == 0


def test_a_process_that_is_killed_in_mid_run_comes_back_and_the_run_completes(up, container, tmp_path):
    victim = container("template_diff")
    port = victim.ports["50051/tcp"][0]["HostPort"]
    out = tmp_path / "run"
    models = ["--discover", f"docker:{up.project}", "--model", "chance", "--model", "template_diff"]
    with subprocess.Popen(
        [ORCHESTRATOR, "run", "--data", "sample", *models, "--concurrency", "1", "--out", out],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as run:  # fmt: skip
        until(lambda: answers(out, "template_diff") > 5)
        os.kill(victim.attrs["State"]["Pid"], signal.SIGKILL)
        said, _ = run.communicate(timeout=200)
    assert run.returncode == 0, said
    victim.reload()
    assert victim.attrs["RestartCount"] == 1
    assert victim.ports["50051/tcp"][0]["HostPort"] != port
    with sqlite3.connect(out / "journal.sqlite") as journal:
        outcomes = dict(journal.execute("SELECT outcome, count(*) FROM answers GROUP BY outcome"))
        questions = journal.execute("SELECT count(*) FROM questions").fetchone()[0]
        broken = journal.execute("SELECT count(*) FROM attempts WHERE code = 'UNAVAILABLE'").fetchone()[0]
    assert sum(outcomes.values()) == questions * 2
    assert "failed" not in outcomes
    assert broken


def answers(run, model):
    if not (run / "journal.sqlite").exists():
        return 0
    try:
        with sqlite3.connect(f"file:{run}/journal.sqlite?mode=ro", uri=True) as journal:
            rows = (
                "SELECT count(*) FROM answers JOIN models ON models.id = answers.model WHERE models.name = ?"
            )
            return journal.execute(rows, [model]).fetchone()[0]
    except sqlite3.OperationalError:  # the tables are just being made
        return 0


def until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_stopping_drains_and_down_leaves_nothing(up, engine, container):
    found = container("chance")
    found.stop(timeout=40)
    found.reload()
    assert found.attrs["State"]["ExitCode"] == 0
    assert b"draining" in found.logs()
    up("--profile", "*", "down", "--volumes")
    mine = {"label": f"com.docker.compose.project={up.project}"}
    assert engine.containers.list(all=True, filters=mine) == []
    assert engine.volumes.list(filters=mine) == []


@pytest.mark.parametrize(
    ("profile", "service", "settings", "said"),
    [
        ("openai", "openai_proxy", {}, "Missing option '--model'"),
        ("openai", "openai_proxy", {"OPENAI_MODEL": "gpt-4o-2024-08-06"}, "put the key into it"),
        ("gemini", "gemini_proxy", {"GEMINI_MODEL": "gemini-2.5-flash"}, "put the key into it"),
        ("qwen", "qwen_vl", {}, "Missing option '--checkpoint'"),
        (
            "qwen",
            "qwen_vl",
            {"QWEN_CHECKPOINT": "not/there"},
            "is neither a folder nor to be had from the hub",
        ),
    ],
)
def test_a_setting_that_is_missing_is_named_in_one_line(stack, profile, service, settings, said):
    begun = stack("--profile", profile, "run", "--rm", "--no-deps", service, check=False, **settings)
    assert begun.returncode in (1, 2)
    errors = [line for line in begun.stderr.splitlines() if line.startswith("mmad-answer: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in begun.stderr


def test_up_does_not_wait_for_what_cannot_start(compose, image):
    image("openai_proxy")
    begun = compose(
        "--profile", "openai", "up", "--detach", "--wait", "--no-build", "openai_proxy", check=False
    )
    assert begun.returncode == 1


def test_compose_1_29_starts_the_baselines_and_models_waits_for_them(compose, image):
    for name in ("chance", "template_diff"):
        image(name)
    old = shutil.which("docker-compose", path="/usr/bin:/usr/local/bin")
    assert old, "Compose v1.29 is not installed: apt-get install docker-compose"
    project, own = compose.project, {"MMAD_TAG": "test", "MMAD_MODELS_VOLUME": f"{compose.project}-models"}
    command = [old, "-p", project, "--env-file", compose.settings, "-f", ROOT / "compose.yaml"]
    try:
        subprocess.run([*command, "up", "-d", "--no-build"], check=True, env={**os.environ, **own})
        models = [ORCHESTRATOR, "models", "--discover", f"docker:{project}", "--wait", "60", "--json"]
        ready = subprocess.run(models, capture_output=True, text=True, check=True).stdout
    finally:
        subprocess.run([*command, "down", "-v"], check=True, env={**os.environ, **own})
    assert {each["name"] for each in json.loads(ready)["models"]} == {"chance", "template_diff"}
