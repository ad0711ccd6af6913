"""The contract is well-formed, only grows, and the committed stubs are its stubs."""

import pathlib
import shutil
import subprocess
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROTOS = ROOT / "protos"
BUF = pathlib.Path(sysconfig.get_path("scripts")) / "buf"
OLDEST = ROOT / ".venv-oldest" / "bin"


def buf(*arguments, cwd=PROTOS):
    return subprocess.run([BUF, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    """A copy of the contract to break."""
    shutil.copytree(PROTOS, tmp_path / "protos")
    return tmp_path / "protos"


def edit(copy, old, new):
    path = copy / "mmad/answer/v1/answer.proto"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_contract_passes_the_standard_lint():
    result = buf("lint")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_contract_does_not_break_the_baseline():
    result = buf("breaking", "--against", "baseline.binpb")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_lint_fault_would_be_noticed(copy):
    edit(copy, "enum State {\n  STATE_UNSPECIFIED", "enum State {\n  NONE")
    assert buf("lint", cwd=copy).returncode != 0


def test_a_breaking_change_would_be_noticed(copy):
    edit(copy, "string checkpoint = 3;", "uint32 checkpoint = 3;")
    assert buf("breaking", "--against", "baseline.binpb", cwd=copy).returncode != 0


def test_generating_the_stubs_anew_changes_nothing(tmp_path):
    """With the pinned generator: a newer one writes code that older environments cannot run."""
    assert (OLDEST / "python").exists(), "run `make dev` first: it makes .venv-oldest"
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    subprocess.run(
        [
            OLDEST / "python",
            "-m",
            "grpc_tools.protoc",
            f"-I{PROTOS}",
            *outputs,
            "mmad/answer/v1/answer.proto",
        ],
        check=True,
        env={"PATH": str(OLDEST)},
    )
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.py*"))
    assert len(made) == 4
    for path in made:
        assert (ROOT / "services/kit" / path).read_text() == (tmp_path / path).read_text(), path
