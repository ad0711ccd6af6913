"""Real processes to kill: services of the kit, and the orchestrator itself."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from orchestrator.dataset import sample

DELIBERATE = pathlib.Path(__file__).parent / "deliberate"


@dataclasses.dataclass
class Service:
    """A service in a process of its own."""

    process: subprocess.Popen
    target: str

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


@pytest.fixture
def serve():
    """Start services; end them whatever happens."""
    with contextlib.ExitStack() as stack:

        def start(*options, folder=DELIBERATE, port=0):
            process = subprocess.Popen(
                [sys.executable, "-m", "mmad_answer", "serve", folder, "--port", str(port),
                 "--exit-with-parent", *options],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
            line = process.stdout.readline()
            assert " listening on " in line, line
            return Service(process, line.rsplit(" ", 1)[1].strip())

        yield start


@pytest.fixture(scope="session")
def small_sample(tmp_path_factory):
    """A small drawn data set, shared by all fault tests."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    sample.draw(folder, images=48)
    return folder


@pytest.fixture
def orchestrator(tmp_path):
    """Start `orchestrator ARGUMENTS` in a process of its own; it is killed at the end if it still runs."""
    with contextlib.ExitStack() as stack:

        def start(*arguments):
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", *map(str, arguments)],
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start
