"""`orchestrator check` on the image of every service, as its author would call it: none is left out.

Two are checked at once, as a check waits much of its time. The first is checked whole, with a silent stream
of a minute; the other checks leave that out, because the kit is the same in all.
"""

import concurrent.futures
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first waits for builds, too
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ORCHESTRATOR = Path(sys.executable).parent / "orchestrator"
OTHERS = {"download", "orchestrator"}
"""Images that answer nothing."""
SERVICES = sorted({path.name.partition(".")[0] for path in ROOT.glob("docker/*.Dockerfile")} - OTHERS)
WHOLE = "qwen_vl"
BASELINES = {"chance", "template_diff"}
PROXIES = {"openai_proxy": ["--base-url={}/v1"], "gemini_proxy": ["--base-url={}", "--option-scores"]}
KEY = "test-key-3b9e51c07d"
MOST_SECONDS = 400
WARNINGS = {"openai_proxy": {"card.complete": "warning"}}
"""Its protocol tells no version of a model."""
MAY_NOT_APPLY = ("health.loading_", "capabilities.", "refusals.", "load.", "silence.")
"""Promises that depend on what a card claims and on how quick a model is, or that are left out."""


@pytest.fixture(scope="module")
def provider(engine, base_image):
    """The address at which containers reach a provider, which runs in one of its own."""
    script = (HERE / "provider.py").read_text()
    container = engine.containers.run(base_image, ["python3", "-c", script, KEY], detach=True)
    try:
        until = time.monotonic() + 30
        while b"listening" not in container.logs():
            assert time.monotonic() < until, container.logs().decode()
            time.sleep(0.05)
        container.reload()
        yield f"http://{container.attrs['NetworkSettings']['Networks']['bridge']['IPAddress']}:8000"
        sys.stderr.write(container.logs().decode())  # is shown where a check has failed
    finally:
        container.remove(force=True)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """A secret as it is mounted: the container's user can read it."""
    path = tmp_path_factory.mktemp("secrets") / "key"
    path.write_text(KEY)
    path.chmod(0o644)
    return path


@pytest.fixture(scope="module")
def arguments(image, tiny_image, tiny_checkpoint, provider, key_file):
    """What a service's check is called with: `arguments("chance")`."""

    def of(service):
        if service in BASELINES:
            return [image(service)]
        if service in PROXIES:
            key = [
                "--mount",
                f"{key_file}:/run/secrets/key",
                "--env",
                "MMAD_ANSWER_KEY_FILE=/run/secrets/key",
            ]
            own = [each.format(provider) for each in PROXIES[service]]
            return [image(service), *key, "--", "--model", "drawn-1", *own]
        if (ROOT / "tests/services" / service / "tiny").is_dir():
            weights = ["--mount", f"{tiny_checkpoint(service)}:/models/tiny", "--env", "OMP_NUM_THREADS=1"]
            return [tiny_image(service), *weights, "--", "--checkpoint", "/models/tiny"]
        pytest.fail(f"{service}: say here what its image is to be checked with", pytrace=False)

    return of


@pytest.fixture(scope="module")
def checks(arguments):
    """The checks of all services, begun: their ends to come."""

    def check(service):
        quick = [] if service == WHOLE else ["--quick"]
        line = [ORCHESTRATOR, "check", "--json", *quick, *arguments(service)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                return process.communicate(timeout=MOST_SECONDS), process.returncode
            except subprocess.TimeoutExpired:
                process.terminate()  # and not killed, so that it removes its container
                return process.communicate(), process.wait()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = sorted(SERVICES, key=lambda service: service != WHOLE)
        yield {service: pool.submit(check, service) for service in first}


@pytest.mark.parametrize("service", SERVICES)
def test_the_image_keeps_the_contract(checks, service):
    (said, listed), code = checks[service].result()
    assert code == 0, listed
    outcomes = {each["id"]: each["outcome"] for each in json.loads(said)["promises"]}
    always = {name: outcome for name, outcome in outcomes.items() if not name.startswith(MAY_NOT_APPLY)}
    assert always == dict.fromkeys(always, "ok") | WARNINGS.get(service, {})
    assert (outcomes["silence.stream"] == "ok") == (service == WHOLE)
