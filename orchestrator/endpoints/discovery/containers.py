"""Containers as places: which address each has, or why there is nobody to ask.

Nothing with the contract's label vanishes, but what is history is only counted, since every `docker run`
without `--rm` leaves a container behind: one that ended is shown if it is the newest of its kind (the same
Compose service and number, or the same image and arguments) and ended within the last day, or the last hour
if it ended well, because it was then told to. A longer table would hide what is wrong now.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping

from orchestrator.dispatch.faults import one_line
from orchestrator.dispatch.stubs import answer_pb2
from orchestrator.endpoints.discovery.engine import CONTRACT_LABEL, PROJECT_LABEL, Engine, Inspected
from orchestrator.endpoints.discovery.place import Place, Places
from orchestrator.vocabulary import ReplicaState

CONTRACT = answer_pb2.DESCRIPTOR.package.rpartition(".")[2]
"""The version that is spoken here: "v1"."""
PORT_LABEL = "org.mmad.answer.port"
_SERVICE_LABEL = "com.docker.compose.service"
_KIND_LABELS = (
    PROJECT_LABEL,
    _SERVICE_LABEL,
    "com.docker.compose.container-number",
    "com.docker.compose.oneoff",
)
_START_SECONDS = 60.0
"""How long a container without a health check may say nothing and still count as starting."""
_RESTARTS = 2
"""A container that has ended so often is not starting: it fails again and again."""
_FAILED_SHOWN = datetime.timedelta(days=1)
_STOPPED_SHOWN = datetime.timedelta(hours=1)
_ENDED = ("exited", "dead", "created")

_Kind = tuple[object, ...]


class Containers:
    """A source: the containers of an engine, or of one Compose project, that carry the contract's label."""

    def __init__(self, engine: Engine, project: str = "") -> None:
        self._engine = engine
        self._project = project

    def look(self) -> Places:
        """Return the containers that there are now, by name."""
        now = datetime.datetime.now(datetime.UTC)
        found = [c for c in self._engine.containers(self._project) if _takes_part(c)]
        newest = _newest(found)
        shown = [c for c in found if not _is_history(c, now, newest)]
        places = tuple(self._place(c, now) for c in sorted(shown, key=lambda c: natural(_name(c))))
        return Places(places, len(found) - len(shown))

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

        if status in _ENDED or status == "restarting":
            return idle(*self._ended(container, now))
        if problem := _wrong_contract(container):
            return idle(ReplicaState.WRONG_CONTRACT, problem)
        if status == "paused":
            return idle(ReplicaState.PAUSED, f"`docker unpause {_name(container)}` lets it go on")
        port = _port(container)
        if port is None:
            given = _labels(container).get(PORT_LABEL)
            said = f"is {given!r}" if given else "is missing"
            return idle(
                ReplicaState.NO_ADDRESS,
                f"its label {PORT_LABEL} {said}: give its image this label, with its port in the container",
            )
        targets = addresses(container, port, self._engine.host)
        if not targets:
            return idle(ReplicaState.NO_ADDRESS, _publish(container, port))
        return self._running(container, key, targets, port, now)

    def _running(
        self, container: Inspected, key: str, targets: tuple[str, ...], port: int, now: datetime.datetime
    ) -> Place:
        state = container["State"]
        health = state.get("Health") or {}
        status = health.get("Status", "")
        fresh = (now - _time(state["StartedAt"])).total_seconds() < _START_SECONDS
        origin = f"container {_name(container)}"
        if container.get("RestartCount", 0) >= _RESTARTS and status != "healthy":
            last = self._engine.last_log_line(container["Id"])
            again = f"it has ended {container['RestartCount']} times: {last or 'it said nothing'}"
            return Place(key, container["Id"], origin, targets=targets, failing=again)
        log = health.get("Log") or [{}]
        return Place(
            key,
            container["Id"],
            origin,
            targets=targets,
            starting=status == "starting" or (status in ("", "none") and fresh),
            unhealthy=one_line(log[-1].get("Output", "")) or "no reason given"
            if status == "unhealthy"
            else None,
            advice=(
                f"The service must listen on 0.0.0.0:{port} in its container, not on 127.0.0.1"
                if _published(container, port)
                else _publish(container, port)
            ),
        )

    def _ended(self, container: Inspected, now: datetime.datetime) -> tuple[ReplicaState, str]:
        state = container["State"]
        code = state["ExitCode"]
        if state["Status"] == "created":
            if state.get("Error"):
                return ReplicaState.EXITED, f"it could not be started: {one_line(state['Error'])}"
            if (now - _time(container["Created"])).total_seconds() < _START_SECONDS:
                return ReplicaState.STARTING, "it is made, and not started yet"
            return ReplicaState.STOPPED, f"it was made and never started: docker start {_name(container)}"
        ago = _duration(now - _time(state["FinishedAt"]))
        last = self._engine.last_log_line(container["Id"])
        why = state.get("Error") or last or "it said nothing"
        memory = " for lack of memory" if state.get("OOMKilled") else ""
        said = f"exit {code}{memory}, {ago} ago: {one_line(why)}"
        if state["Status"] == "restarting":
            often = container.get("RestartCount", 0) >= _RESTARTS
            return (
                ReplicaState.RESTARTING if often else ReplicaState.STARTING,
                f"it starts again after {said}",
            )
        return (ReplicaState.EXITED if code else ReplicaState.STOPPED), said


