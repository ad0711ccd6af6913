"""What surrounds the promises: which address is asked, and which signals end a check."""

import os
import signal
import subprocess
import sys

import pytest

from orchestrator.check.checking import _ending_like_ctrl_c, _one_address
from orchestrator.check.local_process import LocalProcess
from orchestrator.dispatch import DirectoryError
from orchestrator.endpoints import dns
from orchestrator.errors import EndpointError
from orchestrator.vocabulary import Endpoint


class Notes(list):
    def note(self, text):
        self.append(text)


async def test_of_a_name_with_many_addresses_one_is_checked_and_named(monkeypatch):
    monkeypatch.setattr(dns, "addresses", lambda host, port: ["10.0.0.1:50051", "10.0.0.2:50051"])
    notes = Notes()
    found = await _one_address(Endpoint("check", "dns:///answer:50051", "test"), notes)
    assert found.target == "10.0.0.1:50051"
    assert notes == ["dns:///answer:50051 has 2 addresses; 10.0.0.1:50051 is checked."]


async def test_of_a_name_without_an_address_there_is_one_line(monkeypatch):
    def none(host, port):
        raise DirectoryError(f"{host} has no address: there is no host of that name")

    monkeypatch.setattr(dns, "addresses", none)
    with pytest.raises(EndpointError, match="dns:///answer:50051: answer has no address"):
        await _one_address(Endpoint("check", "dns:///answer:50051", "test"), Notes())


def test_a_closed_terminal_ends_a_check_as_ctrl_c_does():
    with pytest.raises(KeyboardInterrupt), _ending_like_ctrl_c():
        os.kill(os.getpid(), signal.SIGHUP)


def test_under_nohup_a_closed_terminal_ends_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _ending_like_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_process_is_seen_to_have_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = LocalProcess(child.pid)
        assert process.gone() == ""
        process.terminate()
        child.wait()
        assert process.gone() == f"the process {child.pid} has ended"
        process.terminate()  # of no effect on one that has ended
        process.close()
