"""Who reaches whom, worked out from all policies together as the API defines it."""

import ipaddress

import pytest

ASKED, METRICS, DNS, HTTPS = 50051, 9464, 53, 443


class Pod:
    def __init__(self, namespace, labels, ports=()):
        self.namespace, self.labels, self.ports = namespace, labels, dict(ports)


def selects(selector, labels):
    known = {"In": lambda value, values: value in values, "NotIn": lambda value, values: value not in values}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        known[each["operator"]](labels.get(each["key"]), each["values"])
        for each in selector.get("matchExpressions", ())
    )


def is_peer(peer, policy_namespace, other):
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return (
            isinstance(other, str)
            and _within(other, block["cidr"])
            and not any(_within(other, each) for each in block.get("except", ()))
        )
    if isinstance(other, str):
        return False
    in_namespace = (
        selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
        if "namespaceSelector" in peer
        else other.namespace == policy_namespace
    )
    return in_namespace and selects(peer.get("podSelector", {}), other.labels)


def _within(address, network):
    address, network = ipaddress.ip_address(address), ipaddress.ip_network(network)
    return address.version == network.version and address in network


def allows(policies, direction, pod, other, port, ports):
    """Whether the policies of `pod` let it talk (`Egress`) to, or be talked to (`Ingress`) by, `other`."""
    if isinstance(pod, str):
        return True
    mine = [
        each
        for each in policies
        if each["metadata"]["namespace"] == pod.namespace
        and selects(each["spec"]["podSelector"], pod.labels)
        and direction in each["spec"]["policyTypes"]
    ]
    side = {"Ingress": "from", "Egress": "to"}[direction]
    return not mine or any(
        any(is_peer(peer, pod.namespace, other) for peer in rule[side])
        and any(ports.get(each["port"], each["port"]) == port for each in rule["ports"])
        for policy in mine
        for rule in policy["spec"].get(direction.lower(), ())
    )


@pytest.fixture(scope="module")
def reaches(everything):
    policies = [each for each in everything if each["kind"] == "NetworkPolicy"]

    def ask(source, target, port):
        ports = {} if isinstance(target, str) else target.ports
        return allows(policies, "Egress", source, target, port, ports) and allows(
            policies, "Ingress", target, source, port, ports
        )

    return ask


@pytest.fixture(scope="module")
def pods(paths, render, pod_of):
    """A pod of each overlay and job, by the folder's name, and those of others that matter."""

    def pod(template):
        ports = [
            (each["name"], each["containerPort"])
            for container in template["spec"]["containers"]
            for each in container.get("ports", ())
        ]
        return Pod("mmad", template["metadata"]["labels"], ports)

    ours = {path.name: pod(pod_of(render(path))) for path in [*paths.overlay, *paths.job]}
    return ours | {
        "prometheus": Pod("monitoring", {"app.kubernetes.io/name": "prometheus"}),
        "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
        "stranger": Pod("default", {"app.kubernetes.io/name": "mmad-orchestrator"}),
        "forgotten": Pod("mmad", {}),
    }


def test_the_orchestrator_asks_every_model_and_reaches_nothing_else(overlay, pods, reaches):
    for job in ("run", "shards", "merge"):
        assert reaches(pods[job], pods[overlay.name], ASKED)
        assert not reaches(pods[job], pods[overlay.name], METRICS)
        assert not reaches(pods[job], "1.1.1.1", HTTPS)


def test_nobody_but_the_orchestrator_asks_a_model(overlay, pods, reaches):
    for name, pod in pods.items():
        assert reaches(pod, pods[overlay.name], ASKED) is (name in {"run", "shards", "merge"}), name
    assert not reaches("10.1.2.3", pods[overlay.name], ASKED)


def test_nobody_but_prometheus_reads_a_model_s_metrics(overlay, pods, reaches):
    for name, pod in pods.items():
        assert reaches(pod, pods[overlay.name], METRICS) is (name == "prometheus"), name


def test_a_model_reaches_dns_alone_and_a_remote_one_its_provider_besides(overlay, pods, reaches):
    model = pods[overlay.name]
    assert reaches(model, pods["dns"], DNS)
    assert not reaches(model, pods["dns"], HTTPS)
    for other in ("prometheus", "stranger", "run", "chance"):
        assert not reaches(model, pods[other], HTTPS)
    is_remote = overlay.name.endswith("_proxy")
    assert reaches(model, "1.1.1.1", HTTPS) is is_remote
    assert reaches(model, "2606:4700::1111", HTTPS) is is_remote
    assert not reaches(model, "1.1.1.1", 80)


@pytest.mark.parametrize("name", ["openai_proxy", "gemini_proxy", "data", "download"])
@pytest.mark.parametrize("inner", ["169.254.169.254", "10.0.0.1", "172.20.0.1", "192.168.1.1", "fd00::1"])
def test_who_reaches_the_internet_does_not_reach_the_cluster_the_site_or_the_cloud_s_own_services(
    name, inner, pods, reaches
):
    assert reaches(pods[name], "1.1.1.1", HTTPS)
    assert reaches(pods[name], pods["dns"], DNS)
    assert not reaches(pods[name], inner, HTTPS)


def test_a_pod_that_no_policy_names_reaches_dns_alone_and_is_not_reached(pods, reaches):
    forgotten = pods["forgotten"]
    assert reaches(forgotten, pods["dns"], DNS)
    assert not reaches(forgotten, "1.1.1.1", HTTPS)
    for pod in pods.values():
        assert not reaches(pod, forgotten, ASKED)
