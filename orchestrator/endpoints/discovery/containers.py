"""Containers as places: which address each has, or why there is nobody to ask.

Nothing with the contract's label vanishes; only what is history (see there) is counted instead.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from orchestrator.dispatch.faults import one_line
from orchestrator.endpoints.discovery.connection import is_loopback
from orchestrator.endpoints.discovery.engine import Engine, Inspected, Unreadable
from orchestrator.endpoints.discovery.history import ENDED, time_of, without_history
from orchestrator.endpoints.discovery.labels import (
    CONTRACT_LABEL,
    CONTRACT_VERSION,
    PORT_LABEL,
    PROJECT_LABEL,
    port_of,
)
from orchestrator.endpoints.discovery.log_lines import log_lines
from orchestrator.endpoints.discovery.place import Place, Places
from orchestrator.ordering import natural
from orchestrator.vocabulary import ReplicaState

_START_SECONDS = 60.0
"""How long a container without a health check may say nothing and still count as starting."""


class Containers:
    """A source: the containers of an engine, or of one Compose project, that carry the contract's label."""

    def __init__(self, engine: Engine, project: str = "") -> None:
        self._engine = engine
        self._project = project
        self._last_words: dict[tuple[str, str], str] = {}
        """By container and time of its end: a run looks again and again, and a log may be slow to read."""

    def look(self) -> Places:
        """Return the containers that there are now, by name."""
        now = datetime.datetime.now(datetime.UTC)
        described, unreadable = self._engine.containers(self._project)
        found = [container for container in described if _takes_part(container)]
        shown = without_history(found, now)
        places = [self._place(container, now) for container in shown] + [_unknown(u) for u in unreadable]
        ends = {_end(container) for container in shown}
        self._last_words = {end: words for end, words in self._last_words.items() if end in ends}
        return Places(tuple(sorted(places, key=lambda place: natural(place.origin))), len(found) - len(shown))

    def close(self) -> None:
        """Close the connection to the engine."""
        self._engine.close()

    def _place(self, container: Inspected, now: datetime.datetime) -> Place:
        state = container["State"]
        status = state["Status"]
        key, identifier, origin = (
            container["Id"] + state["StartedAt"],
            container["Id"],
            f"container {_name(container)}",
        )

        def idle(why: ReplicaState, reason: str) -> Place:
            return Place(key, identifier, origin, state=why, reason=reason)

        if status in ENDED or status == "restarting":
            return idle(*self._ended(container, now))
        if problem := _wrong_contract(container):
            return idle(ReplicaState.WRONG_CONTRACT, problem)
        if status == "paused":
            return idle(ReplicaState.PAUSED, f"`docker unpause {_name(container)}` lets it go on")
        port = port_of(_labels(container))
        if port is None:
            given = _labels(container).get(PORT_LABEL)
            said = f"is {given!r}" if given else "is missing"
            return idle(
                ReplicaState.NO_ADDRESS,
                f"its label {PORT_LABEL} {said}: give its image this label, with its port in the container",
            )
        targets = targets_of(container, port, self._engine.host)
        if not targets:
            return idle(ReplicaState.NO_ADDRESS, self._advice(container, port))
        return self._running(container, key, targets, port, now)

    def _running(
        self, container: Inspected, key: str, targets: tuple[str, ...], port: int, now: datetime.datetime
    ) -> Place:
        state = container["State"]
        health = state.get("Health") or {}
        status = health.get("Status", "")
        log = health.get("Log") or [{}]
        fresh = (now - time_of(state["StartedAt"])).total_seconds() < _START_SECONDS
        failing = ""
        if (ends := container.get("RestartCount", 0)) and status != "healthy":
            often = "once" if ends == 1 else f"{ends} times"
            failing = f"it has ended {often}: {self._said(container) or 'it said nothing'}"
        return Place(
            key,
            container["Id"],
            f"container {_name(container)}",
            targets=targets,
            starting=status == "starting" or (status in ("", "none") and fresh),
            failing=failing,
            unhealthy=one_line(" ".join(log_lines(log[-1].get("Output", "")))) or "no reason given"
            if status == "unhealthy"
            else None,
            advice=self._advice(container, port),
        )

    def _ended(self, container: Inspected, now: datetime.datetime) -> tuple[ReplicaState, str]:
        state = container["State"]
        code = state["ExitCode"]
        if state["Status"] == "created":
            if state.get("Error"):
                return ReplicaState.EXITED, f"it could not be started: {one_line(state['Error'])}"
            if (now - time_of(container["Created"])).total_seconds() < _START_SECONDS:
                return ReplicaState.STARTING, "it is made, and not started yet"
            return ReplicaState.STOPPED, f"it was made and never started: docker start {_name(container)}"
        ago = _duration(now - time_of(state["FinishedAt"]))
        why = state.get("Error") or self._said(container) or "it said nothing"
        memory = " for lack of memory" if state.get("OOMKilled") else ""
        said = f"exit {code}{memory}, {ago} ago: {one_line(why)}"
        if state["Status"] == "restarting":
            return ReplicaState.RESTARTING, f"it starts again after {said}"
        return (ReplicaState.EXITED if code else ReplicaState.STOPPED), said

    def _said(self, container: Inspected) -> str:
        """Return the last thing that it said before it last ended, or ""."""
        state = container["State"]
        if (end := _end(container)) not in self._last_words:
            again = time_of(state["StartedAt"]) if state["Status"] == "running" else None
            self._last_words[end] = self._engine.last_log_line(container["Id"], again)
        return self._last_words[end]

    def _advice(self, container: Inspected, port: int) -> str:
        """Return what to do if nothing answers at its addresses, or there is none."""
        published = _published(container, port)
        here = is_loopback(self._engine.host)
        near = [each["HostIp"] for each in published if is_loopback(each["HostIp"])]
        if published and (here or len(near) < len(published)):
            return f"the service must listen on 0.0.0.0:{port} in its container, not on 127.0.0.1"
        ip = "127.0.0.1" if here else "ADDRESS"
        how = f'ports: ["{ip}::{port}"] in its service in compose.yaml'
        if PROJECT_LABEL not in _labels(container):
            how = f"-p {ip}::{port} for `docker run`"
        if not here:
            how += f", with an address of {self._engine.host} that this machine reaches"
        if near:
            return f"it is published on {near[0]} of the engine's machine, for nobody else: use {how}"
        return f"it publishes no port, and no address of its own can be reached from here: add {how}"


