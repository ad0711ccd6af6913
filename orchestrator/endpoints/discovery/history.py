"""Which containers are history, and only counted.

Every `docker run` without `--rm` leaves a container behind, and a table of all of them would hide what is
wrong now. One that ended is shown if it is the newest of its kind (the same Compose service and number, or
the same image, arguments and environment) and ended within the last day, or the last hour if it ended well,
because it was then told to.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

from orchestrator.endpoints.discovery.engine import Inspected
from orchestrator.endpoints.discovery.labels import PROJECT_LABEL

ENDED = ("exited", "dead", "created")
_SERVICE_LABEL = "com.docker.compose.service"
_KIND_LABELS = (
    PROJECT_LABEL,
    _SERVICE_LABEL,
    "com.docker.compose.container-number",
    "com.docker.compose.oneoff",
)
_FAILED_SHOWN = datetime.timedelta(days=1)
_STOPPED_SHOWN = datetime.timedelta(hours=1)

_Kind = tuple[object, ...]


def without_history(containers: Iterable[Inspected], now: datetime.datetime) -> list[Inspected]:
    """Return the containers that are to be shown, in their order."""
    found = list(containers)
    newest: dict[_Kind, datetime.datetime] = {}
    for container in found:
        made = time_of(container["Created"])
        newest[_kind(container)] = max(newest.get(_kind(container), made), made)
    return [container for container in found if not _is_history(container, now, newest)]


def time_of(text: str) -> datetime.datetime:
    """Return the time that the engine has written, with its zone."""
    return datetime.datetime.fromisoformat(text)


def _is_history(
    container: Inspected, now: datetime.datetime, newest: Mapping[_Kind, datetime.datetime]
) -> bool:
    state = container["State"]
    if state["Status"] not in ENDED:
        return False
    made = time_of(container["Created"])
    failed = state["ExitCode"] or state.get("Error")
    shown = _FAILED_SHOWN if failed else _STOPPED_SHOWN
    return made < newest[_kind(container)] or now - max(time_of(state["FinishedAt"]), made) > shown


def _kind(container: Inspected) -> _Kind:
    config = container["Config"]
    labels = config.get("Labels") or {}
    if _SERVICE_LABEL in labels:
        return tuple(labels.get(name, "") for name in _KIND_LABELS)
    # What is asked of a model is said by options or by the environment, which has one for each of them.
    return (
        *(config["Image"], container.get("Path")),
        *(tuple(container.get("Args") or ()), tuple(sorted(config.get("Env") or ()))),
    )
