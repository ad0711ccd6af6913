"""docker/download.py against a server that speaks the hub's protocol; test_running.py has it in its image."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = {
    "config.json": b"{}",
    "model-00001-of-00002.safetensors": b"one" * 100_000,
    "model-00002-of-00002.safetensors": b"two" * 100_000,
    "modeling.py": b"import os",
    "pytorch_model.bin": b"the same weights again",
}


@pytest.fixture
def download(hub, tmp_path):
    """Run the script with a cache of the test's own."""

    def run(*arguments, endpoint=None):
        own = {"HF_ENDPOINT": endpoint or hub.url, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
        own["PYTHONPATH"] = str(ROOT / "services/kit/mmad_answer/hf")
        return subprocess.run(
            [sys.executable, ROOT / "docker/download.py", *arguments],
            capture_output=True, text=True, check=False, env={**os.environ, **own},
        )  # fmt: skip

    run.cache = tmp_path
    return run


def test_it_fetches_what_the_services_read_and_says_what_it_got(hub, download, tmp_path):
    commit = hub.add("owner/name", FILES)
    done = download("owner/name")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"owner/name: commit {commit}, 3 files, 0\.00 GB, digests verified\n", done.stdout)
    there = {path.name for path in (tmp_path / "models--owner--name" / "snapshots" / commit).iterdir()}
    assert there == {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}


def test_what_is_there_is_not_fetched_again(hub, download):
    commit = hub.add("owner/name", FILES)
    assert download("owner/name", "--revision", commit).returncode == 0
    fetched = len(hub.sent)
    assert download(f"owner/name@{commit}").returncode == 0
    assert len(hub.sent) == fetched == 3


def test_settings_that_are_empty_are_passed_over_and_folders_need_nothing(hub, download):
    hub.add("owner/name", FILES)
    done = download("@", "owner/name@", "/models/mine@", "@main")
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["owner/name", "/models/mine"]


def test_a_file_that_came_damaged_is_found_and_fetched_again_by_the_next_call(hub, download):
    hub.add("owner/name", FILES)
    hub.damaged = ("model-00002-of-00002.safetensors",)
    done = download("owner/name")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "download: owner/name: model-00002-of-00002.safetensors was damaged, and is removed: fetch it again"
    )
    hub.damaged = ()
    assert download("owner/name").returncode == 0
    assert hub.sent.count("model-00002-of-00002.safetensors") == 2
    assert hub.sent.count("model-00001-of-00002.safetensors") == 1


def test_verify_needs_no_network_and_finds_what_is_damaged_or_missing(hub, download, tmp_path):
    commit = hub.add("owner/name", FILES)
    assert download("owner/name").returncode == 0
    nowhere = "http://127.0.0.1:9"
    assert download("--verify", "owner/name", endpoint=nowhere).returncode == 0
    file = tmp_path / "models--owner--name" / "snapshots" / commit / "model-00001-of-00002.safetensors"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.resolve().write_bytes(content)
    assert "was damaged" in download("--verify", "owner/name", endpoint=nowhere).stderr
    missing = download("--verify", "owner/name", endpoint=nowhere)
    assert missing.returncode == 1
    assert f"download: owner/name@{commit}: " in missing.stderr
    assert "Traceback" not in missing.stderr


def test_verify_finds_a_commit_that_was_fetched_by_its_number(hub, download):
    commit = hub.add("owner/name", FILES)
    assert download("owner/name", "--revision", commit).returncode == 0
    done = download("--verify", "owner/name", endpoint="http://127.0.0.1:9")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"owner/name: commit {commit}, 3 files")


def test_verify_goes_through_all_commits_and_misses_no_file_that_two_of_them_share(hub, download):
    first = hub.add("owner/name", FILES)
    assert download("owner/name").returncode == 0
    second = hub.add("owner/name", FILES | {"config.json": b'{"a": 1}'})
    assert download("owner/name").returncode == 0
    assert first != second
    nowhere = "http://127.0.0.1:9"
    assert len(download("--verify", "owner/name", endpoint=nowhere).stdout.splitlines()) == 2
    blobs = (download.cache / "models--owner--name" / "blobs").iterdir()
    shared = next(path for path in blobs if path.read_bytes() == FILES["model-00001-of-00002.safetensors"])
    shared.write_bytes(b"another")
    for _ in range(2):  # found damaged and removed, then missing
        done = download("--verify", "owner/name", endpoint=nowhere)
        assert (done.returncode, done.stdout) == (1, "")
        assert len([line for line in done.stderr.splitlines() if line.startswith("download: ")]) == 2


def test_one_that_cannot_be_had_does_not_keep_the_others_back(hub, download):
    hub.add("owner/name", FILES)
    done = download("owner/missing", "owner/name")
    assert done.returncode == 1
    assert done.stdout.startswith("owner/name: commit")
    assert any(line.startswith("download: owner/missing: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("owner/name@nowhere", "owner/name@nowhere"),
        ("owner/other", "owner/other"),
        ("name", "name: is no hub id (OWNER/NAME)"),
        ("owner/pickled", "owner/pickled: has no safetensors files, and the services read no others"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(hub, download, argument, said):
    hub.add("owner/name", FILES)
    hub.add("owner/pickled", {"config.json": b"{}", "pytorch_model.bin": b"weights"})
    done = download(argument)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"download: {said}")
    assert "Traceback" not in done.stderr


def test_nothing_named_is_wrong_use(download):
    assert download("@", "").returncode == 2


def test_the_example_of_the_settings_names_nothing_to_fetch(download):
    """So that its copy fetches what somebody chose, and not four models."""
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["download"]["command"]
    settings = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.M))
    arguments = [re.sub(r"\$\{(\w+):-\}", lambda found: settings[found[1]], each) for each in composed]
    assert set(arguments) == {"@"}
    assert download(*arguments).returncode == 2
