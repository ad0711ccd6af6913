"""The Jobs: their command lines are the orchestrator's, and their volumes are where these lines look."""

import pathlib
import re
import shlex
import shutil

import pytest
import typer.main

from orchestrator.cli import app
from orchestrator.cli_results import FINISHED_WITH_FAILURES, NOT_ALL_ASKED
from orchestrator.options import parse
from orchestrator.settings_file import read_settings
from orchestrator.shards import parse_shard

ORCHESTRATOR = typer.main.get_command(app)


def container_of(template):
    (container,) = template["spec"]["containers"]
    return container


def command_lines(template, index=0):
    """What a pod runs of the orchestrator, without its name, as shell and kubelet would give it."""
    container = container_of(template)
    if "command" not in container:
        return [[each.replace("$(JOB_COMPLETION_INDEX)", str(index)) for each in container["args"]]]
    shell, option, script = container["command"]
    assert (shell, option) == ("sh", "-c")
    lines = [shlex.split(line.strip().removeprefix("exec ")) for line in script.split("&&")]
    assert all(line[0] == "orchestrator" for line in lines)
    return [line[1:] for line in lines]


def parsed(line):
    """The verb and its parameters; what the command line does not take ends the test."""
    command, words = ORCHESTRATOR, list(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command.name, command.make_context(command.name, words).params


def mount_at(template, path):
    """The mount that holds a path, and its volume."""
    inside = [
        m for m in container_of(template)["volumeMounts"] if pathlib.Path(path).is_relative_to(m["mountPath"])
    ]
    mount = max(inside, key=lambda each: len(each["mountPath"]))
    (volume,) = [each for each in template["spec"]["volumes"] if each["name"] == mount["name"]]
    return mount, volume


@pytest.fixture
def run_options(render, only, tmp_path):
    """The options of a Job's run, read as the orchestrator reads them."""

    def read(folder, index=0):
        objects = render(folder)
        template = only(objects, "Job")["spec"]["template"]
        verb, given = parsed(command_lines(template, index)[0])
        assert verb == "run"
        config = pathlib.Path(given.pop("config"))
        mount, volume = mount_at(template, config)
        assert mount["mountPath"] == str(config.parent)
        data = only(objects, "ConfigMap", name=volume["configMap"]["name"])["data"]
        (tmp_path / config.name).write_text(data[config.name])
        values = {name: value for name, value in given.items() if value not in (None, (), [])}
        return parse(read_settings(tmp_path / config.name) | values)

    return read


def orchestrators(paths):
    """The Jobs of the orchestrator's image."""
    return [path for path in paths.job if path.name != "download"]


def test_there_is_a_job_for_a_run_for_shards_for_their_merging_and_for_each_volume(paths):
    assert {"run", "shards", "merge", "data", "download"} <= {path.name for path in paths.job}


def test_every_command_line_is_one_that_the_orchestrator_takes(paths, render, only):
    for folder in orchestrators(paths):
        if folder.name != "files":  # which sleeps
            for line in command_lines(only(render(folder), "Job")["spec"]["template"]):
                assert parsed(line)


def test_a_pod_is_followed_by_another_only_once_it_is_gone_and_on_the_same_folder(job, render, only):
    spec = only(render(job), "Job")["spec"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["podReplacementPolicy"] == "Failed"
    tries = spec.get("backoffLimit", spec.get("backoffLimitPerIndex"))
    assert tries == 0 if job.name == "merge" else tries >= 10
    first = spec["podFailurePolicy"]["rules"][0]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize("name", ["run", "shards"])
def test_a_run_s_folder_is_fixed_and_outlasts_the_pod_on_a_volume_that_sqlite_can_trust(
    name, paths, render, only, run_options
):
    folder = paths.deploy / "jobs" / name
    template = only(render(folder), "Job")["spec"]["template"]
    out = run_options(folder).out
    mount, volume = mount_at(template, out)
    assert out != pathlib.Path(mount["mountPath"])
    assert not mount.get("readOnly")
    name = volume["persistentVolumeClaim"]["claimName"]
    claim = only(render(paths.deploy / "common"), "PersistentVolumeClaim", name=name)
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("name", ["run", "shards"])
def test_a_run_reads_its_data_from_the_data_volume_and_cannot_change_it(
    name, paths, render, only, run_options
):
    folder = paths.deploy / "jobs" / name
    mount, volume = mount_at(only(render(folder), "Job")["spec"]["template"], run_options(folder).data)
    assert mount["readOnly"] is True
    assert volume["persistentVolumeClaim"]["claimName"] == "data"


def test_the_data_job_puts_it_where_runs_look(paths, render, only, run_options):
    template = only(render(paths.deploy / "jobs" / "data"), "Job")["spec"]["template"]
    (download, given), (verify, also) = map(parsed, command_lines(template))
    assert (download, verify) == ("download", "verify")
    assert str(given["folder"]) == str(also["folder"]) == run_options(paths.deploy / "jobs" / "run").data
    assert not mount_at(template, given["folder"])[0].get("readOnly")


@pytest.mark.parametrize("name", ["run", "shards"])
def test_every_model_of_the_run_is_a_service_of_an_overlay(name, paths, render, only, run_options):
    services = {}
    for overlay in paths.overlay:
        service = only(render(overlay), "Service")
        services[service["metadata"]["name"]] = [port["port"] for port in service["spec"]["ports"]]
    endpoints = run_options(paths.deploy / "jobs" / name).endpoint
    assert endpoints
    for each in endpoints:
        host, port = re.fullmatch(r"[\w.-]+=dns:///([\w-]+):(\d+)", each).groups()
        assert int(port) in services[host]


def test_a_run_waits_for_a_model_as_long_as_its_startup_probe_does(paths, render, only, run_options):
    wait = run_options(paths.deploy / "jobs" / "run").wait
    for overlay in paths.overlay:
        (container,) = only(render(overlay), "Deployment")["spec"]["template"]["spec"]["containers"]
        probe = container["startupProbe"]
        assert wait >= probe["periodSeconds"] * probe["failureThreshold"]


def test_the_shards_are_as_many_as_the_job_s_completions_all_at_once_each_with_a_folder_of_its_own(
    paths, render, only, run_options
):
    folder = paths.deploy / "jobs" / "shards"
    spec = only(render(folder), "Job")["spec"]
    count = spec["completions"]
    options = [run_options(folder, index) for index in range(count)]
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == count
    assert [each.shard for each in options] == [parse_shard(f"{index}/{count}") for index in range(count)]
    assert len({each.out for each in options}) == count
    assert (
        len({each.model_copy(update={"shard": None, "out": None}).model_dump_json() for each in options}) == 1
    )


def test_another_number_of_shards_is_one_number_in_the_file(paths, tmp_path, render, only):
    shutil.copytree(paths.deploy, tmp_path / "kubernetes")
    job = tmp_path / "kubernetes" / "jobs" / "shards" / "job.yaml"
    assert job.read_text().count("completions: 4") == 1
    job.write_text(job.read_text().replace("completions: 4", "completions: 7"))
    spec = only(render(job.parent), "Job")["spec"]
    assert spec["parallelism"] == 7
    assert "$(JOB_COMPLETION_INDEX)/7" in container_of(spec["template"])["args"]


def test_merging_takes_the_shards_folders_and_leaves_them(paths, render, only, run_options):
    template = only(render(paths.deploy / "jobs" / "merge"), "Job")["spec"]["template"]
    verb, given = parsed(command_lines(template)[0])
    shards = run_options(paths.deploy / "jobs" / "shards", 3).out
    assert verb == "merge"
    (runs,) = [value for name, value in given.items() if name != "out" and value]
    assert [shards.match(str(each)) for each in runs] == [True]
    assert not given["out"].is_relative_to(shards.parent)
    assert mount_at(template, given["out"])[1]["persistentVolumeClaim"]["claimName"] == "runs"


def test_pods_that_share_a_volume_of_one_node_are_brought_together(paths, render, only):
    for folder in orchestrators(paths):
        template = only(render(folder), "Job")["spec"]["template"]
        (term,) = template["spec"]["affinity"]["podAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        for other in orchestrators(paths):
            labels = only(render(other), "Job")["spec"]["template"]["metadata"]["labels"]
            assert term["labelSelector"]["matchLabels"].items() <= labels.items()


def test_the_download_fills_the_volume_that_models_read_with_a_checkpoint_that_one_asks_for(
    paths, render, only, settings_of
):
    template = only(render(paths.deploy / "jobs" / "download"), "Job")["spec"]["template"]
    container = container_of(template)
    environment = {each["name"]: each.get("value") for each in container["env"]}
    mount, volume = mount_at(template, environment["HF_HUB_CACHE"])
    qwen = render(paths.deploy / "overlays" / "qwen_vl")
    assert container["args"] == [settings_of(qwen)["MMAD_ANSWER_CHECKPOINT"]]
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+(@\w+)?", each) for each in container["args"])
    assert environment["HF_HUB_CACHE"] == settings_of(qwen)["HF_HUB_CACHE"]
    assert not mount.get("readOnly")
    assert volume["persistentVolumeClaim"]["claimName"] == "weights"
    claim = only(render(paths.deploy / "common"), "PersistentVolumeClaim", name="weights")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(("name", "action"), [("run", "FailJob"), ("shards", "FailIndex")])
def test_only_a_run_that_can_still_complete_is_tried_again(paths, render, only, name, action):
    """Exit code 3: all was asked. A lost node stays nobody's fault."""
    (path,) = [path for path in paths.job if path.name == name]
    policy = only(render(path), "Job")["spec"]["podFailurePolicy"]["rules"]
    codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in policy if "onExitCodes" in rule}
    assert codes == {action: [FINISHED_WITH_FAILURES]}
    assert NOT_ALL_ASKED not in codes[action]
    assert any(rule["action"] == "Ignore" and "onPodConditions" in rule for rule in policy)


def test_no_job_has_a_secret_in_its_environment(paths, render, only):
    for path in paths.job:
        container = container_of(only(render(path), "Job")["spec"]["template"])
        for entry in container.get("env", []):
            assert "secretKeyRef" not in entry.get("valueFrom", {}), (path, entry)


def test_the_hubs_token_is_read_where_its_secret_is_mounted(paths, render, only):
    (path,) = [path for path in paths.job if path.name == "download"]
    template = only(render(path), "Job")["spec"]["template"]
    (token,) = [e["value"] for e in container_of(template)["env"] if e["name"] == "HF_TOKEN_PATH"]
    mount, volume = mount_at(template, token)
    assert mount["readOnly"]
    assert volume["secret"] == {"secretName": "hub-token", "optional": True, "defaultMode": 0o440}