def addresses(container: Inspected, port: int, host: str) -> tuple[str, ...]:
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


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts "chance-2" before "chance-10"."""
    return tuple((part, int(number or 0)) for part, number in re.findall(r"(\D*)(\d*)", text))


def _published(container: Inspected, port: int) -> list[Mapping[str, str]]:
    return (container["NetworkSettings"].get("Ports") or {}).get(f"{port}/tcp") or []


def _publish(container: Inspected, port: int) -> str:
    how = f'ports: ["127.0.0.1::{port}"] in its service in compose.yaml'
    if PROJECT_LABEL not in _labels(container):
        how = f"-p 127.0.0.1::{port} for `docker run`"
    return f"it publishes no port, and no address of its own can be reached from here: add {how}"


def _takes_part(container: Inspected) -> bool:
    """Whether it is there, and has not emptied its image's label: a label cannot be taken away."""
    return container["State"]["Status"] != "removing" and bool(_labels(container).get(CONTRACT_LABEL))


def _wrong_contract(container: Inspected) -> str:
    label = _labels(container).get(CONTRACT_LABEL, "")
    if label == CONTRACT:
        return ""
    return (
        f"its label {CONTRACT_LABEL} says {label!r}, and {CONTRACT!r} is spoken here: use an orchestrator "
        "and a service of the same release"
    )


def _port(container: Inspected) -> int | None:
    text = _labels(container).get(PORT_LABEL, "")
    return int(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) and 0 < int(text) < 65536 else None


def _labels(container: Inspected) -> Mapping[str, str]:
    return container["Config"].get("Labels") or {}


def _name(container: Inspected) -> str:
    return str(container["Name"]).removeprefix("/")


def _kind(container: Inspected) -> _Kind:
    labels = _labels(container)
    if _SERVICE_LABEL in labels:
        return tuple(labels.get(name, "") for name in _KIND_LABELS)
    return container["Config"]["Image"], container.get("Path"), *(container.get("Args") or ())


def _newest(containers: Iterable[Inspected]) -> Mapping[_Kind, datetime.datetime]:
    """Return, of each kind, when the newest container was made."""
    found: dict[_Kind, datetime.datetime] = {}
    for container in containers:
        made = _time(container["Created"])
        found[_kind(container)] = max(found.get(_kind(container), made), made)
    return found


def _is_history(
    container: Inspected, now: datetime.datetime, newest: Mapping[_Kind, datetime.datetime]
) -> bool:
    state = container["State"]
    if state["Status"] not in _ENDED:
        return False
    made = _time(container["Created"])
    failed = state["ExitCode"] or state.get("Error")
    shown = _FAILED_SHOWN if failed else _STOPPED_SHOWN
    return made < newest[_kind(container)] or now - max(_time(state["FinishedAt"]), made) > shown


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def _duration(span: datetime.timedelta) -> str:
    seconds = max(0, round(span.total_seconds()))
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
