"""What the manifests render to, once per session; which there are is discovered, never listed."""

import functools
import pathlib
import subprocess
import sys
import types

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "kubernetes"
KUSTOMIZATIONS = sorted(
    path.parent
    for path in DEPLOY.rglob("kustomization.yaml")
    if yaml.safe_load(path.read_text())["kind"] == "Kustomization"
)
GROUPS = {
    "folder": [path for path in KUSTOMIZATIONS if path.name != "base"],  # an overlay completes it
    "overlay": [path for path in KUSTOMIZATIONS if path.parent.name == "overlays"],
    "job": [path for path in KUSTOMIZATIONS if path.parent.name == "jobs" and path.name != "orchestrator"],
}


def pytest_generate_tests(metafunc):
    for name in GROUPS.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, GROUPS[name], ids=lambda path: path.name)


@functools.cache
def _rendered(folder):
    kubectl = pathlib.Path(sys.executable).parent / "kubectl"
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


@pytest.fixture(scope="session")
def render():
    """The objects that a folder renders to; all tests share them, so none may change them."""
    return _rendered


@pytest.fixture(scope="session")
def only():
    """The one object of a kind."""

    def find(objects, kind, **metadata):
        (found,) = [
            each for each in objects if each["kind"] == kind and metadata.items() <= each["metadata"].items()
        ]
        return found

    return find


@pytest.fixture(scope="session")
def pod_of():
    """The pod template of a Deployment or a Job among objects; there is one."""

    def find(objects):
        (found,) = [each["spec"]["template"] for each in objects if "template" in each.get("spec", {})]
        return found

    return find


@pytest.fixture(scope="session")
def settings_of(only):
    """The environment that a model's pod has, as a dictionary."""

    def collect(objects):
        deployment = only(objects, "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        environment = {}
        for source in container["envFrom"]:
            environment |= only(objects, "ConfigMap", name=source["configMapRef"]["name"])["data"]
        return environment | {each["name"]: each["value"] for each in container["env"]}

    return collect


@pytest.fixture(scope="session")
def everything(render):
    """All objects of all folders, but those of variants that take another overlay's place."""
    variants = [
        path
        for path in GROUPS["overlay"]
        if any("overlays" in str((path / each).resolve()) for each in _resources(path))
    ]
    return [each for folder in GROUPS["folder"] if folder not in variants for each in render(folder)]


def _resources(folder):
    return yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]


@pytest.fixture(scope="session")
def paths():
    """Where things are, and what was discovered."""
    return types.SimpleNamespace(root=ROOT, deploy=DEPLOY, **GROUPS)
