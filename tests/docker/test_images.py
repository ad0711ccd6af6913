"""What every image promises, held against images that are built here."""

import pytest

pytestmark = pytest.mark.docker


def test_a_container_runs_as_a_number_and_without_weights(engine, image):
    config = engine.images.get(image("chance")).attrs["Config"]
    assert config["User"] == "10001:10001"
