"""What docs/kubernetes.md shows works as it is shown, as far as that goes without a cluster."""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml

from orchestrator.options import parse
from orchestrator.settings_file import read_settings

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "kubernetes.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.S | re.M)
COMMANDS = [
    *(line for language, block in BLOCKS if not language for line in block.splitlines()),
    *re.findall(r"`(kubectl -n [^`]+)`", TEXT),
    *(" ".join(each.split()) for each in re.findall(r"`(kubectl apply -k\ssite[^`]+)`", TEXT)),
]
FILES = dict(re.findall(r"^```yaml\n# (site/\S+)\n(.*?)^```$", TEXT, flags=re.S | re.M))


@pytest.fixture(scope="module")
def checkout(paths, tmp_path_factory):
    """A folder with `deploy` in it, and the page's own files beside that."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(paths.deploy, root / "deploy" / "kubernetes")
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    for name in ("FILE", "openai.key"):
        (root / name).write_text("x")
    return root


def test_the_page_shows_a_site_and_a_run():
    assert FILES.keys() == {"site/kustomization.yaml", "site/run/kustomization.yaml", "site/run/run.yaml"}
    assert len(COMMANDS) > 25


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("kubectl")])
def test_every_command_is_one_of_kubectl_and_names_what_there_is(command, checkout, everything):
    words = shlex.split(command)
    if "cp" in words:
        words[words.index("cp") :] = ["cp", *(each.replace("POD", "pod") for each in words[-2:])]
        (checkout / "MMAD-FOLDER").mkdir(exist_ok=True)
    names = {(each["kind"].lower(), each["metadata"]["name"]) for each in everything}
    for kind, name in re.findall(r"\b(job|deployment|hpa)/([\w-]+)", command):
        assert (kind.replace("hpa", "deployment"), name) in names
    if selector := re.search(r"job-name=([\w-]+)", command):
        assert ("job", selector[1]) in names
    (checkout / "nowhere.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
                "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
                "current-context": "none",
            }
        )
    )
    done = subprocess.run(
        [pathlib.Path(sys.executable).parent / "kubectl", *words[1:]],
        cwd=checkout, capture_output=True, text=True, check=False, timeout=60,
        env={"KUBECONFIG": "nowhere.yaml", "HOME": str(checkout), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    if words[1] == "kustomize":
        assert done.returncode == 0, done.stderr
    else:
        # Rendered, read and understood: what is missing is the cluster.
        assert "127.0.0.1:1 was refused" in done.stderr or "connection refused" in done.stderr, done.stderr


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("docker")])
def test_every_image_is_built_from_a_dockerfile_that_is_there_and_used_under_the_name_that_is_pushed(
    command, paths
):
    words = shlex.split(command)
    if words[1] == "build":
        assert (paths.root / words[words.index("-f") + 1]).is_file()
        assert f"docker push {words[words.index('-t') + 1]}" in COMMANDS


@pytest.mark.parametrize("name", [each for each in FILES if each.endswith("kustomization.yaml")])
def test_the_site_is_valid_and_every_change_arrives(name, checkout, render, only):
    folder = (checkout / name).parent
    objects = render(folder)
    for each in objects:
        kubernetes_validate.validate(each, "1.37", strict=True)
    kustomization = yaml.safe_load(FILES[name])
    images = {
        container["image"]
        for each in objects
        if "template" in each.get("spec", {})
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"{each['newName']}:{each['newTag']}" for each in kustomization["images"]}


def test_the_site_s_options_replicas_and_storage_class_arrive(checkout, render, only):
    objects = render(checkout / "site")
    (settings,) = [
        each["data"]
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith("answer-qwen-vl-")
    ]
    assert settings["MMAD_ANSWER_CHECKPOINT"] == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert settings["MMAD_ANSWER_MAX_PIXELS"] == "1003520"
    assert settings["MMAD_ANSWER_DEVICE"] == "cuda"
    assert only(objects, "Deployment", name="answer-qwen-vl")["spec"]["replicas"] == 2
    assert (
        only(objects, "PersistentVolumeClaim", name="weights")["spec"]["storageClassName"] == "shared-files"
    )


def test_the_site_s_run_is_one_that_the_orchestrator_takes(checkout):
    options = parse(read_settings(checkout / "site" / "run" / "run.yaml"))
    assert len(options.endpoint) == 2


def test_the_adapter_s_rule_serves_the_metric_that_the_autoscaler_asks_for(paths, render, only):
    (text,) = re.findall(r"^```yaml\n# values.yaml of prometheus-adapter\n(.*?)^```", TEXT, flags=re.S | re.M)
    (rule,) = yaml.safe_load(text)["rules"]["custom"]
    (metric,) = only(render(paths.deploy / "overlays" / "qwen_vl_autoscaled"), "HorizontalPodAutoscaler")[
        "spec"
    ]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert rule["name"]["as"] == name
    assert re.fullmatch(rule["name"]["matches"], name)
    assert rule["seriesQuery"].startswith(name + "{")
    assert {each["resource"] for each in rule["resources"]["overrides"].values()} == {"namespace", "pod"}


def test_every_folder_of_the_manifests_stands_on_the_page(folder, paths):
    name = folder.relative_to(paths.deploy).as_posix()
    model = name.replace(folder.name, "MODEL") if name.startswith("overlays/") else name
    assert f"`{name}`" in TEXT or f"`{model}`" in TEXT or name == "jobs/orchestrator"
