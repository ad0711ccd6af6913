"""`mmad-answer`, as a process: what it prints, how it exits."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import psutil
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc
from mmad_answer.health import _is_loopback, own_target
from mmad_answer.version import __version__

# Waits in load or in answer until files appear beside it.
SLOW = """
import time
from pathlib import Path
from mmad_answer.model import Answer, Capabilities, Card, LoadError, Model, Reply

HERE = Path(__file__).parent


def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.01)


class Slow(Model):
    def describe(self):
        return Card("slow", "test", capabilities=Capabilities(text_only=True))

    def load(self):
        if (HERE / "no-weights").exists():
            raise LoadError("no weights in /weights: mount them there")
        if (HERE / "needs").exists():
            import no_such_package_here
        if (HERE / "slow-load").exists():
            wait_for("never")

    def answer(self, batch):
        (HERE / "begun").touch()
        wait_for("go-on")
        yield Reply(batch[0], "q1", Answer("A"))

    def close(self):
        (HERE / "closed").touch()
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mmad_answer", *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def start():
    """Start a service; its first line says where it is. Ends it, whatever happens."""
    with contextlib.ExitStack() as stack:

        def make(folder, *arguments, session=False):
            process = subprocess.Popen(
                [sys.executable, "-m", "mmad_answer", "serve", str(folder), *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=session,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            name, listening, on, address = process.stdout.readline().split()
            assert (listening, on) == ("listening", "on")
            return process, name, address

        yield make


@pytest.fixture
def slow(service_folder):
    return service_folder(SLOW)


def wait_until(address, state):
    with grpc.insecure_channel(address) as channel:
        stub = answer_pb2_grpc.AnswerServiceStub(channel)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if stub.GetModel(pb.GetModelRequest(), timeout=20).state == state:
                return
            time.sleep(0.01)
        raise AssertionError(f"the service never became {pb.State.Name(state)}")


def wait_until_ready(address):
    wait_until(address, pb.STATE_READY)


def wait_until_draining(address):
    wait_until(address, pb.STATE_DRAINING)


class Asking(threading.Thread):
    """Asks one inspection in the background."""

    def __init__(self, address, request):
        super().__init__(daemon=True)
        self._address, self._request = address, request
        self.answers, self.code = [], None
        self.start()

    def run(self):
        with grpc.insecure_channel(self._address) as channel:
            try:
                for response in answer_pb2_grpc.AnswerServiceStub(channel).Answer(self._request):
                    self.answers.append(response.answered.text)
                self.code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                self.code = error.code()


def wait_for(path):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never appeared")


def test_version():
    assert run("--version").stdout == f"mmad-answer {__version__}\n"


def test_port_zero_prints_one_line_with_a_port_that_can_be_contacted(start, slow):
    process, name, address = start(slow, "--port", "0")
    host, _, port = address.partition(":")
    assert (name, host) == ("slow", "127.0.0.1")
    assert int(port) > 0
    wait_until_ready(address)
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert rest == ""


def test_the_address_is_printed_before_the_weights_are_loaded(start, slow):
    (slow / "slow-load").touch()
    process, _, address = start(slow, "--port", "0")
    health = run("health", "--target", address)
    assert (health.returncode, health.stdout) == (1, f"{address}: NOT_SERVING\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0  # and loading does not keep it


def test_health_tells_the_state_and_exits_with_it(start, slow):
    _, _, address = start(slow, "--port", "0")
    wait_until_ready(address)
    health = run("health", "--target", address)
    assert (health.returncode, health.stdout) == (0, f"{address}: SERVING\n")


@pytest.mark.parametrize(
    ("environment", "target"),
    [
        ({}, "127.0.0.1:50051"),
        ({"PORT": "50052"}, "127.0.0.1:50052"),
        ({"HOST": "0.0.0.0", "PORT": "50052"}, "127.0.0.1:50052"),
        ({"HOST": "10.1.2.3"}, "10.1.2.3:50051"),
        ({"HOST": "::"}, "[::1]:50051"),
        ({"HOST": "0.0.0.0", "LISTEN": "unix:///run/answer.sock"}, "unix:///run/answer.sock"),
        ({"PORT": "50052", "LISTEN": "0.0.0.0:50053"}, "127.0.0.1:50053"),
        ({"LISTEN": "[::]:50053"}, "[::1]:50053"),
        ({"HOST": "", "PORT": "", "LISTEN": ""}, "127.0.0.1:50051"),
    ],
)
def test_health_asks_by_itself_where_the_environment_has_the_service_listen(environment, target):
    assert own_target({f"MMAD_ANSWER_{name}": value for name, value in environment.items()}) == target


def test_health_without_a_target_follows_the_services_own_settings(start, slow, monkeypatch):
    _, _, address = start(slow, "--port", "0")
    monkeypatch.setenv("MMAD_ANSWER_PORT", address.rpartition(":")[2])
    assert run("health").stdout.startswith(f"{address}: ")


def test_health_of_nobody_is_unavailable():
    health = run("health", "--target", "127.0.0.1:1", "--timeout-seconds", "5")
    assert (health.returncode, health.stdout) == (1, "127.0.0.1:1: UNAVAILABLE\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_health_of_this_machine_takes_no_proxy(start, slow, monkeypatch, host):
    _, _, address = start(slow, "--port", "0")
    wait_until_ready(address)
    for variable in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    health = run("health", "--target", address.replace("127.0.0.1", host))
    assert (health.returncode, health.stdout.split()[-1]) == (0, "SERVING")


@pytest.mark.parametrize(
    ("target", "loopback"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.8.8:50051", True),
        ("[::1]:50051", True),
        ("localhost:50051", True),
        ("dns:///localhost:50051", True),
        ("10.0.0.7:50051", False),
        ("model.example:50051", False),
        ("unix:///run/answer.sock", False),
    ],
)
def test_only_this_machine_is_asked_without_the_proxy_that_the_environment_names(target, loopback):
    assert _is_loopback(target) is loopback


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_work_under_way_finish_closes_the_model_and_exits_with_0(start, slow, ask, number):
    process, _, address = start(slow, "--port", "0")
    wait_until_ready(address)
    asking = Asking(address, ask())
    wait_for(slow / "begun")
    process.send_signal(number)
    wait_until_draining(address)
    with grpc.insecure_channel(address) as channel:
        stub = answer_pb2_grpc.AnswerServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.Answer(ask(), timeout=20))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    (slow / "go-on").touch()
    assert process.wait(60) == 0
    asking.join(20)
    assert (asking.answers, asking.code) == (["A"], grpc.StatusCode.OK)
    assert (slow / "closed").exists()


def test_work_that_outlasts_the_drain_time_is_cut_off_named_and_no_success(start, slow, ask):
    process, _, address = start(slow, "--port", "0", "--drain-seconds", "0.1")
    wait_until_ready(address)
    asking = Asking(address, ask("part 7"))
    wait_for(slow / "begun")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cut off 1 inspections: 'part 7'" in log
    asking.join(20)
    assert asking.code is grpc.StatusCode.UNAVAILABLE


def test_a_second_signal_exits_at_once(start, slow, ask):
    process, _, address = start(slow, "--port", "0", "--drain-seconds", "3600")
    wait_until_ready(address)
    Asking(address, ask())
    wait_for(slow / "begun")
    process.send_signal(signal.SIGTERM)
    wait_until_draining(address)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM


def test_a_load_error_is_one_line_and_exit_1(slow):
    (slow / "no-weights").touch()
    done = run("serve", str(slow), "--port", "0")
    assert done.returncode == 1
    assert done.stderr == "mmad-answer: no weights in /weights: mount them there\n"


# Fails in the method and the way that files beside it name.
CLUMSY = """
import dataclasses, sys
from pathlib import Path
from mmad_answer.model import Capabilities, Card, Model

HERE = Path(__file__).parent


def fail(where):
    if (HERE / where).exists():
        exec((HERE / where).read_text())


@dataclasses.dataclass(frozen=True)
class Own:
    def __post_init__(self):
        fail("options")


class Clumsy(Model):
    Options = Own

    def __init__(self, options):
        fail("init")

    def describe(self):
        fail("describe")
        return Card("clumsy", "test", capabilities=Capabilities(text_only=True))

    def load(self):
        fail("load")

    def answer(self, batch):
        yield from ()
"""


@pytest.mark.parametrize(
    ("raises", "said"),
    [
        ("raise RuntimeError('no CUDA\\nand more')", "RuntimeError: no CUDA"),
        ("sys.exit(0)", "SystemExit: 0"),
    ],
)
@pytest.mark.parametrize("where", ["options", "init", "describe", "load"])
def test_whatever_a_model_raises_when_it_starts_is_one_line_with_its_place(
    service_folder, where, raises, said
):
    folder = service_folder(CLUMSY)
    (folder / where).write_text(raises)
    done = run("serve", str(folder), "--port", "0")
    assert done.returncode == 1
    assert done.stderr == f"mmad-answer: {folder}/service.py, line 11: {said}\n"


def test_the_traceback_is_there_for_who_asks_for_it(service_folder):
    folder = service_folder(CLUMSY)
    (folder / "load").write_text("raise RuntimeError('no CUDA')")
    done = run("serve", str(folder), "--port", "0", "--log-level", "debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("line 11: RuntimeError: no CUDA\n")


def test_a_package_that_is_missing_when_loading_is_one_line_too(slow):
    (slow / "needs").touch()
    done = run("serve", str(slow), "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith(f"mmad-answer: {slow}: needs 'no_such_package_here'")
    assert done.stderr.count("\n") == 1


def test_a_package_that_is_there_and_broken_is_not_called_missing(service_folder):
    folder = service_folder(CLUMSY)
    (folder / "load").write_text(
        "try:\n    raise RuntimeError('operator nms does not exist')\n"
        "except RuntimeError as error:\n    raise ModuleNotFoundError('Could not import module') from error"
    )
    done = run("serve", str(folder), "--port", "0")
    assert done.returncode == 1
    assert "cannot be imported: RuntimeError: operator nms does not exist" in done.stderr
    assert "not installed" not in done.stderr


def test_the_largest_bounds_are_taken(start, slow):
    _, _, address = start(
        slow, "--port", "0", "--max-request-mib", "2047", "--max-connection-age-seconds", "2147483"
    )
    wait_until_ready(address)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve"], "name the folder of a service"),
        (["serve", "/etc/passwd"], "/etc/passwd: is a file"),
        (["serve", "nowhere"], "nowhere: there is no such folder"),
        (["serve", "{folder}", "--prot", "0"], "--prot"),
        (["serve", "{folder}", "--port", "many"], "--port"),
        (["serve", "{folder}", "--listen", "nonsense"], "neither host:port nor unix:///path"),
        (["serve", "{folder}", "--max-request-mib", "4096"], "--max-request-mib"),
        (["serve", "{folder}", "--max-connection-age-seconds", "3000000"], "--max-connection-age-seconds"),
        (["serve", "{folder}", "--batch-wait-ms", "nan"], "--batch-wait-ms"),
        (["serve", "{folder}", "--drain-seconds", "inf"], "--drain-seconds"),
        (["serve", "{folder}", "--listen", "unix:"], "neither host:port nor unix:///path"),
        (["serve", "{folder}", "--listen", "unix:///nowhere/s"], "No such file or directory"),
        ([], "Missing command"),
        (["sevre"], "sevre"),
    ],
)
def test_wrong_use_is_one_line_on_stderr(slow, arguments, said):
    done = run(*[argument.format(folder=slow) for argument in arguments])
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("mmad-answer: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line(slow):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", str(slow), "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"mmad-answer: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert done.stderr.count("\n") == 1


def test_a_unix_socket_is_printed_as_a_target(start, slow, tmp_path):
    target = f"unix://{tmp_path}/s"
    _, _, address = start(slow, "--listen", target)
    assert address == target
    wait_until_ready(address)


# Without the collector, what only the collector can free stays.
UNTIDY = """
import gc
from mmad_answer.model import Answer, Capabilities, Card, Model, Reply

gc.disable()


class Untidy(Model):
    def describe(self):
        return Card("untidy", "test", capabilities=Capabilities(text_only=True))

    def answer(self, batch):
        yield Reply(batch[0], "q1", Answer("A"))
"""


def test_no_message_outlives_its_call(start, service_folder, ask):
    process, _, address = start(service_folder(UNTIDY), "--port", "0")
    wait_until_ready(address)
    service, mib = psutil.Process(process.pid), 2**20
    request = ask(domain_knowledge="x" * 8 * mib)
    sizes = []
    with grpc.insecure_channel(address) as channel:
        stub = answer_pb2_grpc.AnswerServiceStub(channel)
        for _ in range(25):
            assert [each.answered.text for each in stub.Answer(request, timeout=60)] == ["A"]
            sizes.append(service.memory_info().rss // mib)
    assert sizes[-1] - sizes[9] < 60  # fifteen messages


OWN_OPTIONS = """
import dataclasses

from slow import Slow


@dataclasses.dataclass(frozen=True)
class Own:
    map_scale: float = 0.5
    '''How far to look.'''


class Looking(Slow):
    '''Takes its time.'''

    Options = Own
"""


def test_help_shows_the_models_own_options_beside_the_kits(service_folder):
    folder = service_folder(OWN_OPTIONS)
    (folder / "slow.py").write_text(SLOW)
    done = run("serve", str(folder), "--help")
    assert done.returncode == 0
    for word in ("--map-scale", "How far to look.", "--port", "--drain-seconds", "Takes its time."):
        assert word in done.stdout


PARENT = """
import subprocess, sys, time

command = [sys.executable, "-m", "mmad_answer", "serve", sys.argv[1], "--port", "0", "--exit-with-parent"]
child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session="session" in sys.argv)
print(child.pid, child.stdout.readline(), flush=True)
time.sleep(600)
"""

# Starts a helper, as models do whose library serves from processes of its own.
PARENTAL = """
import subprocess
from pathlib import Path
from mmad_answer.model import Capabilities, Card, Model

HERE = Path(__file__).parent


class Parental(Model):
    def describe(self):
        return Card("parental", "test", capabilities=Capabilities(text_only=True))

    def load(self):
        self.helper = subprocess.Popen(["sleep", "600"])
        (HERE / "pid.new").write_text(str(self.helper.pid))
        (HERE / "pid.new").rename(HERE / "pid")
        if (HERE / "slow-load").exists():
            self.helper.wait()

    def answer(self, batch):
        (HERE / "begun").touch()
        self.helper.wait()
"""


@pytest.fixture
def parental(service_folder):
    """A service's folder and, once it loads, its helper; which is ended, whatever happens."""
    folder = service_folder(PARENTAL)

    def helper():
        wait_for(folder / "pid")
        return psutil.Process(int((folder / "pid").read_text()))

    yield folder, helper
    if (folder / "pid").exists():
        with contextlib.suppress(psutil.NoSuchProcess):
            if (left := helper()).name() == "sleep":
                left.kill()


def ended(process):
    """Whether a process ends; where nobody waits for orphans, what is left of it is a zombie."""
    for _ in range(2000):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


@contextlib.contextmanager
def with_parent(folder, *arguments):
    """A parent process, and the service that it has started with --exit-with-parent."""
    command = [sys.executable, "-c", PARENT, str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        try:
            yield parent, psutil.Process(int(parent.stdout.readline().split()[0]))
        finally:
            parent.kill()


def test_a_service_does_not_outlive_its_parent(slow):
    with with_parent(slow) as (parent, service):
        assert service.is_running()
        parent.kill()
        assert ended(service)


@pytest.mark.parametrize("loading", [False, True])
def test_what_a_model_has_started_does_not_outlive_the_parent_either(parental, loading):
    folder, helper = parental
    if loading:
        (folder / "slow-load").touch()
    with with_parent(folder, "session") as (parent, service):
        started = helper()
        parent.kill()
        assert ended(service)
        assert ended(started)


def test_one_signal_while_loading_ends_what_the_model_has_started(start, parental):
    folder, helper = parental
    (folder / "slow-load").touch()
    process, _, _ = start(folder, "--port", "0", session=True)
    started = helper()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert ended(started)


def test_a_second_signal_ends_what_the_model_has_started(start, parental, ask):
    folder, helper = parental
    process, _, address = start(folder, "--port", "0", "--drain-seconds", "3600", session=True)
    started = helper()
    wait_until_ready(address)
    Asking(address, ask())
    wait_for(folder / "begun")
    process.send_signal(signal.SIGTERM)
    wait_until_draining(address)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert ended(started)


def test_the_end_of_the_drain_time_ends_what_the_model_has_started(start, parental, ask):
    folder, helper = parental
    process, _, address = start(folder, "--port", "0", "--drain-seconds", "0.1", session=True)
    started = helper()
    wait_until_ready(address)
    Asking(address, ask())
    wait_for(folder / "begun")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1
    assert ended(started)


def test_who_shares_a_group_with_others_ends_nobody(start, parental):
    # As from a shell, whose pipe's other commands are in the group too: here, the tests themselves.
    folder, helper = parental
    (folder / "slow-load").touch()
    process, _, _ = start(folder, "--port", "0")
    started = helper()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert started.status() == psutil.STATUS_SLEEPING


def test_a_service_whose_named_parent_is_gone_already_does_not_stay(start, slow):
    process, _, _ = start(slow, "--port", "0", "--exit-with-parent=1")
    assert process.wait(20) == 1
