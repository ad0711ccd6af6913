"""The settings of Prometheus and Grafana fit each other, the services and the images."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

OBSERVE = Path(__file__).parents[2] / "docker" / "observe"
FUNCTIONS = {"sum", "rate", "histogram_quantile"}
GROUPING = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")


def read(name):
    return yaml.safe_load((OBSERVE / name).read_text())


def metrics_of(expression):
    """The names of the series that a query is about."""
    bare = GROUPING.sub("", re.sub(r"\{[^}]*\}|\[[^]]*\]|\$\w+", "", expression))
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - FUNCTIONS


@pytest.fixture(scope="session")
def grafana():
    settings = configparser.ConfigParser()
    settings.read(OBSERVE / "grafana" / "grafana.ini")
    return settings


def test_every_query_of_the_dashboard_names_only_what_the_services_export(expressions, series):
    assert len(expressions) > 15
    for expression in expressions:
        assert metrics_of(expression), expression
        assert metrics_of(expression) <= set(series), expression


def test_every_label_in_a_query_is_one_of_its_metrics(expressions, series):
    for expression in expressions:
        for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
            for label, value in re.findall(r"(\w+)\s*=~?\"([^\"]*)\"", matchers):
                assert label in series[name], (label, value, expression)
        known = set().union(*(series[name] for name in metrics_of(expression)))
        for group in GROUPING.findall(expression):
            assert {label.strip() for label in group.split(",")} <= known, expression


def test_every_metric_of_the_services_own_is_on_the_dashboard(expressions, exported):
    shown = set().union(*map(metrics_of, expressions))
    for family in exported:
        if family.name.startswith("mmad_answer_") and family.name != "mmad_answer_image_cache_bytes":
            assert any(name.startswith(family.name) for name in shown), family.name


def test_the_panels_do_not_overlap_and_fill_whole_rows(dashboard):
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    height = 1 + max(y for _, y in taken)
    assert set(taken) == {(x, y) for x in range(24) for y in range(height)}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_the_dashboard_asks_the_data_source_that_is_provisioned(dashboard):
    [source] = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    asked = [panel["datasource"] for panel in dashboard["panels"] if panel["type"] != "row"]
    asked += [target["datasource"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [each["datasource"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    assert asked
    for each in asked:
        assert each == {"type": source["type"], "uid": source["uid"]}
    assert source["jsonData"]["timeInterval"] == read("prometheus.yml")["global"]["scrape_interval"]


def test_the_dashboard_is_where_grafana_looks_for_it_and_its_home(grafana):
    [provider] = read("grafana/provisioning/dashboards/answer.yml")["providers"]
    home = Path(grafana["dashboards"]["default_home_dashboard_path"])
    assert str(home.parent) == provider["options"]["path"]
    assert (OBSERVE / "grafana" / home.relative_to("/etc/grafana")).is_file()


def test_who_looks_needs_no_account_and_nobody_has_one(grafana):
    assert grafana.getboolean("auth.anonymous", "enabled")
    assert grafana["auth.anonymous"]["org_role"] == "Viewer"
    assert grafana.getboolean("security", "disable_initial_admin_creation")
    assert grafana.getboolean("auth", "disable_login_form")
    assert not grafana.getboolean("auth.basic", "enabled")


def test_grafana_fetches_nothing_from_outside(grafana):
    plugins = grafana["plugins"]
    assert plugins.getboolean("preinstall_disabled")
    assert not plugins.getboolean("preinstall_auto_update")
    assert not plugins.getboolean("plugin_admin_enabled")
    assert plugins.getboolean("public_key_retrieval_disabled")
    asking = ("reporting_enabled", "check_for_updates", "check_for_plugin_updates")
    assert not any(grafana.getboolean("analytics", name) for name in asking)
    assert not grafana.getboolean("news", "news_feed_enabled")


def test_prometheus_looks_where_the_images_serve_their_metrics():
    [job] = read("prometheus.yml")["scrape_configs"]
    [names] = job["dns_sd_configs"]
    assert (names["names"], names["type"]) == (["answer"], "A")
    dockerfiles = [
        path.read_text()
        for path in OBSERVE.parent.glob("*.Dockerfile")
        if "org.mmad.answer.contract" in path.read_text()
    ]
    assert dockerfiles
    for each in dockerfiles:
        assert re.findall(r"MMAD_ANSWER_METRICS_PORT=(\d+)", each) == [str(names["port"])]
