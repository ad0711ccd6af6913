"""What compose.yaml says, read by Compose itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"
PROFILES = {
    "qwen": {"qwen_vl"},
    "internvl": {"internvl"},
    "llava": {"llava_next"},
    "minicpm": {"minicpm_v"},
    "gpu-all": {"qwen_vl", "internvl", "llava_next", "minicpm_v"},
    "openai": {"openai_proxy"},
    "gemini": {"gemini_proxy"},
    "vllm": {"vllm", "vllm_proxy"},
    "download": {"download"},
    "observe": {"prometheus", "grafana"},
    "orchestrator": {"orchestrator"},
}
BASELINES = {"chance", "template_diff"}
ON_GPU = PROFILES["gpu-all"] | {"vllm"}
# Others' images, which we could not try here; and what has nothing to answer.
SILENT = {"vllm", "download", "orchestrator", "prometheus", "grafana"}


def composed(*arguments, command=Path(sys.executable).parent / "docker-compose", settings=EXAMPLE):
    own = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "MMAD_"))}
    done = subprocess.run(
        [command, "--env-file", settings, "-f", ROOT / "compose.yaml", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, env=own,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def services(*profiles, settings=EXAMPLE):
    chosen = [part for profile in profiles for part in ("--profile", profile)]
    return json.loads(composed(*chosen, "config", "--format", "json", settings=settings))["services"]


@pytest.fixture(scope="module")
def everything():
    return services(*PROFILES)


def test_without_a_profile_there_is_what_needs_neither_gpu_nor_key():
    assert set(services()) == BASELINES


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_adds_its_own(profile):
    assert set(services(profile)) == BASELINES | PROFILES[profile]


def test_every_service_of_the_repository_is_there(everything):
    assert {path.parent.name for path in ROOT.glob("services/*/service.py")} <= set(everything)


def test_whoever_answers_has_the_alias_and_a_free_port_of_this_machine_only(everything):
    for name in everything.keys() - SILENT:
        service = everything[name]
        assert service["networks"]["default"]["aliases"] == ["answer"], name
        [port] = service["ports"]
        assert (port["host_ip"], port["target"], port.get("published")) == ("127.0.0.1", 50051, None), name


def test_nothing_is_published_beyond_this_machine(everything):
    published = [port for service in everything.values() for port in service.get("ports", ())]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_no_container_may_do_more_than_it_needs(everything):
    for name, service in everything.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "vllm", name


def test_weights_can_be_written_by_the_download_only(everything):
    mounts = {
        name: volume.get("read_only", False)
        for name, service in everything.items()
        for volume in service.get("volumes", ())
        if volume["target"] == "/models"
    }
    assert mounts == {**dict.fromkeys(ON_GPU, True), "download": False}


def test_what_computes_on_a_gpu_reserves_one(everything):
    reserved = {name for name, service in everything.items() if "reservations" in str(service.get("deploy"))}
    assert reserved == ON_GPU
    [device] = everything["qwen_vl"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["device_ids"], device["capabilities"]) == (["0"], ["gpu"])


def test_a_service_that_was_killed_is_started_again(everything):
    """But not for ever: `up --wait` would wait in vain for one that cannot load."""
    running = everything.keys() - {"download", "orchestrator"}
    shown = {"prometheus", "grafana"}
    assert {everything[name]["restart"] for name in running - shown} == {"on-failure:3"}
    assert {everything[name]["restart"] for name in shown} == {"unless-stopped"}


def test_no_service_gets_the_engines_socket_or_a_key_in_its_environment(everything):
    assert "docker.sock" not in json.dumps(everything)
    named = {key for service in everything.values() for key in service.get("environment") or ()}
    assert {name for name in named if "KEY" in name or "TOKEN" in name} == {
        "MMAD_ANSWER_KEY_FILE",
        "HF_TOKEN_PATH",
    }


def test_env_example_names_every_setting_and_no_other():
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    named = set(re.findall(r"^(\w+)=", EXAMPLE.read_text(), flags=re.M))
    assert named - {"COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"} == used


def test_env_examples_defaults_are_those_of_compose_yaml():
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "compose.yaml").read_text()))
    for name, value in re.findall(r"^(\w+)=(.*)$", EXAMPLE.read_text(), flags=re.M):
        shown = name.startswith("COMPOSE_")
        empty = name.endswith(("_CHECKPOINT", "_KEY_FILE", "_TOKEN_FILE", "_REVISION")) and not value
        assert shown or empty or value == defaults[name], name


def test_what_is_built_here_has_a_tag_of_its_own_and_is_never_pulled(everything):
    built = [each for each in everything.values() if "build" in each]
    tags = [each["image"] for each in built]
    assert sorted(tags) == sorted(set(tags))
    assert {each.get("pull_policy") for each in built} == {"never"}


def test_a_proxy_of_the_site_is_told_to_those_who_go_outside_and_to_nobody_else(tmp_path):
    settings = tmp_path / "site.env"
    settings.write_text("MMAD_HTTPS_PROXY=http://proxy.example:3128\nMMAD_NO_PROXY=models.example\n")
    proxied = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "models.example"}
    told = {
        name
        for name, service in services(*PROFILES, settings=settings).items()
        if (service.get("environment") or {}).items() >= proxied.items()
    }
    assert told == {"download", "openai_proxy", "gemini_proxy"}


def test_the_several_gpus_of_docker_md_take_the_place_of_the_one(tmp_path):
    page = (ROOT / "docs/docker.md").read_text()
    [override] = [each for each in re.findall(r"```yaml\n(.*?)```", page, flags=re.S) if "device_ids" in each]
    (tmp_path / "override.yaml").write_text(override)
    with_it = composed("-f", tmp_path / "override.yaml", "--profile", "qwen", "config", "--format", "json")
    [device] = json.loads(with_it)["services"]["qwen_vl"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["device_ids"] == ["0", "1"]


def test_git_and_builds_see_neither_keys_nor_settings_of_this_machine(tmp_path):
    own = [".env", "compose.override.yaml", "secrets/openai.key"]
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    ignored = subprocess.run(
        ["git", "check-ignore", *own], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ignored.stdout.split() == own
    assert {".env", "compose.override.yaml", "secrets"} <= set((ROOT / ".dockerignore").read_text().split())


def test_compose_cpu_yaml_needs_no_gpu():
    cpu = composed("-f", ROOT / "compose.cpu.yaml", "--profile", "gpu-all", "config", "--format", "json")
    for name in PROFILES["gpu-all"]:
        service = json.loads(cpu)["services"][name]
        assert "deploy" not in service
        assert service["environment"]["MMAD_ANSWER_DEVICE"] == "cpu"
        assert "MMAD_ANSWER_CHECKPOINT" in service["environment"]


@pytest.mark.docker
def test_compose_1_29_accepts_all_of_it():
    old = shutil.which("docker-compose", path="/usr/bin:/usr/local/bin")
    assert old, "Compose v1.29 is not installed: apt-get install docker-compose"
    chosen = [part for profile in PROFILES for part in ("--profile", profile)]
    said = composed("--version", command=old)
    assert "version 1.29" in said
    read = composed(*chosen, "config", command=old)
    assert "capabilities" in read
    assert "condition: service_healthy" in read
