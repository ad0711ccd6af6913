"""Services as child processes: ready on entry, gone afterwards, whatever happens."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from orchestrator.endpoints.arguments import parse_local
from orchestrator.endpoints.connect import connect
from orchestrator.endpoints.local import LocalServices
from orchestrator.errors import EndpointError

SERVICE = """
    import time
    from mmad_answer.model import *

    class Scripted(Model):
        def describe(self):
            return Card(name="{name}", family="test")

        def load(self):
            {load}

        def answer(self, batch):
            return iter(())

        def close(self):
            {close}
"""


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout whose services do in `load` and `close` what the test says."""

    def make(load="pass", close="pass", name="scripted"):
        folder = tmp_path / "checkout" / "services" / name
        folder.mkdir(parents=True)
        text = textwrap.dedent(SERVICE).format(name=name, load=load, close=close)
        (folder / "service.py").write_text(text)
        return tmp_path / "checkout"

    return make


@pytest.fixture
def local(tmp_path):
    def make(checkout, *names, wait_seconds=20.0, grace_seconds=5.0, **more):
        return LocalServices(
            parse_local(names or ["scripted"]),
            tmp_path / "logs",
            wait_seconds,
            print,
            checkout=checkout,
            grace_seconds=grace_seconds,
            **more,
        )

    return make


def alive(process_id):
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


async def gone(process_id):
    async with asyncio.timeout(10):
        while alive(process_id):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def test_services_are_ready_on_entry_and_gone_on_exit(tmp_path):
    services = LocalServices(parse_local(["chance"]), tmp_path, 20, print)
    async with services as endpoints:
        (model,) = await connect(endpoints, 0, print)
        (endpoint,) = endpoints
        assert (endpoint.name, endpoint.origin) == ("chance", "--local chance")
        assert model.card.state == "ready"
        child = psutil.Process(services.process_ids["chance"])
        assert os.getpgid(child.pid) != os.getpgid(0)  # Ctrl-C in the terminal does not reach it
    assert not child.is_running()
    assert "ready" in (tmp_path / "chance.log").read_text()


async def test_no_names_are_no_services_and_need_no_checkout(tmp_path):
    async with LocalServices([], tmp_path / "none", 1, print, checkout=tmp_path) as endpoints:
        assert endpoints == []


