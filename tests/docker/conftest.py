"""A real engine, the images built on it, and Compose projects that leave nothing behind.

Built images stay, under the tag `test`, so that the next run builds only what has changed. `BASE_IMAGE` names
another base than the one that is made here of Debian packages: a machine with a registry can say
`BASE_IMAGE=python:3.11-slim-bookworm`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).parents[2]
TAG = "test"
BIN = Path(sys.executable).parent
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="session")
def engine():
    """The Docker SDK's client of the engine that DOCKER_HOST names, or of this machine's."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except docker.errors.DockerException as error:
        pytest.fail(f"no Docker engine answers: `make test-docker` says what to do ({error})", pytrace=False)
    yield client
    client.close()


@pytest.fixture(scope="session")
def docker_command(engine):
    """The command that can build with BuildKit: a client from 23 on needs its plugin buildx for that."""
    for folder in os.environ["PATH"].split(os.pathsep):
        command = shutil.which("docker", path=folder)
        if command and _can_build(command):
            return command
    pytest.fail("no docker command here can build: install docker.io, or the plugin buildx", pytrace=False)


def _can_build(command):
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.split()[2].split(".")[0]) < 23:
        return True
    return subprocess.run([command, "buildx", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def base_image(engine, docker_command, tmp_path_factory):
    """The image that all others are built on, with this machine's certificates and pip settings."""
    if "BASE_IMAGE" in os.environ:
        return os.environ["BASE_IMAGE"]
    folder = tmp_path_factory.mktemp("base")
    settings, wheels = _pip_settings()
    (folder / "pip.conf").write_text("\n".join(["[global]", *settings, ""]))
    options = ["--pip-conf", str(folder / "pip.conf")]
    for certificate in sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt")):
        options += ["--ca", str(certificate)]
    if wheels:
        options += ["--wheels", wheels]
    return finished([ROOT / "docker/airgap/build-base.sh", *options]).stdout.strip()


def _pip_settings():
    """What of this machine's pip settings holds in an image too; and its folder of wheels, or ""."""
    listed = finished([BIN / "python", "-m", "pip", "config", "list"]).stdout.splitlines()
    values = {}
    for line in listed:
        name, _, value = line.partition("=")
        values[name.rpartition(".")[2]] = value.strip("'")
    settings = []
    if "cert" in values:
        settings.append(f"cert = {CERTIFICATES}")
    if values.get("index-url", "").startswith("http"):
        settings.append(f"index-url = {values['index-url']}")
    wheels = values.get("find-links", "")
    if not Path(wheels).is_dir():
        return settings, ""
    return [*settings, "find-links = /opt/wheels"], wheels


def finished(command, check=True, **more):
    """Run a command to its end; what it said is the failure, if it fails and must not."""
    done = subprocess.run(
        [str(each) for each in command], cwd=ROOT, capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0 or not check, (
        f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-8000:]}"
    )
    return done


@pytest.fixture(scope="session")
def build(engine, docker_command, base_image):
    """Build an image: `build("docker/chance.Dockerfile", "mmad-answer/chance:test")` gives the tag.

    The image that had it before goes.
    """

    def run(dockerfile, tag, *options, base=base_image, context=ROOT, buildkit=True):
        arguments = ["--build-arg", f"BASE_IMAGE={base}", *options, "--file", ROOT / dockerfile]
        before = engine.images.list(tag)
        finished(
            [docker_command, "build", *arguments, "--tag", tag, context],
            env={**os.environ, "DOCKER_BUILDKIT": "1" if buildkit else "0"},
        )
        for image in before:
            with contextlib.suppress(docker.errors.APIError):  # a container may still have it
                image.reload()
                if not image.tags:
                    image.remove()
        return tag

    return run


@pytest.fixture(scope="session")
def image(build):
    """Build a service's image, once: `image("chance")` gives its tag; "orchestrator" and "download" too."""
    built = {}

    def tag_of(service):
        if service not in built:
            name = {"orchestrator": "mmad-orchestrator", "download": "mmad-download"}.get(
                service, f"mmad-answer/{service}"
            )
            built[service] = build(f"docker/{service}.Dockerfile", f"{name}:{TAG}")
        return built[service]

    return tag_of


@pytest.fixture(scope="session")
def tiny_image(build, image):
    """Build a transformers service's image, made fit to run without a GPU: `tiny_image("qwen_vl")`.

    It also makes what it will run: `tiny_checkpoint`.
    """

    @functools.cache
    def tag_of(service):
        return build(
            "tests/docker/tiny.Dockerfile",
            f"mmad-answer/{service}:{TAG}-tiny",
            "--build-arg",
            f"SERVICE={service}",
            base=image(service),
            context=ROOT / "tests/services",
        )

    return tag_of


@pytest.fixture(scope="session")
def tiny_checkpoint(engine, tiny_image, tmp_path_factory):
    """Make a checkpoint of a few hundred kilobytes, with random weights: `tiny_checkpoint("qwen_vl")`."""

    @functools.cache
    def folder_of(service):
        script = max((ROOT / "tests/services" / service / "tiny").glob("[!_]*.py"))
        folder = tmp_path_factory.mktemp("tiny")
        engine.containers.run(
            tiny_image(service),
            ["/tiny/build.py", f"/tiny/{script.name}", "/made"],
            entrypoint="python",
            user=str(os.getuid()),
            volumes={str(folder): {"bind": "/made"}},
            remove=True,
        )
        # The service runs as somebody else, and safetensors writes files for their owner only.
        folder.chmod(0o755)
        (folder / "model.safetensors").chmod(0o644)
        return folder

    return folder_of


@pytest.fixture
def hub():
    """A `Hub` on this machine's loopback."""
    with _serving("127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def hub_for_containers(engine):
    """A `Hub` at the address under which containers reach this machine."""
    subnet = engine.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
    with _serving(str(ipaddress.ip_network(subnet)[1])) as server:  # the engine gives itself the first
        yield server


class Hub(http.server.ThreadingHTTPServer):
    """The Hugging Face hub as far as a download needs it, with checkpoints out of folders: `hub.add(...)`."""

    def __init__(self, host):
        super().__init__((host, 0), _HubHandler)
        self.url = f"http://{host}:{self.server_address[1]}"
        self.repositories = {}
        self.sent = []
        """The files that were fetched."""
        self.damaged = ()
        """Names of files to send wrong, each of its right length."""

    def add(self, name, files):
        """Offer a checkpoint: {name: bytes}. Returns its commit."""
        commit = hashlib.sha1(repr((name, sorted(files.items()))).encode()).hexdigest()
        self.repositories[name] = (commit, files)
        return commit


@contextlib.contextmanager
def _serving(host):
    server = Hub(host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _HubHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        for name, (commit, files) in self.server.repositories.items():
            if path.startswith(f"/api/models/{name}/revision/"):
                if path.rpartition("/")[2] not in ("main", commit):
                    return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                return self._send(200, json.dumps({"id": name, "sha": commit, "siblings": []}).encode())
            if path.startswith(f"/api/models/{name}/tree/{commit}"):
                return self._send(200, json.dumps([_entry(*each) for each in files.items()]).encode())
            if path.startswith(f"/{name}/resolve/{commit}/"):
                return self._file(path.rpartition("/")[2], commit, files)
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815 - the base class wants this name

    def _file(self, name, commit, files):
        content = files[name]
        entry = _entry(name, content)
        etag = entry.get("lfs", entry)["oid"]
        if self.command == "GET":
            self.server.sent.append(name)
            if name in self.server.damaged:
                content = bytes(len(content))
        return self._send(200, content, {"X-Repo-Commit": commit, "ETag": f'"{etag}"'})

    def _send(self, status, body, headers=None):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        """Tests say what they want to know."""


def _entry(name, content):
    """A file as the hub lists it: large ones by their SHA-256, the others by Git's digest of a blob."""
    entry = {"type": "file", "path": name, "size": len(content)}
    entry["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if name.endswith(".safetensors"):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}
    return entry


@contextlib.contextmanager
def _own_project(engine):
    name = f"mmad-test-{uuid.uuid4().hex[:8]}"
    mine = {"label": f"com.docker.compose.project={name}"}
    try:
        yield name
    finally:
        for container in engine.containers.list(all=True, filters=mine):
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        for network in engine.networks.list(filters=mine):
            network.remove()
        for volume in engine.volumes.list(filters=mine):
            volume.remove()


@pytest.fixture
def project(engine):
    """The name of a Compose project of this test's own; what it leaves is removed."""
    with _own_project(engine) as name:
        yield name


@dataclasses.dataclass(frozen=True)
class Compose:
    """Compose v5 in a project of a test's own, with no settings but those that are given."""

    project: str
    settings: Path
    files: tuple[Path, ...] = (ROOT / "compose.yaml",)

    def __call__(self, *arguments, check=True, **variables):
        """Run it: `compose("up", "--detach", QWEN_GPU="1")` gives the finished process."""
        command = [BIN / "docker-compose", "--project-name", self.project, "--env-file", self.settings]
        command += [part for file in self.files for part in ("--file", file)]
        own = {"MMAD_TAG": TAG, "MMAD_MODELS_VOLUME": f"{self.project}-models"}
        return finished([*command, *arguments], check=check, env={**os.environ, **own, **variables})


@pytest.fixture
def compose(project, tmp_path):
    """Run Compose in the test's project: `compose("up", "--detach")`."""
    settings = tmp_path / "empty.env"
    settings.touch()
    return Compose(project, settings)


@pytest.fixture(scope="module")
def shared_compose(engine, tmp_path_factory):
    """The same, in one project for all tests of a file."""
    settings = tmp_path_factory.mktemp("compose") / "empty.env"
    settings.touch()
    with _own_project(engine) as name:
        yield Compose(name, settings)
