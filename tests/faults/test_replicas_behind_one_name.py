"""Three replicas behind one name, one killed and one added in mid-run: real processes, a real name server.

The orchestrator has a resolver configuration of its own, in a mount namespace, which takes root; nothing of
the machine is changed. Every address is on the loopback interface.
"""

import collections
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest
from dnslib import QTYPE, RR, A
from dnslib.server import BaseResolver, DNSLogger, DNSServer

from orchestrator.journal.reader import JournalReader
from orchestrator.vocabulary import Outcome

NAME = "replicas.test"
NETWORK = "127.77.50"
WITH_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class Zone(BaseResolver):
    """One name and its addresses, which may change from one answer to the next."""

    def __init__(self, hosts):
        self.hosts = set(hosts)

    def resolve(self, request, handler):
        reply = request.reply()
        if request.q.qtype == QTYPE.A:
            for host in sorted(self.hosts):
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(host), ttl=0))
        return reply


@pytest.fixture
def namespace(tmp_path):
    """The beginning of a command that runs in a mount namespace with this resolver configuration."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root on Linux can give a process a resolver configuration of its own")
    configuration = tmp_path / "resolv.conf"
    configuration.write_text(f"nameserver {NETWORK}.53\noptions timeout:1 attempts:10\n")
    command = ["unshare", "--mount", "sh", "-c", WITH_RESOLVER, configuration]
    if subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    return command


@pytest.fixture
def zone(namespace):
    """What the name server of that configuration answers."""
    zone = Zone(f"{NETWORK}.{number}" for number in (2, 3, 4))
    server = DNSServer(zone, address=f"{NETWORK}.53", port=53, logger=DNSLogger("-request,-reply"))
    server.start_thread()
    yield zone
    server.stop()
    server.server.server_close()


@pytest.fixture
def port():
    """A port that is free at the first of the addresses; nobody else uses the others."""
    with socket.socket() as held:
        held.bind((f"{NETWORK}.2", 0))
        return held.getsockname()[1]


def attempts(folder):
    """Each attempt's target and code, in the order in which they began."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/journal.sqlite?mode=ro", uri=True)) as journal:
        return journal.execute("SELECT target, code FROM attempts ORDER BY id").fetchall()


def wait_until(condition, folder, process):
    """Return the attempts once the condition holds for them."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(sqlite3.OperationalError):  # not there yet
            if condition(made := attempts(folder)):
                return made
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def shares(made):
    counts = collections.Counter(target for target, _ in made)
    return {target: count / len(made) for target, count in counts.items()}


def test_one_killed_and_one_added_in_mid_run_lose_nothing_and_the_load_is_spread(
    serve, small_sample, namespace, zone, port, tmp_path
):
    killed, *others, added = (
        serve("--seconds", "0.05", "--host", f"{NETWORK}.{number}", port=port) for number in (2, 3, 4, 5)
    )
    process = subprocess.Popen(
        [*namespace, sys.executable, "-m", "orchestrator", "run", "--data", small_sample, "--repeats", "2",
         "--endpoint", f"model=dns:///{NAME}:{port}", "--concurrency", "2", "--out", tmp_path / "run"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        before = wait_until(lambda made: len(made) >= 30, tmp_path / "run", process)
        zone.hosts = {f"{NETWORK}.{number}" for number in (3, 4, 5)}
        killed.send(signal.SIGKILL)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output

    with contextlib.closing(JournalReader(tmp_path / "run")) as journal:
        counts, total = journal.counts("model"), journal.question_count()
    assert counts[Outcome.FAILED] == counts[Outcome.MISSING] == 0
    assert sum(counts.values()) == total

    assert set(shares(before)) == {killed.target, *(other.target for other in others)}
    assert all(0.2 < share < 0.5 for share in shares(before).values()), shares(before)

    made = attempts(tmp_path / "run")
    assert sum(target == killed.target for target, _ in made[len(before) :]) <= 4
    joined = [target for target, _ in made].index(added.target)
    after = made[joined:]
    assert len(after) >= 20, "it was added too late for shares to mean anything"
    assert set(shares(after)) == {added.target, *(other.target for other in others)}
    assert all(0.2 < share < 0.5 for share in shares(after).values()), shares(after)
    assert f"{added.target} (dns:///{NAME}:{port}, --endpoint) has joined" in output
    assert f"{killed.target} (dns:///{NAME}:{port}, --endpoint) is gone" in output
