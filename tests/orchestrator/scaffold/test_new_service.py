"""`orchestrator new-service`: a service that works as it is written, and nothing overwritten."""

import csv
import json
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

from orchestrator.errors import EndpointError, UserError
from orchestrator.scaffold.new_service import render, write_service

ROOT = pathlib.Path(__file__).parents[3]
BIN = pathlib.Path(sys.executable).parent
LONGEST = "a_name_as_long_as_a_service_may_have_it1"
FILES = [
    "docker/{}.Dockerfile",
    "docker/{}.compose.yaml",
    "services/{}/README.md",
    "services/{}/requirements.txt",
    "services/{}/service.py",
]


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one service, chance, and a compose.yaml."""
    (tmp_path / "checkout/services/chance").mkdir(parents=True)
    shutil.copy(ROOT / "services/chance/service.py", tmp_path / "checkout/services/chance")
    (tmp_path / "checkout/compose.yaml").write_text("services: {chance: {}, prometheus: {}}")
    return tmp_path / "checkout"


@pytest.fixture
def inside(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "services")
    return checkout


def tree(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_it_writes_a_folder_a_dockerfile_and_a_compose_fragment(cli, inside):
    done = cli("new-service", "widget_7")
    assert (done.code, done.err) == (0, "")
    for file in FILES:
        path = file.format("widget_7")
        assert (inside / path).is_file()
        assert path in done.out
    assert not [path for path in tree(inside) if "my_model" in path.read_text()]


def test_it_says_what_to_do_next_in_commands_that_exist(cli, inside):
    commands = [line.split() for line in cli("new-service", "widget").out.splitlines()]
    verbs = [words[1] for words in commands if words[:1] == ["orchestrator"]]
    assert verbs == ["run", "check", "run"]
    for verb in verbs:
        assert cli(verb, "--help").code == 0


def test_what_is_written_passes_the_check_and_is_asked_like_any_model(
    cli, inside, serve_forever, drawn, tmp_path, summary
):
    cli("new-service", "widget")
    checked = cli("check", serve_forever(inside / "services/widget"), "--quick", "--json")
    report = json.loads(checked.out)
    assert report["model"] == "widget"
    assert [p for p in report["promises"] if p["outcome"] == "failed"] == []
    assert sum(p["outcome"] == "ok" for p in report["promises"]) > 40

    done = cli("run", "--data", drawn, "--local", "widget", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    scored = json.dumps(summary(tmp_path / "run"))
    assert "a scaffold: it guesses" in scored


def test_its_answers_depend_on_the_picture(checkout, serve_forever, cli, drawn, tmp_path):
    write_service(checkout, "widget")
    address = serve_forever(checkout / "services/widget")
    done = cli("run", "--data", drawn, "--endpoint", f"widget={address}", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert cli("export", tmp_path / "run", "--out", tmp_path / "answers.csv").code == 0
    with (tmp_path / "answers.csv").open(newline="") as file:
        detection = [row for row in csv.DictReader(file) if row["type"] == "Anomaly Detection"]
    assert {row["letter"] for row in detection} == {"A", "B"}


@pytest.mark.parametrize("name", ["x", LONGEST])
def test_what_is_written_is_as_clean_as_the_rest(checkout, name):
    write_service(checkout, name)
    folder = checkout / "services" / name
    for command in (
        [BIN / "ruff", "check", "--config", ROOT / "pyproject.toml", folder],
        [BIN / "ruff", "format", "--check", "--config", ROOT / "pyproject.toml", folder],
        [BIN / "mypy", "--config-file", ROOT / "pyproject.toml", folder / "service.py"],
        [BIN / "hadolint", checkout / f"docker/{name}.Dockerfile"],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_is_that_of_the_other_services_without_weights():
    for name in ("chance", "template_diff"):
        written = render(name)[pathlib.Path(f"docker/{name}.Dockerfile")]
        assert written == (ROOT / f"docker/{name}.Dockerfile").read_text()


def test_the_compose_fragment_runs_it_as_compose_yaml_runs_the_others():
    fragment = yaml.safe_load(render("chance")[pathlib.Path("docker/chance.compose.yaml")])
    whole = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert fragment["services"]["chance"] == whole["services"]["chance"]


def test_the_wheel_brings_the_template(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for file in FILES:
        assert "orchestrator/scaffold/template/" + file.format("my_model") in names


@pytest.mark.parametrize("taken", [file.format("widget") for file in FILES])
def test_nothing_is_overwritten_and_nothing_half_written(checkout, taken):
    (checkout / taken).parent.mkdir(parents=True, exist_ok=True)
    (checkout / taken).write_text("mine")
    if taken.endswith("service.py"):
        expected = "there is a service of this name"
    else:
        expected = f"nothing is overwritten, and these are there already: {taken}."
    before = tree(checkout)
    with pytest.raises(UserError, match=expected):
        write_service(checkout, "widget")
    assert tree(checkout) == before
    assert (checkout / taken).read_text() == "mine"


@pytest.mark.parametrize("blocked", ["docker", "services/widget"])
def test_what_cannot_be_written_leaves_nothing_behind(checkout, blocked):
    (checkout / blocked).write_text("a file where a folder must be")
    before = sorted(checkout.rglob("*"))
    with pytest.raises(UserError, match=f"^widget: .*{blocked} cannot be written: File exists"):
        write_service(checkout, "widget")
    assert sorted(checkout.rglob("*")) == before


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_behind(checkout, monkeypatch):
    opened = pathlib.Path.open

    def full(path, *arguments, **options):
        file = opened(path, *arguments, **options)
        if path.name == "service.py":

            def write(text):
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(file, "write", write, raising=False)
        return file

    before = sorted(checkout.rglob("*"))
    monkeypatch.setattr(pathlib.Path, "open", full)
    with pytest.raises(UserError, match=r"services/widget/service.py cannot be written: No space left"):
        write_service(checkout, "widget")
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: [", "compose.yaml cannot be read: while parsing"),
        (b"\xff\xfe\xff", "compose.yaml cannot be read: 'utf-8' codec"),
        ("volumes: {}", "compose.yaml: there are no services in it"),
        ("[]", "compose.yaml: there are no services in it"),
    ],
)
def test_a_compose_file_that_cannot_be_read_is_said(checkout, text, problem):
    (checkout / "compose.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=re.escape(problem)) as error:
        write_service(checkout, "widget")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["", "Widget", "7up", "my-model", "_a", "a_", "a__b", "a/b", "..", "ü", LONGEST + "2"]
)
def test_a_bad_name_is_refused_with_what_is_allowed(checkout, name):
    before = tree(checkout)
    with pytest.raises(UserError, match="a lower-case letter, then lower-case letters and digits"):
        write_service(checkout, name)
    assert tree(checkout) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("chance", "there is a service of this name"),
        ("kit", "means something else here"),
        ("answer", "means something else here"),
        ("prometheus", "means something else here"),
        ("class", "Python's own"),
        ("json", "Python's own"),
        ("numpy", "a Python package that is installed here"),
        ("grpc", "a Python package that is installed here"),
        ("docker", "this checkout has a folder docker/"),
        ("tests", "this checkout has a folder tests/"),
        ("airgap", "nothing is overwritten, and these are there already: docker/airgap."),
        ("download", "nothing is overwritten, and these are there already: docker/download.py."),
    ],
)
def test_a_name_that_is_taken_is_refused(checkout, name, reason):
    for folder in ("tests", "docker/airgap"):
        (checkout / folder).mkdir(parents=True)
    (checkout / "docker/download.py").touch()
    before = tree(checkout)
    with pytest.raises(UserError, match=f"^{name}: .*{reason}"):
        write_service(checkout, name)
    assert tree(checkout) == before


def test_a_refusal_is_one_line_and_code_2(cli, inside):
    done = cli("new-service", "Widget")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: Widget: this is no name")
    assert done.err.count("\n") == 1


def test_without_a_checkout_it_says_where_to_go(cli, monkeypatch):
    def missing():
        raise EndpointError("--local starts services of a checkout, and there is none here")

    monkeypatch.setattr("orchestrator.endpoints.checkout.find_checkout", missing)
    done = cli("new-service", "widget")
    assert done.code == 2
    assert done.err.startswith("Error: new-service writes into a checkout of this project, and there is none")
    assert "--local" not in done.err