def targets_of(container: Inspected, port: int, host: str) -> tuple[str, ...]:
    """Return where a port of a running container may be reached from here, the likeliest first.

    The published one goes first, as it is reached from everywhere; the address in a network only on the
    engine's own Linux machine, or from another container of that network.
    """
    settings = container["NetworkSettings"]
    found = []
    for each in _published(container, port):
        everywhere = each["HostIp"] in ("", "0.0.0.0", "::", "127.0.0.1", "::1")  # noqa: S104 - read, not opened
        found.append(_join(host if everywhere else each["HostIp"], int(each["HostPort"])))
    networks = settings.get("Networks") or {}
    if "host" in networks:
        found.append(_join(host, port))
    for name in sorted(networks):
        own = networks[name].get("IPAddress") or networks[name].get("GlobalIPv6Address")
        if own:
            found.append(_join(own, port))
    return tuple(dict.fromkeys(found))


def _published(container: Inspected, port: int) -> list[Mapping[str, str]]:
    return (container["NetworkSettings"].get("Ports") or {}).get(f"{port}/tcp") or []


def _takes_part(container: Inspected) -> bool:
    """Whether it is there, and has not emptied its image's label: a label cannot be taken away."""
    return container["State"]["Status"] != "removing" and bool(_labels(container).get(CONTRACT_LABEL))


def _wrong_contract(container: Inspected) -> str:
    label = _labels(container).get(CONTRACT_LABEL, "")
    if label == CONTRACT_VERSION:
        return ""
    return (
        f"its label {CONTRACT_LABEL} says {label!r}, and {CONTRACT_VERSION!r} is spoken here: use an "
        "orchestrator and a service of the same release"
    )


def _labels(container: Inspected) -> Mapping[str, str]:
    return container["Config"].get("Labels") or {}


def _name(container: Inspected) -> str:
    return str(container["Name"]).removeprefix("/")


def _end(container: Inspected) -> tuple[str, str]:
    return container["Id"], container["State"]["FinishedAt"]


def _unknown(container: Unreadable) -> Place:
    reason = f"the engine cannot describe it: {container.why}"
    origin = f"container {container.name}"
    return Place(container.id, container.id, origin, state=ReplicaState.NO_ANSWER, reason=reason)


def _duration(span: datetime.timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
