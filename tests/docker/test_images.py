"""What every image promises, held against images that are built here."""

import os
import shutil
import subprocess
from pathlib import Path

import docker
import pytest

from mmad_answer.version import __version__

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
LIGHT = ["chance", "template_diff", "openai_proxy", "gemini_proxy"]
ON_TRANSFORMERS = ["qwen_vl", "internvl", "llava_next", "minicpm_v"]
MOST_BYTES = 250 * 10**6


@pytest.fixture
def layers(engine):
    """Give an image's layers, oldest first."""
    return lambda tag: engine.images.get(tag).attrs["RootFS"]["Layers"]


@pytest.fixture
def checkout(tmp_path):
    """A copy of what chance is built from."""
    for part in ("services/kit", "services/chance", "docker"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns(".venv*", "__pycache__"))
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [*LIGHT, "qwen_vl"])
def test_an_image_says_what_it_is_and_how_it_is_run(engine, image, name):
    config = engine.images.get(image(name)).attrs["Config"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == f"mmad-answer/{name}"
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels.keys() >= {"org.opencontainers.image.revision", "org.opencontainers.image.source"}
    assert labels["org.mmad.answer.contract"] == "v1"
    assert labels["org.mmad.answer.port"] == "50051"
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "mmad-answer", "health"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["mmad-answer", "serve", "/service"]


@pytest.mark.parametrize("name", LIGHT)
def test_what_needs_no_gpu_adds_less_than_250_mb_to_its_base(engine, image, base_image, name):
    added = engine.images.get(image(name)).attrs["Size"] - engine.images.get(base_image).attrs["Size"]
    assert added < MOST_BYTES


@pytest.mark.parametrize("name", [*LIGHT, "orchestrator", "download"])
def test_pip_and_what_builds_are_in_no_image(engine, image, name):
    said = engine.containers.run(
        image(name),
        ["-c", "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"],
        entrypoint="python",
        remove=True,
    )
    assert not {"pip", "hatchling"} & set(said.decode().split())


def test_the_orchestrators_image_leaves_frames_and_the_hub_to_an_extra(engine, image):
    names = ["pandas", "pyarrow", "huggingface_hub", "orchestrator"]
    said = engine.containers.run(
        image("orchestrator"),
        ["-c", f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"],
        entrypoint="python",
        remove=True,
    )
    assert said.decode().strip() == "['orchestrator']"


def test_the_orchestrators_new_volumes_can_be_written_by_whoever_its_user_is(engine, image, project):
    volumes = {
        engine.volumes.create(labels={"com.docker.compose.project": project}).name: {"bind": f"/work/{name}"}
        for name in ("data", "runs")
    }
    said = engine.containers.run(
        image("orchestrator"),
        ["-c", "orchestrator data sample data/sample --images 4 && mkdir runs/mine && id -u"],
        entrypoint="sh",
        user="4321:4321",
        volumes=volumes,
        read_only=True,
        tmpfs={"/tmp": ""},
        remove=True,
    )
    assert said.decode().splitlines()[-1] == "4321"


def test_an_image_for_weights_holds_none_and_looks_for_them_in_the_volume_only(engine, image):
    tag = image("qwen_vl")
    environment = engine.images.get(tag).attrs["Config"]["Env"]
    assert {"HF_HUB_CACHE=/models", "HF_HUB_OFFLINE=1"} <= set(environment)
    weights = ["(", "-name", "*.safetensors", "-o", "-name", "*.gguf", "-o", "-name", "*.pth", "-o", "-path"]
    found = engine.containers.run(
        tag,
        ["/", "-xdev", *weights, "/models/*", ")", "-size", "+100k"],
        entrypoint="find",
        user="0",
        remove=True,
    )
    assert found == b""


def test_the_transformers_images_share_all_but_their_own_code(image, layers):
    images = [layers(image(name)) for name in ON_TRANSFORMERS]
    differ = [position for position, same in enumerate(zip(*images, strict=True)) if len(set(same)) > 1]
    assert differ == [len(images[0]) - 1]


def test_a_change_of_code_leaves_the_layer_of_dependencies(build, image, layers, checkout):
    before = layers(image("chance"))
    for file in ("services/kit/mmad_answer/uniform.py", "services/chance/service.py"):
        with (checkout / file).open("a") as code:
            code.write("\n# changed\n")
    project = checkout / "services/kit/pyproject.toml"
    project.write_text(project.read_text().replace('\ndescription = "', '\ndescription = "Changed: '))
    after = layers(build("docker/chance.Dockerfile", "mmad-answer/chance:test-changed", context=checkout))
    changed = [index for index, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed == [len(before) - 2, len(before) - 1]


def test_an_image_that_is_built_anew_leaves_none_without_a_name(engine, build, tmp_path):
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY Dockerfile /\n")
    first = engine.images.get(build(tmp_path / "Dockerfile", "mmad-test/anew:test", context=tmp_path))
    with (tmp_path / "Dockerfile").open("a") as file:
        file.write("# changed\n")
    second = engine.images.get(build(tmp_path / "Dockerfile", "mmad-test/anew:test", context=tmp_path))
    assert first.id != second.id
    with pytest.raises(docker.errors.ImageNotFound):
        first.reload()
    second.remove()


def test_what_nobody_else_may_read_in_the_checkout_can_be_read_in_the_container(engine, build, checkout):
    for path in checkout.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    tag = build("docker/chance.Dockerfile", "mmad-answer/chance:test-private", context=checkout)
    assert b"Uniform over" in engine.containers.run(tag, ["--help"], remove=True)


def test_the_classic_builder_builds_it_too(build, engine):
    tag = build("docker/chance.Dockerfile", "mmad-answer/chance:test-classic", buildkit=False)
    assert b"Uniform over" in engine.containers.run(tag, ["--help"], remove=True)


def base(*options, path=None):
    script = ROOT / "docker/airgap/build-base.sh"
    environment = {**os.environ, **({"PATH": path} if path else {})}
    return subprocess.run([script, *options], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ca", "/nowhere.pem"], "build-base: /nowhere.pem: there is no such file"),
        (["--pip-conf", "/nowhere"], "build-base: /nowhere: there is no such file"),
        (["--wheels", "/nowhere"], "build-base: /nowhere: there is no such folder"),
        (["--mirror"], "build-base: --mirror: is no option, or lacks its value; see --help"),
        (["--colour", "red"], "build-base: --colour: is no option; see --help"),
    ],
)
def test_the_base_image_is_not_begun_with_a_wrong_option(options, said):
    done = base(*options)
    assert done.returncode in (1, 2)
    assert done.stderr.splitlines() == [said]


def test_a_mirror_that_is_none_leaves_neither_an_image_nor_a_folder(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = base("--mirror", "http://127.0.0.1:9/debian", "--name", "mmad-base-test")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "build-base: debootstrap failed: its last lines are above"
    assert list(tmp_path.iterdir()) == []
    assert engine.images.list("mmad-base-test") == []


def test_without_an_engine_it_is_said_in_one_line(tmp_path):
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock", "CI": "true"}
    done = subprocess.run(
        [ROOT / "tests/docker/engine.sh", "true"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "No Docker engine answers" in line
    assert "set DOCKER_HOST" in line


def test_a_change_that_is_to_land_may_install_an_engine(tmp_path):
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$1 $CI"\n')
    make.chmod(0o755)
    plain = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [ROOT / ".ci/run"],
        capture_output=True,
        text=True,
        check=True,
        env={**plain, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert "test-docker true" in done.stdout.splitlines()
