"""What is rendered is what the API knows, strictly: an unknown field or kind fails."""

import copy
import functools

import kubernetes_validate
import pytest
from kubernetes_validate import utils
from packaging.version import Version

OLDEST = Version("1.29")  # the first that replaces a Job's pod only once it is gone without a feature gate
VERSIONS = [each for each in utils.all_versions() if Version(each) >= OLDEST]


@pytest.fixture(scope="module")
def validate():
    """Strict validation; a version's schemas are read once, not once per object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        yield lambda each, version: kubernetes_validate.validate(each, version, strict=True)


def test_there_are_schemas_of_several_versions_the_oldest_supported_one_included():
    assert len(VERSIONS) > 3
    assert VERSIONS[0] == "1.29.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(folder, version, render, validate):
    objects = render(folder)
    assert objects
    for each in objects:
        # The validator takes an older version's schemas where it lacks those that it was asked for.
        assert validate(each, version) == ".".join(version.split(".")[:2])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_however_deep_fails(version, paths, render, only, validate):
    deployment = copy.deepcopy(only(render(paths.overlay[0]), "Deployment"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["livenesProbe"] = container.pop("livenessProbe")
    with pytest.raises(utils.ValidationError, match="livenesProbe"):
        validate(deployment, version)


def test_an_unknown_kind_fails(validate):
    monitor = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": "answer"}}
    with pytest.raises(utils.SchemaNotFoundError):
        validate(monitor, VERSIONS[-1])


def test_no_two_objects_of_different_folders_have_one_name(everything):
    names = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in everything
    ]
    assert sorted(set(names)) == sorted(names)


def test_every_object_is_in_the_namespace_and_has_a_name_that_dns_can_carry(everything):
    for each in everything:
        name = each["metadata"]["name"]
        assert len(name) <= 63, name
        assert name.replace("-", "").isalnum(), name
        assert name == name.lower()
        if each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == "mmad", name
