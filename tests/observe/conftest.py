"""What a real service exports, and what docker/observe/ makes of it."""

import json
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
OBSERVE = ROOT / "docker" / "observe"


@pytest.fixture(scope="session")
def exported():
    """The metric families of the service `chance`, read from its port."""
    serve = [sys.executable, "-m", "mmad_answer", "serve", ROOT / "services" / "chance", "--port", "0"]
    with subprocess.Popen(
        [*serve, "--metrics-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:
        giving_up = threading.Timer(60, service.kill)
        giving_up.start()
        try:
            [url] = re.findall(
                r"metrics on (\S+)", next(line for line in service.stderr if "metrics" in line)
            )
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(url, timeout=20) as response:
                return list(text_string_to_metric_families(response.read().decode()))
        finally:
            giving_up.cancel()
            service.kill()


@pytest.fixture(scope="session")
def series(exported):
    """{name of a series, as a query says it: its labels, with those that Prometheus adds}"""
    return {
        sample.name: {*sample.labels, "instance", "job"} for family in exported for sample in family.samples
    }


@pytest.fixture(scope="session")
def dashboard():
    return json.loads((OBSERVE / "grafana" / "dashboards" / "answer.json").read_text())


@pytest.fixture(scope="session")
def expressions(dashboard):
    """Every query of every panel."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
