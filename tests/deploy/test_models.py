"""A model's overlay: what a schema cannot see."""

import os

import click
import pytest
import yaml

from mmad.answer.v1 import answer_pb2
from mmad_answer.loading import find_model_class, own_code
from mmad_answer.model_options import ENVIRONMENT_PREFIX, click_options, make_options
from mmad_answer.serving import serve_command

CONTRACT = answer_pb2.DESCRIPTOR.services_by_name["AnswerService"].full_name
REMOTE = {"openai_proxy", "gemini_proxy"}


def matches(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def service_of(objects, only, paths):
    """The folder of the service that an overlay runs, by its image."""
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return paths.root / "services" / container["image"].rpartition("/")[2]


def test_there_is_an_overlay_for_each_service(paths):
    services = {path.parent.name for path in paths.root.glob("services/*/service.py")}
    assert services <= {path.name for path in paths.overlay}


def test_an_overlay_runs_the_service_that_it_is_named_after(overlay, render, only, paths):
    assert overlay.name.startswith(service_of(render(overlay), only, paths).name)


def test_service_budget_policy_and_deployment_are_of_this_model_s_pods_and_of_no_other_s(
    overlay, render, only, paths
):
    objects = render(overlay)
    selectors = {
        "Deployment": only(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        "Service": only(objects, "Service")["spec"]["selector"],
        "PodDisruptionBudget": only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        **{
            each["metadata"]["name"]: each["spec"]["podSelector"]["matchLabels"]
            for each in objects
            if each["kind"] == "NetworkPolicy"
        },
    }
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    (spread,) = spec["topologySpreadConstraints"]
    selectors["spread"] = spread["labelSelector"]["matchLabels"]
    for other in paths.overlay:
        labels = only(render(other), "Deployment")["spec"]["template"]["metadata"]["labels"]
        same = (
            only(render(other), "Deployment")["metadata"]["name"]
            == only(objects, "Deployment")["metadata"]["name"]
        )
        for name, selector in selectors.items():
            assert matches(selector, labels) is same, name


def test_the_service_is_headless_names_the_container_s_port_and_lists_replicas_that_load(
    overlay, render, only
):
    objects = render(overlay)
    service = only(objects, "Service")["spec"]
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert [(each["targetPort"], each["port"]) for each in service["ports"]] == [("grpc", ports["grpc"])]


def test_the_environment_is_one_that_the_service_takes(
    overlay, render, only, paths, settings_of, monkeypatch
):
    objects = render(overlay)
    folder = service_of(objects, only, paths)
    settings = settings_of(objects)
    command = serve_command(folder)
    known = {option.envvar for option in command.params}
    assert {name for name in settings if name.startswith(ENVIRONMENT_PREFIX)} <= known
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    # What is required is there, each value is one of its option's, and the model takes them together.
    values = command.make_context("serve", []).params
    model = find_model_class(folder)
    with own_code(model):
        names = [option.name for option in click_options(model, taken=())]
    assert make_options(model, {name: values[name] for name in names})


def test_a_setting_that_the_service_does_not_take_would_be_noticed(paths, monkeypatch):
    command = serve_command(paths.root / "services" / "qwen_vl")
    assert "MMAD_ANSWER_CHEKPOINT" not in {option.envvar for option in command.params}
    with pytest.raises(click.MissingParameter):
        command.make_context("serve", [])
    monkeypatch.setenv("MMAD_ANSWER_CHECKPOINT", "x")
    monkeypatch.setenv("MMAD_ANSWER_DTYPE", "float17")
    with pytest.raises(click.BadParameter):
        command.make_context("serve", [])


def test_ports_of_settings_container_and_annotations_agree(overlay, render, only, settings_of):
    objects = render(overlay)
    settings = settings_of(objects)
    template = only(objects, "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports == {"grpc": settings["MMAD_ANSWER_PORT"], "metrics": settings["MMAD_ANSWER_METRICS_PORT"]}
    assert settings["MMAD_ANSWER_HOST"] == "0.0.0.0"
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == ports["metrics"]


def test_probes_ask_for_what_the_contract_names_and_leave_time_to_load(overlay, render, only, settings_of):
    objects = render(overlay)
    deployment = only(objects, "Deployment")["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    startup, ready, alive = (container[f"{each}Probe"] for each in ("startup", "readiness", "liveness"))
    port = int(settings_of(objects)["MMAD_ANSWER_PORT"])
    assert startup["grpc"] == ready["grpc"] == {"port": port, "service": CONTRACT}
    assert alive["grpc"] == {"port": port, "service": ""}
    loading_seconds = startup["periodSeconds"] * startup["failureThreshold"]
    assert loading_seconds >= 1800
    assert deployment["progressDeadlineSeconds"] > loading_seconds
    assert alive["periodSeconds"] * alive["failureThreshold"] >= 120


def test_a_pod_is_given_longer_than_it_drains(overlay, render, only, settings_of):
    objects = render(overlay)
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    assert (
        spec["terminationGracePeriodSeconds"] >= float(settings_of(objects)["MMAD_ANSWER_DRAIN_SECONDS"]) + 15
    )


def test_a_rollout_needs_no_gpu_that_is_not_there_and_a_node_can_be_drained(overlay, render, only):
    objects = render(overlay)
    assert only(objects, "Deployment")["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_models_with_weights_and_only_they_have_a_gpu_and_read_only_weights(
    overlay, render, only, paths, settings_of
):
    objects = render(overlay)
    settings = settings_of(objects)
    has_weights = "torch==" in (service_of(objects, only, paths) / "requirements.txt").read_text()
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = [m for m in container["volumeMounts"] if m["mountPath"] == "/models"]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == ("1" if has_weights else None)
    assert len(mounts) == has_weights
    if has_weights:
        (mount,) = mounts
        (volume,) = [v for v in spec["volumes"] if v["name"] == mount["name"]]
        assert mount["readOnly"] is True
        assert volume["persistentVolumeClaim"] == {"claimName": "weights", "readOnly": True}
        assert settings["HF_HUB_OFFLINE"] == "1"
        assert settings["HF_HUB_CACHE"] == mount["mountPath"]
        assert (
            settings["MMAD_ANSWER_DEVICE"] == "cuda"
        )  # else a pod without its GPU would answer from the CPU


def test_remote_models_and_only_they_have_a_key_as_a_file(overlay, render, only, paths, settings_of):
    objects = render(overlay)
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    secrets = [v for v in spec["volumes"] if "secret" in v]
    assert len(secrets) == (service_of(objects, only, paths).name in REMOTE)
    for volume in secrets:
        (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
        (item,) = volume["secret"]["items"]
        assert settings_of(objects)["MMAD_ANSWER_KEY_FILE"] == f"{mount['mountPath']}/{item['path']}"
        assert volume["secret"]["defaultMode"] == 0o440  # read by the group, fsGroup
        assert volume["secret"]["secretName"] == overlay.name.replace("_proxy", "-key")
    for source in paths.deploy.rglob("*.yaml"):
        for each in yaml.safe_load_all(source.read_text()):
            assert each is None or each.get("kind") != "Secret", (
                f"{source}: a key has no place in a repository"
            )


def test_the_autoscaler_scales_the_model_and_nobody_else_sets_the_number(paths, render, only):
    scaled = [path for path in paths.overlay if "autoscaled" in path.name]
    assert scaled
    for overlay in scaled:
        objects = render(overlay)
        deployment, autoscaler = only(objects, "Deployment"), only(objects, "HorizontalPodAutoscaler")
        assert autoscaler["spec"]["scaleTargetRef"] == {
            "apiVersion": deployment["apiVersion"],
            "kind": "Deployment",
            "name": deployment["metadata"]["name"],
        }
        assert autoscaler["metadata"]["name"] == deployment["metadata"]["name"]
        assert autoscaler["metadata"]["labels"] == deployment["metadata"]["labels"]
        assert "replicas" not in deployment["spec"]
        assert autoscaler["spec"]["maxReplicas"] > autoscaler["spec"]["minReplicas"] >= 1


def test_the_autoscaler_also_fits_within_a_model_s_own_overlay(paths, tmp_path, render, only):
    kustomization = yaml.safe_load((paths.deploy / "overlays/internvl/kustomization.yaml").read_text())
    source = paths.deploy / "overlays" / "internvl"
    kustomization["resources"] = [
        os.path.relpath(source / each, tmp_path) for each in kustomization["resources"]
    ]
    kustomization["components"] = [
        os.path.relpath(source / each, tmp_path)
        for each in [*kustomization["components"], "../../components/autoscaling"]
    ]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    autoscaler = only(render(tmp_path), "HorizontalPodAutoscaler")
    assert autoscaler["metadata"]["name"] == autoscaler["spec"]["scaleTargetRef"]["name"] == "answer-internvl"
