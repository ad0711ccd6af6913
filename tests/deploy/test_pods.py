"""What holds for every pod, a model's and a Job's."""

import re

import yaml

RESTRICTED_VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected", "downwardAPI"}


def specs(objects):
    return [each["spec"]["template"]["spec"] for each in objects if "template" in each.get("spec", {})]


def test_the_namespace_refuses_pods_that_are_not_restricted(only, paths, render):
    namespace = only(render(paths.deploy / "common"), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_is_restricted_and_cannot_write_where_it_is_not_told_to(folder, render):
    for spec in specs(render(folder)):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= RESTRICTED_VOLUMES


def test_no_pod_has_a_token_of_the_cluster(folder, render, everything):
    accounts = {each["metadata"]["name"]: each for each in everything if each["kind"] == "ServiceAccount"}
    for spec in specs(render(folder)):
        assert spec["automountServiceAccountToken"] is False
        assert accounts[spec["serviceAccountName"]]["automountServiceAccountToken"] is False


def test_every_mount_has_a_volume_and_every_volume_a_source_that_is_here(folder, render, everything):
    names = {(each["kind"], each["metadata"]["name"]) for each in everything}
    for spec in specs(render(folder)):
        (container,) = spec["containers"]
        assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
        assert {"name": "HOME", "value": "/tmp"} in container["env"]
        for volume in spec["volumes"]:
            match volume:
                case {"persistentVolumeClaim": {"claimName": name}}:
                    assert ("PersistentVolumeClaim", name) in names
                case {"configMap": {"name": name}}:
                    assert ("ConfigMap", name) in names


def test_every_container_states_what_it_needs_and_what_it_may_take(folder, render):
    for spec in specs(render(folder)):
        for container in spec["containers"]:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys()
            assert "memory" in resources["limits"]
            assert "cpu" not in resources["limits"]  # would only slow it down where there is room


def test_images_and_user_ids_are_those_of_the_dockerfiles_and_of_compose(folder, render, paths):
    compose = yaml.safe_load((paths.root / "compose.yaml").read_text())
    known = {each["image"].partition(":")[0] for each in compose["services"].values()}
    for spec in specs(render(folder)):
        for container in spec["containers"]:
            image = container["image"]
            assert image in known
            assert container["imagePullPolicy"] == "IfNotPresent"
            dockerfile = (
                paths.root / "docker" / f"{image.removeprefix('mmad-').rpartition('/')[2]}.Dockerfile"
            )
            (user, group) = re.findall(r"^USER (\d+):(\d+)$", dockerfile.read_text(), flags=re.M)[-1]
            assert spec["securityContext"]["runAsUser"] == int(user)
            assert spec["securityContext"]["runAsGroup"] == int(group)
            assert spec["securityContext"]["fsGroup"] == int(group)
