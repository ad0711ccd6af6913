"""docs/add-a-model.md, followed word for word from nothing to a run that finds the model by itself."""

import contextlib
import os
import pathlib

import docker
import pytest

pytestmark = pytest.mark.docker

ROOT = pathlib.Path(__file__).parents[2]
IMAGES = ("mmad-answer/my_model", "my-team/my_model")


@pytest.fixture
def environment(docker_command, base_image, project, engine, tmp_path):
    """A person's shell: Compose is a plugin of docker's, and images are built on what is here."""
    plugins = tmp_path / "docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(ROOT / ".venv/bin/docker-compose")
    yield {
        **os.environ,
        "PATH": f"{pathlib.Path(docker_command).parent}{os.pathsep}{os.environ['PATH']}",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "DOCKER_BUILDKIT": "1",
        "BASE_IMAGE": base_image,
        "COMPOSE_PROJECT_NAME": project,
        "MMAD_DISCOVER": f"docker:{project}",  # the engine may run others'
    }
    for image in IMAGES:
        with contextlib.suppress(docker.errors.ImageNotFound):
            engine.images.remove(image, force=True)


def test_followed_word_for_word_it_leads_from_nothing_to_a_discovered_model(
    checkout_copy, follow, environment
):
    page = (ROOT / "docs/add-a-model.md").read_text()
    *_, checked, discovered, _, checked_elsewhere = follow(page, checkout_copy, environment)
    assert ", 0 failed," in checked
    assert "ok         It has the labels by which it is found" in checked
    assert "my_model" in discovered
    assert "Anomaly Detection" in discovered
    assert "ok         It has the labels by which it is found" in checked_elsewhere