async def test_services_are_ended_when_an_error_ends_the_run(checkout, local):
    services = local(checkout())

    async def run():
        async with services:
            assert alive(services.process_ids["scripted"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run()
    assert not alive(services.process_ids["scripted"])


async def test_a_service_that_does_not_stop_when_asked_is_killed(checkout, local):
    services = local(checkout(close="time.sleep(60)"), grace_seconds=0.3)
    async with asyncio.timeout(10):
        async with services:
            process_id = services.process_ids["scripted"]
    assert not alive(process_id)


async def test_a_service_that_was_stopped_is_killed_all_the_same(checkout, local):
    services = local(checkout(), grace_seconds=0.3)
    async with asyncio.timeout(10):
        async with services:
            process_id = services.process_ids["scripted"]
            os.kill(process_id, signal.SIGSTOP)
    assert not alive(process_id)


async def test_a_cancelled_start_leaves_nothing_behind(checkout, local):
    services = local(checkout(load="time.sleep(60)"), grace_seconds=0.3)

    async def enter():
        async with services:
            raise AssertionError("it cannot be ready")

    entering = asyncio.create_task(enter())
    while not services.process_ids:  # noqa: ASYNC110 - it gives no sign
        await asyncio.sleep(0.01)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not alive(services.process_ids["scripted"])


async def test_a_service_that_cannot_load_is_told_with_its_last_line_and_its_log(checkout, local, tmp_path):
    with pytest.raises(EndpointError) as error:
        async with local(checkout(load="raise LoadError('no weights in /models')")):
            pass
    assert str(error.value).startswith("--local scripted: it did not start (exit 1): mmad-answer: no weights")
    assert str(error.value).endswith(f"Its log: {tmp_path / 'logs' / 'scripted.log'}")


async def test_a_service_that_fails_before_it_listens_is_told_too(checkout, local):
    root = checkout()
    (root / "services" / "scripted" / "service.py").write_text("import no_such_module\n")
    with pytest.raises(EndpointError, match=r"did not start.*no_such_module"):
        async with local(root):
            pass


async def test_a_service_that_is_not_ready_in_time_is_told_and_ended(checkout, local):
    services = local(checkout(load="time.sleep(60)"), wait_seconds=1.5, grace_seconds=0.3, start_seconds=1)
    with pytest.raises(EndpointError, match=r"not ready after 1\.5 s"):
        async with services:
            pass
    assert not alive(services.process_ids["scripted"])


async def test_a_service_gets_its_time_to_start_however_little_the_user_would_wait(checkout, local):
    async with local(checkout(load="time.sleep(0.2)"), wait_seconds=0) as endpoints:
        assert len(endpoints) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_what_a_service_has_started_itself_is_ended_with_it(checkout, local, tmp_path, number):
    """The child inherits stdout, as one does that is started without a thought."""
    note = tmp_path / "pid"
    start = "subprocess.Popen(['sleep', '300']).pid"
    services = local(checkout(load=f"import subprocess; print({start}, file=open({str(note)!r}, 'w'))"))
    async with asyncio.timeout(15):
        async with services:
            process_id = int(note.read_text())
            assert alive(process_id)
            if number is signal.SIGKILL:  # before its time
                os.kill(services.process_ids["scripted"], number)
                await gone(process_id)
        await gone(process_id)
    assert not alive(services.process_ids["scripted"])


async def test_a_service_that_fails_to_load_is_told_at_once_whatever_it_has_started(
    checkout, local, tmp_path
):
    load = "import subprocess; subprocess.Popen(['sleep', '300']); raise LoadError('no weights')"
    async with asyncio.timeout(15):
        with pytest.raises(EndpointError, match="no weights"):
            async with local(checkout(load=load), wait_seconds=60):
                pass


async def test_when_one_service_fails_the_others_are_ended_at_once(checkout, local):
    root = checkout(load="raise LoadError('no weights')", name="failing")
    checkout(load="time.sleep(60)", name="slow")
    services = local(root, "failing", "slow", grace_seconds=0.3)
    async with asyncio.timeout(15):
        with pytest.raises(EndpointError, match="no weights"):
            async with services:
                pass
    assert not any(alive(process_id) for process_id in services.process_ids.values())


async def test_an_environment_that_cannot_run_is_told(checkout, local):
    root = checkout()
    python = root / "services" / "scripted" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(EndpointError, match=r"it cannot be started: .*Permission denied.*\.venv/bin/python"):
        async with local(root):
            pass


async def test_all_services_that_cannot_be_run_are_told_at_once(checkout, local):
    root = checkout()
    (root / "services" / "scripted" / "requirements.txt").write_text("no-such-package-anywhere\n")
    with pytest.raises(EndpointError) as error:
        async with local(root, "scripted", "scriptet"):
            pass
    assert "--local scripted: it needs an environment of its own" in str(error.value)
    assert "--local scriptet: there is no such service" in str(error.value)


async def test_one_service_runs_under_two_names_each_with_its_own_options(tmp_path):
    texts = ["one=chance --image-cache-mib 1", "two=chance --max-queue 3"]
    async with LocalServices(parse_local(texts), tmp_path, 20, print) as endpoints:
        first, second = await connect(endpoints, 20, print)
        assert [each.name for each in endpoints] == ["one", "two"]
        assert second.card.max_in_flight == first.card.max_in_flight - 5


async def test_services_end_when_the_orchestrator_is_killed(tmp_path):
    parent = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs here
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import asyncio, pathlib, sys
                from orchestrator.endpoints.arguments import parse_local
                from orchestrator.endpoints.local import LocalServices

                async def main():
                    services = LocalServices(parse_local(["chance"]), pathlib.Path(sys.argv[1]), 20, print)
                    async with services:
                        print(services.process_ids["chance"], flush=True)
                        await asyncio.sleep(60)

                asyncio.run(main())
                """
            ),
            tmp_path,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        process_id = int(parent.stdout.readline())
        assert alive(process_id)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    await gone(process_id)
